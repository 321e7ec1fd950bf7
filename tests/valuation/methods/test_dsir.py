"""DSIR: closed form on a pool that can be counted by hand, and documents that must not win by luck."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.sources.tokenizer import Tokenizer, train_tokenizer
from cuvee.types import FloatArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.methods.dsir import Dsir, log_weights
from cuvee.valuation.substrates import Substrates
from tests.valuation.conftest import Tables, texts_of
from tests.valuation.corpus import CORPUS, domain_texts, needs_corpus

NOTHING = Substrates()


def test_values_are_log_ratios_of_smoothed_counts(tokenizer: Tokenizer) -> None:
    """Two tokens, each a document: unigrams and bigrams fall in buckets of their own."""
    first, second = (tokenizer.decode([one]) for one in (70, 80))
    pool = DocumentTable.of_texts([first, second], tokenizer)
    target = DocumentTable.of_texts([first], tokenizer)
    method = Dsir(buckets=10_000, least_tokens=1)
    values = method.value(pool, target, NOTHING, 0)
    q, other = 2 / 10_004, 1 / 10_004
    p = (1 + 10_000 * q) / 10_002
    absent = 10_000 / 10_002
    assert values == pytest.approx([2 * math.log(p / q), 2 * math.log(absent)], rel=1e-12)
    assert other < q


def test_weights_keep_sums_to_one_and_shrink_with_the_target() -> None:
    pool = np.array([90.0, 9.0, 1.0, 0.0])
    q = (pool + 1) / 104
    for target in (np.array([0.0, 0.0, 0.0, 1.0]), np.array([1e6, 0.0, 0.0, 1.0])):
        assert float(q @ np.exp(log_weights(pool, target))) == pytest.approx(1.0, abs=1e-12)
    assert np.abs(log_weights(pool, np.zeros(4))).max() < 1e-15


def test_the_topic_of_the_target_wins(tables: Tables) -> None:
    values = Dsir().value(tables.pool, tables.target, NOTHING, 0)
    assert values[:20].min() > values[20:].max()


def test_short_documents_win_neither_by_luck_nor_by_their_length(tokenizer: Tokenizer) -> None:
    """Two words of the target are not the best document, two words of nothing are not above its pool."""
    long = texts_of("herbs", 30, 40, 1) + texts_of("ships", 30, 40, 1)
    words = sorted({word for text in texts_of("herbs", 5, 10, 3) for word in text.split()})
    pool = DocumentTable.of_texts([*long, *words], tokenizer)
    target = DocumentTable.of_texts(texts_of("herbs", 20, 40, 2), tokenizer)
    shrunk = Dsir().value(pool, target, NOTHING, 0)
    raw = Dsir(least_tokens=1).value(pool, target, NOTHING, 0)
    assert raw[60:].max() > raw[:60].max()
    assert shrunk[60:].max() < np.median(shrunk[:30])
    average = float(shrunk[:60] @ pool.length[:60]) / pool.length[:60].sum()
    assert np.abs(shrunk[60:] - average).max() < np.abs(raw[60:] - average).max()


def test_a_giant_document_has_the_value_of_its_text(tables: Tables) -> None:
    """It is longer than a block of tokens, and most of the pool."""
    pool = tables.pool
    herbs = pool.tokens[0][: int(pool.start[20])]
    times = (1 << 20) // len(herbs) + 1
    giant = replace(
        pool,
        tokens=(np.concatenate([np.tile(herbs, times), pool.tokens[0]]),),
        start=np.concatenate([[0], pool.start + times * len(herbs)]),
        length=np.concatenate([[times * len(herbs)], pool.length]),
        source=np.concatenate([[0], pool.source]),
        shard=np.zeros(len(pool) + 1, dtype=np.int64),
    )
    values = Dsir().value(giant, tables.target, NOTHING, 0)
    assert np.isfinite(values).all() and values[0] == pytest.approx(values[1:21].mean(), abs=0.1)


def test_one_document_is_worth_what_its_pool_is(tables: Tables) -> None:
    one = tables.pool.select(np.array([0]))
    assert np.isfinite(Dsir().value(one, tables.target, NOTHING, 0)).all()


def test_another_tokenizer_is_refused(tables: Tables, tmp_path: Path) -> None:
    other = train_tokenizer(["other words entirely"] * 3, 260, tmp_path / "other")
    target = DocumentTable.of_texts(["some words"], other)
    with pytest.raises(ConfigError, match="dsir: the pool was tokenized by 'tokenizer' and the target by"):
        Dsir().value(tables.pool, target, NOTHING, 0)


@needs_corpus
def test_medical_text_is_found_among_eight_domains(tmp_path: Path) -> None:
    """Pieces of 512 characters; ten of the medical ones are noise, the letters of a text in any order."""
    others = sorted(path.name for path in CORPUS.iterdir() if path.is_dir() and path.name != "medical")
    medical, rng = domain_texts("medical", 100, 512), np.random.default_rng(0)
    noise = ["".join(rng.permutation(list(text))) for text in medical[:10]]
    texts = [*noise, *medical[10:60], *(text for one in others for text in domain_texts(one, 60, 512))]
    tokenizer = train_tokenizer(texts, 1024, tmp_path / "tokenizer")
    pool, target = (DocumentTable.of_texts(one, tokenizer) for one in (texts, medical[60:]))
    values = Dsir().value(pool, target, NOTHING, 0)
    assert won(values[10:60], values[60:]) >= 0.99
    assert won(values[10:60], values[:10]) >= 0.99


def won(better: FloatArray, worse: FloatArray) -> float:
    """Area under the curve: share of pairs in which the first is higher."""
    return float((better[:, None] > worse).mean())
