"""Hashed n-grams: that borders of documents count, that frequencies are kept, and what vectors say."""

import numpy as np

from cuvee.sources.tokenizer import Tokenizer
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.hashed_ngrams import HashedNgrams, bucket_counts, buckets_of, ngram_hashes
from cuvee.valuation.substrates import Substrates
from tests.valuation.conftest import Tables, texts_of


def test_a_document_hashes_alike_wherever_it_stands() -> None:
    alone = ngram_hashes(np.array([5, 6, 5]), np.array([0, 3]), 9)
    behind = ngram_hashes(np.array([1, 2, 5, 6, 5]), np.array([0, 2, 5]), 9)
    assert np.array_equal(alone, behind[:, 2:])
    assert alone[0, 0] == alone[0, 2] and alone[1, 0] != alone[1, 2]


def test_hashes_are_the_same_on_every_machine() -> None:
    found = ngram_hashes(np.array([0, 300]), np.array([0, 2]), 1)
    assert found.tolist() == [[0, 6856988581158017503], [6567695246255796442, 11465508406868849345]]


def test_buckets_are_used_evenly() -> None:
    tokens = np.arange(20_000)
    found = buckets_of(ngram_hashes(tokens, np.array([0, 20_000]), 0), 100)
    assert found.min() == 0 and found.max() == 99
    expected = 400.0
    assert float(((np.bincount(found.ravel()) - expected) ** 2 / expected).sum()) < 150.0  # chi-square, 99 df


def test_every_token_counts_twice(tables: Tables) -> None:
    assert bucket_counts(tables.pool, 1000).sum() == 2 * tables.pool.size


def test_vectors_are_near_for_what_shares_text(tokenizer: Tokenizer) -> None:
    one, other = texts_of("herbs", 2, 40, 1)
    words = one.split()
    edited = " ".join(["zzz" if place % 10 == 3 else word for place, word in enumerate(words)])
    pool = DocumentTable.of_texts([one, edited, other, *texts_of("ships", 20, 40, 1)], tokenizer)
    unit = Substrates(encoder=HashedNgrams.fitted(pool, 1024)).embeddings(pool)
    cosines = unit @ unit[0]
    assert cosines[1] > 0.65 and 0.0 < cosines[2] < cosines[1] - 0.2
    assert np.abs(cosines[3:]).max() < 0.15


def test_vectors_do_not_depend_on_company(tables: Tables) -> None:
    embedder = HashedNgrams.fitted(tables.pool)
    whole = embedder.embed(tables.pool, np.arange(len(tables.pool)))
    some = embedder.embed(tables.pool, np.array([3, 7]))
    assert np.array_equal(whole[[3, 7]], some)


def test_the_key_says_what_decides_the_vectors(tables: Tables) -> None:
    one, other = HashedNgrams.fitted(tables.pool), HashedNgrams.fitted(tables.target)
    assert one.key == HashedNgrams.fitted(tables.pool).key
    assert len({one.key, other.key, HashedNgrams.fitted(tables.pool, 64).key}) == 3
    assert one.width == 256


def test_no_document_cancels_itself(tokenizer: Tokenizer) -> None:
    """With one place for all n-grams, half of the documents of a single token would have no length."""
    texts = [tokenizer.decode([one]) for one in range(40, 90)]
    pool = DocumentTable.of_texts([text for text in texts if text.isascii()], tokenizer)
    vectors = HashedNgrams.fitted(pool, 1).embed(pool, np.arange(len(pool)))
    assert len(pool) > 20 and (np.abs(vectors) > 0).all()
    assert np.isfinite(Substrates(encoder=HashedNgrams.fitted(pool, 1)).embeddings(pool)).all()
