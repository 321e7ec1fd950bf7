"""Two checkpoints as others would bring them: built and trained with transformers alone.

A GPT-2 (tied head, learnt positions) and a Llama with grouped heads and a head of its own, each of about a
million parameters, trained on the first half of the documents of six domains and saved in bfloat16. The other
half is for the pool. No line of cuvee's training is used; it reads the text and trains the tokenizer.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cuvee.files import atomic_folder, write_json
from cuvee.progress import Progress
from cuvee.sources.readers import SourceSpec, read_source
from cuvee.sources.tokenizer import Tokenizer, load_tokenizer, train_tokenizer
from cuvee.types import IntArray, Json

POSITIONS = 128
SEEN, KEPT = "seen", "kept"
"""Halves of the documents: what checkpoints were trained on, and what is left for a pool."""


@dataclass(frozen=True)
class Shape:
    """An architecture, by the keys of its transformers config."""

    name: str
    kind: str
    """``model_type``."""
    config: Mapping[str, int | bool]

    def build(self, vocabulary: int) -> Any:
        """A new model in float32; its parameters are drawn from torch's generator."""
        from transformers import AutoConfig, AutoModelForCausalLM

        ends = {"bos_token_id": 0, "eos_token_id": 0}
        config = AutoConfig.for_model(self.kind, vocab_size=vocabulary, **self.config, **ends)
        return AutoModelForCausalLM.from_config(config)


GPT2 = Shape(
    "GPT-2",
    "gpt2",
    {"n_positions": POSITIONS, "n_embd": 120, "n_layer": 4, "n_head": 5},
)
LLAMA = Shape(
    "Llama",
    "llama",
    {
        "max_position_embeddings": POSITIONS,
        "hidden_size": 96,
        "intermediate_size": 256,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "tie_word_embeddings": False,
    },
)


@dataclass(frozen=True)
class Pretraining:
    """How a checkpoint is trained."""

    tokens_per_parameter: float = 6.0
    vocabulary: int = 2048
    batch_windows: int = 30
    learning_rate: float = 3e-3
    held_out: float = 0.05
    """Of the documents seen, for the comparison with a unigram model."""


@dataclass(frozen=True)
class Halves:
    """The documents of some domains in two halves, as JSON lines."""

    folder: Path
    names: tuple[str, ...]

    @classmethod
    def of(cls, corpus: Path, folder: Path, names: Sequence[str], bytes_each: int) -> "Halves":
        """Deal documents by turns; the corpus is in a shuffled order."""
        made = cls(folder, tuple(names))
        if not folder.is_dir():
            with atomic_folder(folder) as temporary:
                for name in names:
                    cls(temporary, made.names)._deal(corpus, name, bytes_each)
        return made

    def path(self, name: str, half: str) -> Path:
        """File of a half of a domain."""
        return self.folder / f"{name}.{half}.jsonl"

    def texts(self, name: str, half: str) -> list[str]:
        """Documents of a half of a domain."""
        lines = self.path(name, half).read_text(encoding="utf-8").split("\n")
        return [json.loads(line)["text"] for line in lines if line]

    def _deal(self, corpus: Path, name: str, bytes_each: int) -> None:
        spec = SourceSpec(name, (str(corpus / name / "train.jsonl.zst"),), max_bytes=2 * bytes_each)
        texts = [document.text for document in read_source(spec)]
        for half, chosen in ((SEEN, texts[::2]), (KEPT, texts[1::2])):
            lines = "".join(json.dumps({"text": one}) + "\n" for one in chosen)
            self.path(name, half).write_text(lines, encoding="utf-8")


@dataclass(frozen=True)
class Pretrained:
    """A trained model folder, and how good it is beside a unigram model."""

    folder: Path
    facts: Json
    """``parameters``, ``tokens``, and by domain held-out nats per token: ``model``, ``unigram``."""

    @classmethod
    def load(cls, folder: Path) -> "Pretrained":
        """One that is there."""
        return cls(folder, json.loads(_facts(folder).read_text(encoding="utf-8")))


def tokenizer_of(halves: Halves, how: Pretraining) -> Tokenizer:
    """Trained on what the checkpoints see; kept beside the text."""
    folder = halves.folder.parent / f"tokenizer-{how.vocabulary}"
    if folder.is_dir():
        return load_tokenizer(folder)
    texts = (text for name in halves.names for text in halves.texts(name, SEEN))
    return train_tokenizer(texts, how.vocabulary, folder)


