"""Hugging Face folders: the native Llama to and from them, and any other causal model.

The only file that loads transformers. A folder that is a plain Llama opens as the native model;
everything else runs through transformers' own code on views of the flat vector.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from cuvee.errors import CheckpointError, ConfigError
from cuvee.hashing import digest
from cuvee.models.config import ModelConfig
from cuvee.models.flops import forward_flops
from cuvee.models.interface import CausalModel
from cuvee.models.layout import Layout
from cuvee.models.linear_inputs import LinearInput
from cuvee.models.linear_readers import LinearReaders, readers_of
from cuvee.models.llama import Llama
from cuvee.models.masking import PARTS, parts, window_hashes
from cuvee.models.stored_tensors import check_stored

PARAMETERS = "model*.safetensors"
"""The files of a folder that hold parameters. Not every .safetensors: a run keeps its Adam moments and
snapshots in the same folder."""

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
)
_WITHOUT_LIMIT = 1 << 20
"""Context length of an architecture that names none (ALiBi, recurrent models)."""


def save_llama(folder: Path, config: ModelConfig, flat: Tensor, end_of_text: int = 0) -> None:
    """Write ``config.json`` and ``model.safetensors`` (float32) as ``LlamaForCausalLM`` saves them.

    ``folder`` must exist. Cost: one copy of the parameters to disk.
    """
    description = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.vocabulary_size,
        "hidden_size": config.width,
        "intermediate_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.heads,
        "head_dim": config.head_width,
        "hidden_act": "silu",
        "max_position_embeddings": config.context_length,
        "rms_norm_eps": config.norm_epsilon,
        # Two spellings: transformers >= 5 reads the second, vLLM and transformers 4 the first.
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "torch_dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    layout = Llama(config).layout
    tensors = {
        name: view.contiguous().clone() for name, view in layout.views(flat.detach().float().cpu()).items()
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def copy_tokenizer(source: Path, folder: Path) -> None:
    """Copy the tokenizer's files beside a model, so that the folder is complete."""
    for name in _TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)


def open_model(
    folder: Path,
    dtype: torch.dtype = torch.float32,
    compiled: bool = False,
    device: str = "cpu",
    window: int = 0,
) -> CausalModel:
    """The model of a Hugging Face folder: native if it is a plain Llama, else through transformers.

    Args:
        folder: as transformers saves it.
        dtype: of the matrix products.
        compiled: see ``Llama``.
        device: where it computes.
        window: tokens of the windows for which FLOPs are counted; 0 for the longest.

    Raises:
        CheckpointError: no ``config.json``, or transformers cannot read the folder.
    """
    description = _read_description(folder)
    check_stored(folder, description, PARAMETERS)
    config = _native_config(description)
    if config is not None:
        return Llama(config, dtype, compiled, device, window=window)
    kind = MaskedModel if is_masked(description) else HuggingFaceModel
    return kind(folder, dtype, device, window)


def read_flat(folder: Path, model: CausalModel) -> Tensor:
    """The parameters of a folder as one float32 vector [N] in the order of ``model.layout``.

    Raises:
        CheckpointError: a tensor is missing or has another shape.
    """
    if isinstance(model, HuggingFaceModel):
        return model.read_flat(folder)
    files = sorted(folder.glob(PARAMETERS))
    if not files:
        raise CheckpointError(f"{folder}: no model.safetensors; save the model again with transformers")
    tensors: dict[str, Tensor] = {}
    for file in files:
        try:
            tensors.update(load_file(file))
        except Exception as error:  # safetensors raises its own untyped error for a cut file
            raise CheckpointError(
                f"{file}: cannot be read ({error}); delete it to have it made again"
            ) from error
    try:
        return model.layout.gather(tensors)
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{folder}: does not hold this model ({error})") from error


