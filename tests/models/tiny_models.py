"""Small models and folders for the tests: native ones, and random ones of transformers' own making."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cuvee.models.config import ModelConfig
from cuvee.models.llama import Llama

VOCABULARY, CONTEXT = 61, 24


def tiny_config(context_length: int = CONTEXT) -> ModelConfig:
    """A native model small enough for exact comparisons; no two of its sizes are equal."""
    return ModelConfig(
        vocabulary_size=VOCABULARY, context_length=context_length, width=32, layers=2, heads=2, hidden=96
    )


def wide_parameters(model: Llama, seed: int = 0) -> Tensor:
    """Parameters with much larger entries than initial ones, so that nothing hides in rounding.

    Norms are drawn around one, because a model whose norms are all one cannot tell them apart.
    """
    generator = torch.Generator().manual_seed(seed)
    flat = 5 * model.initial(seed)
    rest = slice(model.layout.decayed, None)
    flat[rest] = 1 + 0.3 * torch.randn(flat[rest].shape, generator=generator)
    return flat


def batch(sequences: int, length: int, seed: int = 0, vocabulary: int = VOCABULARY) -> tuple[Tensor, Tensor]:
    """Random inputs and targets [B, T]."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(vocabulary, (sequences, length + 1), generator=generator)
    return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


def log_probs_of(module: Any, inputs: Tensor, targets: Tensor) -> Tensor:
    """What a transformers module says of every target, float32 [B, T]."""
    with torch.no_grad():
        logits = module(input_ids=inputs, use_cache=False).logits.float()
    chosen: Tensor = logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0]
    return chosen


def save_random(folder: Path, kind: str, vocabulary: int = VOCABULARY, **changes: Any) -> Any:
    """Write a random transformers model to ``folder`` and return its module.

    Kinds: ``gpt2`` (tied, learnt positions, biases), ``qwen3`` (norms of queries and keys, own head),
    ``gqa`` (a Llama with fewer key and value heads, own head), ``bert`` and ``roberta`` (masked, tied).
    """
    import transformers

    torch.manual_seed(7)
    common: dict[str, Any] = {"vocab_size": vocabulary, "bos_token_id": 0, "eos_token_id": 0}
    llama = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32,
        "tie_word_embeddings": False,
    }
    config: Any
    match kind:
        case "gpt2":
            own = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 32} | {
                f"{name}_pdrop": 0.0 for name in ("resid", "embd", "attn")
            }
            config = transformers.GPT2Config(**common | own | changes)
        case "qwen3":
            config = transformers.Qwen3Config(**common | llama | {"head_dim": 8} | changes)
        case "gqa":
            config = transformers.LlamaConfig(**common | llama | changes)
        case "bert" | "roberta":
            own = {
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
            }
            own |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "pad_token_id": 1}
            maker = transformers.BertConfig if kind == "bert" else transformers.RobertaConfig
            config = maker(**common | own | {"max_position_embeddings": 32} | changes)
        case _:
            raise ValueError(kind)
    masked = kind in ("bert", "roberta")
    auto: Any = transformers.AutoModelForMaskedLM if masked else transformers.AutoModelForCausalLM
    module = auto.from_config(config).float().eval()
    with torch.no_grad():  # norms and biases that are not all alike
        for parameter in module.parameters():
            if parameter.ndim < 2:
                parameter.add_(0.2 * torch.randn_like(parameter))
            else:
                parameter.mul_(4.0)
    module.save_pretrained(folder)
    return module