def pretrained(
    shape: Shape, halves: Halves, folder: Path, how: Pretraining, progress: Progress
) -> Pretrained:
    """Build, train and save, unless the folder is there; a stopped training begins anew."""
    if not _facts(folder).is_file():
        tokenizer = tokenizer_of(halves, how)
        seen, held_out = {}, {}
        for name in halves.names:
            texts = halves.texts(name, SEEN)
            cut = max(1, round(how.held_out * len(texts)))
            seen[name], held_out[name] = (_windows(tokenizer, part) for part in (texts[cut:], texts[:cut]))
        torch.manual_seed(0)
        model = shape.build(tokenizer.vocabulary_size)
        parameters = sum(one.numel() for one in model.parameters())
        tokens = _train(model, seen, round(how.tokens_per_parameter * parameters), how, progress)
        facts = {"parameters": parameters, "tokens": tokens}
        facts |= {"model": _losses(model, held_out), "unigram": _unigram(seen, held_out, tokenizer)}
        _save(model, halves.folder.parent / f"tokenizer-{how.vocabulary}", folder)
        write_json(_facts(folder), facts)
    return Pretrained.load(folder)


def _facts(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.json")


def _windows(tokenizer: Tokenizer, texts: Sequence[str]) -> IntArray:
    """[W, T] tokens of documents behind each other, each with its end."""
    stream = [token for one in tokenizer.encode_batch(texts) for token in (*one, tokenizer.end_of_text)]
    return np.array(stream[: len(stream) // POSITIONS * POSITIONS], dtype=np.int64).reshape(-1, POSITIONS)


def _train(
    model: Any, seen: Mapping[str, IntArray], tokens: int, how: Pretraining, progress: Progress
) -> int:
    """AdamW under a cosine, equally many windows of each domain; returns the tokens read."""
    rng, groups = np.random.default_rng(0), list(seen.values())
    steps = math.ceil(tokens / (how.batch_windows * POSITIONS))
    optimizer = torch.optim.AdamW(model.parameters(), lr=how.learning_rate, betas=(0.9, 0.95))
    warmup = max(1, steps // 20)
    factors = [
        min((step + 1) / warmup, 0.5 + 0.5 * math.cos(math.pi * step / steps)) for step in range(steps)
    ]
    progress.stage(f"training a {model.config.model_type} with transformers", steps, "steps")
    model.train()
    for factor in factors:
        picked = [group[rng.integers(len(group))] for group in _chosen(groups, how.batch_windows, rng)]
        for group in optimizer.param_groups:
            group["lr"] = factor * how.learning_rate
        batch = torch.from_numpy(np.stack(picked))
        _loss(model, batch).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        progress.advance(1)
    return steps * how.batch_windows * POSITIONS


def _loss(model: Any, windows: Tensor) -> Tensor:
    """Nats per token of windows [B, T]; the first token of each is given."""
    logits = model(input_ids=windows, use_cache=False).logits[:, :-1]
    return F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())


def _chosen(groups: Sequence[IntArray], count: int, rng: np.random.Generator) -> list[IntArray]:
    return [groups[place] for place in rng.permutation(np.arange(count) % len(groups))]


@torch.no_grad()
def _losses(model: Any, held_out: Mapping[str, IntArray]) -> Json:
    """Nats per token by domain, in bfloat16 as the folder has the model."""
    model.bfloat16().float().eval()

    def of(windows: IntArray) -> float:
        batches = torch.from_numpy(windows).split(64)
        return sum(float(_loss(model, one)) * len(one) for one in batches) / len(windows)

    return {name: of(windows) for name, windows in held_out.items()}


def _unigram(seen: Mapping[str, IntArray], held_out: Mapping[str, IntArray], tokenizer: Tokenizer) -> Json:
    """Nats per token of each domain under its own unigram frequencies, which is more than the model knows."""
    found = {}
    for name, windows in seen.items():
        counts = 1 + np.bincount(windows.ravel(), minlength=tokenizer.vocabulary_size)
        found[name] = float(-np.log(counts / counts.sum())[held_out[name][:, 1:]].mean())
    return found


def _save(model: Any, tokenizer: Path, folder: Path) -> None:
    """In bfloat16 with its tokenizer, whole or not at all."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    with atomic_folder(folder) as temporary:
        model.bfloat16().save_pretrained(temporary)
        for file in tokenizer.iterdir():
            (temporary / file.name).write_bytes(file.read_bytes())
