"""Toy streams, and real runs on shards that are made in a second."""

from pathlib import Path
from typing import Any

import numpy as np

from cuvee.mixture.mixture import Mixture
from cuvee.models.config import ModelConfig
from cuvee.models.llama import Llama
from cuvee.sources.document import Document
from cuvee.sources.shards import TokenShard, write_shard
from cuvee.training.recipe import Recipe
from cuvee.training.run import ModelSpec, TrainingRun
from cuvee.types import IntArray

VOCABULARY, CONTEXT = 32, 16
CONFIG = ModelConfig(
    vocabulary_size=VOCABULARY, context_length=CONTEXT, width=32, layers=1, heads=1, hidden=32
)


def tiny_model() -> Llama:
    return Llama(CONFIG)


def recipe(**changes: Any) -> Recipe:
    given: dict[str, Any] = {
        "steps": 12,
        "batch_sequences": 4,
        "context_length": CONTEXT,
        "learning_rate": 1e-2,
        "schedule": "constant",
    }
    return Recipe(**given | changes)


class Counting:
    """Sequences that count upwards by one of two strides: learnable, and different at every step."""

    def __init__(self, sequences: int = 4) -> None:
        self.sequences = sequences

    def batch(self, step: int) -> tuple[IntArray, IntArray]:
        rng = np.random.default_rng([7, step])
        begin = rng.integers(VOCABULARY, size=(self.sequences, 1))
        stride = rng.choice([1, 3], size=(self.sequences, 1))
        tokens = (begin + stride * np.arange(CONTEXT + 1)) % VOCABULARY
        return np.ascontiguousarray(tokens[:, :-1]), np.ascontiguousarray(tokens[:, 1:])


class LetterTokenizer:
    """Token = place in the alphabet; 0 ends a document."""

    vocabulary_size = VOCABULARY
    end_of_text = 0
    hash = "letters"

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        return [[ord(letter) - ord("a") + 1 for letter in text] for text in texts]


def letters(seed: int, documents: int = 30) -> list[str]:
    """Documents in which each letter mostly has one successor, which differs with the seed."""
    rng = np.random.default_rng(seed)
    successor = rng.permutation(26)
    found = []
    for _ in range(documents):
        letter, text = int(rng.integers(26)), ""
        for _ in range(40):
            letter = int(successor[letter]) if rng.random() < 0.8 else int(rng.integers(26))
            text += chr(ord("a") + letter)
        found.append(text)
    return found


def shard(folder: Path, source: str, seed: int, documents: int = 30) -> TokenShard:
    tokenizer: Any = LetterTokenizer()
    texts = [Document(text, source, f"memory:{i}") for i, text in enumerate(letters(seed, documents))]
    return write_shard(folder, texts, tokenizer, source=source, part="unit-0")


def training_run(root: Path, **changes: Any) -> TrainingRun:
    """A run on two sources, three to one, that takes a tenth of a second; its data lie in ``root``."""
    shards = {name: shard(root / "shards" / name, name, seed) for seed, name in enumerate(("web", "code"))}
    tokenizer = root / "tokenizer"
    tokenizer.mkdir(exist_ok=True)
    given: dict[str, Any] = {
        "model": ModelSpec(CONFIG),
        "start": None,
        "mixture": Mixture.of({"web": 0.75, "code": 0.25}),
        "shards": {name: (one.folder,) for name, one in shards.items()},
        "content": {name: (one.content_hash,) for name, one in shards.items()},
        "recipe": recipe(),
        "tokenizer_folder": tokenizer,
        "tokenizer": "letters",
        "root": root / "checkpoints",
    }
    return TrainingRun(**given | changes)


def files(folder: Path) -> dict[str, bytes]:
    """Name -> content of all files of a folder."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}