def check_finite(folder: Path, flat: Tensor) -> None:
    """Refuse parameters [N] of a model that was given which are no numbers: its losses would be none.

    Raises:
        CheckpointError: one is not finite.
    """
    broken = int((~torch.isfinite(flat)).sum())
    if broken:
        raise CheckpointError(
            f"{folder}: {broken:,} of its {flat.numel():,} parameters are not finite (NaN or infinite); the "
            "model is damaged or its training diverged: take another"
        )


class HuggingFaceModel:
    """Any causal language model of transformers as a function of its flat parameters.

    Slower than the native model (see ``benchmarks/speed.md``) but of any architecture. Tied tensors
    are one entry. Buffers (rotary tables and the like) stay as the folder has them.
    """

    _asked: Mapping[str, Any] = MappingProxyType({"use_cache": False})
    """Of every pass, beside its tokens."""

    def __init__(
        self, folder: Path, dtype: torch.dtype = torch.float32, device: str = "cpu", window: int = 0
    ) -> None:
        self.folder = folder
        self.dtype = dtype
        self.device = torch.device(device)
        self._module = _load_module(folder).to(self.device).eval()
        self._held = False
        parameters = dict(self._module.named_parameters())
        self.layout = Layout.of(
            [(name, tuple(p.shape)) for name, p in parameters.items() if p.ndim >= 2],
            [(name, tuple(p.shape)) for name, p in parameters.items() if p.ndim < 2],
        )
        for parameter in self._module.parameters():
            parameter.requires_grad_(False)
        config = self._module.config.get_text_config()
        self.vocabulary_size = int(config.vocab_size)
        longest = int(getattr(config, "max_position_embeddings", None) or 0)
        self.context_length = (longest or _WITHOUT_LIMIT) - _positions_before(config)
        matrices = sum(entry.size for entry in self.layout.entries if len(entry.shape) >= 2)
        self.flops_per_token = forward_flops(
            matrices, config.num_hidden_layers, config.hidden_size, window or longest
        )
        description = {k: v for k, v in _read_description(folder).items() if k not in ("_name_or_path",)}
        self.model_hash = digest(["transformers", description])

    @property
    def generates(self) -> bool:
        """Whether transformers can write text by it."""
        return bool(self._module.can_generate())

    @cached_property
    def products(self) -> dict[str, bool]:
        """Names of the matrices that linear layers multiply by, the head aside, and whether each is stored as
        [inputs, outputs]."""
        from transformers.pytorch_utils import Conv1D

        kinds, head = {torch.nn.Linear: False, Conv1D: True}, self._module.get_output_embeddings()
        return {
            f"{name}.weight": kinds[type(module)]
            for name, module in self._module.named_modules()
            if type(module) in kinds and module is not head
        }

    def hold(self, device: torch.device) -> Any:
        """From now on compute with the parameters that the module itself holds, and give it away: something
        else spreads them over processes, updates them, and sends them to a device."""
        self._held, self.device = True, device
        for parameter in self._module.parameters():
            parameter.requires_grad_(True)
        return self._module

    def initial(self, seed: int) -> Tensor:
        """The folder's own parameters: such a model is a seed already, so ``seed`` changes nothing."""
        return self.read_flat(self.folder)

    def read_flat(self, folder: Path) -> Tensor:
        module = self._module if folder == self.folder else _load_module(folder)
        return self.layout.gather({name: p.detach().float().cpu() for name, p in module.named_parameters()})

    def save(self, folder: Path, flat: Tensor) -> None:
        """Write the folder as transformers does; float32."""
        module = _load_module(self.folder)
        views = self.layout.views(flat)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                parameter.copy_(views[name])
        module.save_pretrained(folder)

    def mean_loss(self, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        return -self.token_log_probs(flat, inputs, targets).mean()

    def token_log_probs(self, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        logits = self.logits(flat, {"input_ids": inputs.to(self.device), **self._asked})
        goal = targets.to(self.device)
        return -F.cross_entropy(logits.flatten(0, 1).float(), goal.flatten(), reduction="none").view(
            goal.shape
        )

    def next_log_probs(self, flat: Tensor, inputs: Tensor, last: Tensor) -> Tensor:
        """log p of any token after position ``last`` [B] of each row of ``inputs`` [B, T], float32 [B, V]."""
        logits = self.logits(flat, {"input_ids": inputs.to(self.device), **self._asked})
        rows = torch.arange(len(inputs), device=self.device)
        return F.log_softmax(logits[rows, last.to(self.device)].float(), dim=-1)

    def logits(self, flat: Tensor, arguments: dict[str, Any]) -> Tensor:
        """What the module answers, [B, T, V] in the type of the products."""
        if self._held:
            held: Tensor = self._module(**arguments).logits
            return held
        views = self.layout.views(flat.to(self.dtype))
        found: Tensor = torch.func.functional_call(self._module, views, (), arguments).logits
        return found

    @cached_property
    def mask_token(self) -> int:
        """See ``mask_token``."""
        return mask_token(self.folder)

    def hidden_states(self, flat: Tensor, inputs: Tensor) -> Tensor:
        """The last states [B, T, C] that the architecture reports."""
        views = self.layout.views(flat.to(self.dtype))
        few: dict[str, Any] = {"logits_to_keep": 1} if self._asked else {}
        arguments = {"input_ids": inputs.to(self.device), "output_hidden_states": True, **self._asked, **few}
        states: Tensor = torch.func.functional_call(self._module, views, (), arguments).hidden_states[-1]
        return states

    @cached_property
    def linear_inputs(self) -> tuple[LinearInput, ...]:
        """Of layers that run on any text, those of one input together; see ``readers_of``."""
        return self._readers.inputs

    def read_linear_inputs(self, flat: Tensor, inputs: Tensor, seen: Callable[[int, Tensor], None]) -> None:
        """See ``CausalModel.read_linear_inputs``."""
        with self._readers.watched(seen):
            self.logits(flat, {"input_ids": inputs.to(self.device), **self._asked})

    @cached_property
    def _readers(self) -> LinearReaders:
        tokens = torch.zeros(1, min(2, self.context_length), dtype=torch.int64, device=self.device)
        run = partial(self._module, input_ids=tokens, **self._asked)
        return readers_of(self._module, self.layout, run)


class MaskedModel(HuggingFaceModel):
    """Any masked language model of transformers as a function of its flat parameters; see ``masking``.

    ``flops_per_token`` is one pass, as in training; a score takes ``PARTS`` of them.
    """

    _asked = MappingProxyType({})

    def mean_loss(self, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean nats of the tokens in the hidden part of every window, a float32 scalar."""
        tokens = targets.to(self.device)
        hidden = parts(tokens) == window_hashes(tokens).remainder(PARTS)[:, None]
        return -self._log_probs(flat, tokens, hidden).sum() / hidden.sum()

    def token_log_probs(self, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """log p of every token given those that its part leaves visible, float32 [B, T]."""
        tokens = targets.to(self.device)
        owner = parts(tokens)
        passes = [self._log_probs(flat, tokens, owner == part) for part in range(PARTS)]
        return torch.stack(passes).sum(dim=0)

    def next_log_probs(self, flat: Tensor, inputs: Tensor, last: Tensor) -> Tensor:
        """Raises: ConfigError, always."""
        raise ConfigError(
            f"{self.folder}: a masked language model predicts no next token; what asks a model for answers "
            "(Ask-LLM, MEDU) needs a causal one"
        )

    def _log_probs(self, flat: Tensor, tokens: Tensor, hidden: Tensor) -> Tensor:
        """log p of the hidden tokens, zero elsewhere [B, T]."""
        seen = tokens.masked_fill(hidden, self.mask_token)
        logits = self.logits(flat, {"input_ids": seen})[hidden].float()
        found = -F.cross_entropy(logits, tokens[hidden], reduction="none")
        return torch.zeros(tokens.shape, device=tokens.device).masked_scatter(hidden, found)


def _load_module(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    masked = is_masked(_read_description(folder))
    kind: Any = AutoModelForMaskedLM if masked else AutoModelForCausalLM
    try:
        # Else transformers would ask, in the middle of a command, whether to run code of the folder.
        module, found = kind.from_pretrained(
            folder,
            local_files_only=True,
            dtype=torch.float32,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:  # whatever the code of an architecture raises on what it did not expect
        if "trust_remote_code" in str(error):
            raise CheckpointError(
                f"{folder}: config.json names code of its own (auto_map), and cuvee runs no code from a "
                "model folder; take a model whose architecture transformers has"
            ) from None
        raise CheckpointError(
            f"{folder}: transformers cannot open it as a {'masked' if masked else 'causal'} language model: "
            f"{error}"
        ) from error
    _check_complete(folder, sorted(found["missing_keys"]))
    return module


def _check_complete(folder: Path, missing: list[str]) -> None:
    """Refuse a folder that lacks parameters: transformers draws them at random, anew each time."""
    if missing:
        raise CheckpointError(
            f"{folder}: {len(missing)} of its parameters are in no file, such as {missing[0]}; copy or "
            "download the whole model again, or save it with the architecture that it is used as"
        )


def mask_token(folder: Path) -> int:
    """Id of the token that hides another, by the tokenizer of a masked model.

    Raises:
        CheckpointError: it has none.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if tokenizer.mask_token_id is None:
        raise CheckpointError(
            f"{folder}: a masked language model, but its tokenizer names no mask_token; name it in "
            "tokenizer_config.json"
        )
    return int(tokenizer.mask_token_id)


def describes_masked(folder: Path) -> bool:
    """Whether a folder describes a masked language model; of one that cannot be read whoever opens it says
    more."""
    try:
        return is_masked(_read_description(folder))
    except CheckpointError:
        return False


def is_masked(description: dict[str, Any]) -> bool:
    """Whether a description is that of a masked language model."""
    names = description.get("architectures")
    return isinstance(names, list) and any(str(name).endswith("ForMaskedLM") for name in names)


def _positions_before(config: Any) -> int:
    """Position embeddings that RoBERTa and its kin keep for padding, and never use for a token."""
    return int(config.pad_token_id) + 1 if "roberta" in config.model_type else 0


def _read_description(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    if not file.is_file():
        raise CheckpointError(f"{folder}: no config.json; a model folder as transformers saves it is needed")
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file}: is no JSON ({error})") from error
    if not isinstance(description, dict):
        raise CheckpointError(f"{file}: must describe a model, but holds {type(description).__name__}")
    return description


def _native_config(description: dict[str, Any]) -> ModelConfig | None:
    """The native architecture if the description is one, else None."""
    if not {"vocab_size", "hidden_size", "num_attention_heads", "rms_norm_eps"} <= set(description):
        return None  # transformers fills in what is left out, or says what is wrong
    rope = description.get("rope_parameters") or {}
    heads = description.get("num_attention_heads")
    plain = (
        description.get("model_type") == "llama"
        and description.get("tie_word_embeddings") is True
        and description.get("num_key_value_heads", heads) == heads
        and description.get("hidden_act", "silu") == "silu"
        and not description.get("attention_bias")
        and not description.get("mlp_bias")
        and not description.get("rope_scaling")
        and rope.get("rope_type", "default") == "default"
        and description.get("head_dim") in (None, description["hidden_size"] // (heads or 1))
    )
    if not plain:
        return None
    return ModelConfig(
        vocabulary_size=description["vocab_size"],
        context_length=description["max_position_embeddings"],
        width=description["hidden_size"],
        layers=description["num_hidden_layers"],
        heads=description["num_attention_heads"],
        hidden=description["intermediate_size"],
        rope_theta=float(rope.get("rope_theta", description.get("rope_theta", 10_000.0))),
        norm_epsilon=float(description["rms_norm_eps"]),
    )
