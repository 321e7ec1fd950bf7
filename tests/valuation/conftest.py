"""What tests of valuation share: a tiny tokenizer, two topics of made-up words, a small model."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from cuvee.models.config import ModelConfig
from cuvee.models.llama import Llama
from cuvee.sources.tokenizer import Tokenizer, train_tokenizer
from cuvee.training.loop import train
from cuvee.training.recipe import Recipe
from cuvee.training.state import TrainingState
from cuvee.valuation.document_stream import DocumentStream
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.hashed_ngrams import HashedNgrams
from cuvee.valuation.proxy_model import ProxyModel
from cuvee.valuation.proxy_training import ProxyTraining
from cuvee.valuation.substrates import Substrates

LETTERS = {"herbs": "aeiou bcdlm", "ships": "aeiou knprt"}
"""Vowels and consonants of the words of each topic."""
WORDS = 60
"""Of a topic."""


def words_of(topic: str) -> list[str]:
    """The words of a topic, the same in every run."""
    rng = np.random.default_rng([17, *topic.encode()])
    vowels, consonants = LETTERS[topic].split()
    return [
        "".join(rng.choice(list(one)) for _ in range(3) for one in (consonants, vowels)) for _ in range(WORDS)
    ]


def texts_of(topic: str, count: int, words: int, seed: int) -> list[str]:
    """Documents of so many words, frequent ones first as in text."""
    rng = np.random.default_rng([seed, *topic.encode()])
    known, frequency = words_of(topic), 1.0 / np.arange(1, WORDS + 1)
    drawn = rng.choice(WORDS, size=(count, words), p=frequency / frequency.sum())
    return [" ".join(known[one] for one in row) for row in drawn]


@dataclass(frozen=True)
class Tables:
    """A pool of two sources, of which the target is like the first."""

    pool: DocumentTable
    target: DocumentTable


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """Some 400 tokens, trained on both topics."""
    folder: Path = tmp_path_factory.mktemp("tokenizer") / "tokenizer"
    return train_tokenizer([one for topic in LETTERS for one in texts_of(topic, 50, 40, 5)], 400, folder)


@pytest.fixture(scope="session")
def tables(tokenizer: Tokenizer) -> Tables:
    """40 documents of two topics, 12 more of the first as the target and 2 of the second."""
    pool = texts_of("herbs", 20, 30, 1) + texts_of("ships", 20, 30, 1)
    target = texts_of("herbs", 12, 30, 2) + texts_of("ships", 2, 30, 2)
    return Tables(
        DocumentTable.of_texts(pool, tokenizer, sources=["herbs"] * 20 + ["ships"] * 20),
        DocumentTable.of_texts(target, tokenizer, sources=["herbs"] * 12 + ["ships"] * 2),
    )


@pytest.fixture(scope="session")
def proxy(tokenizer: Tokenizer) -> ProxyModel:
    """A model of 100k parameters that has learnt nothing."""
    model = Llama(ModelConfig.for_parameters(100_000, tokenizer.vocabulary_size, 32))
    return ProxyModel(model, model.initial(3))


@pytest.fixture(scope="session")
def proxy_substrates(proxy: ProxyModel) -> Substrates:
    """What a study has at hand before any training: its proxy."""
    return Substrates(proxy=proxy)


@pytest.fixture(scope="session")
def learnt(tables: Tables, proxy: ProxyModel) -> Substrates:
    """A proxy that has read the pool once, Adam's moments, and a training that goes on from there."""
    recipe = Recipe(steps=1, batch_sequences=4, context_length=32, learning_rate=3e-3)
    fresh = TrainingState.fresh(proxy.flat)
    stream = DocumentStream.of(tables.pool, recipe, 0)
    state = train(proxy.model, fresh, stream, replace(recipe, steps=stream.steps), key="learnt")
    moments = state.second_moment / (1.0 - recipe.beta2**state.updates)
    return Substrates(
        proxy=ProxyModel(proxy.model, state.flat, moments),
        training=ProxyTraining(proxy.model, state, "learnt", recipe),
        encoder=HashedNgrams.fitted(tables.pool),
    )
