"""D4: near copies go first, then prototypes; and SemDeDup's acceptance row on real text."""

from pathlib import Path

import numpy as np

from cuvee.sources.tokenizer import train_tokenizer
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.duplicates import NearCopies
from cuvee.valuation.hashed_ngrams import HashedNgrams
from cuvee.valuation.methods.d4 import D4
from cuvee.valuation.substrates import Substrates
from tests.valuation.corpus import CORPUS, domain_texts, needs_corpus


def edited(text: str, words: list[str], rng: np.random.Generator) -> str:
    """A text with a tenth of its words replaced by others of the corpus."""
    parts = text.split(" ")
    for place in rng.permutation(len(parts))[: round(len(parts) / 10)]:
        parts[place] = words[rng.integers(len(words))]
    return " ".join(parts)


@needs_corpus
def test_edited_copies_are_found_at_little_loss(tmp_path: Path) -> None:
    """Recall >= .95 of copies with a tenth of their words edited, at <= 2 % of the originals."""
    domains = sorted(path.name for path in CORPUS.iterdir() if path.is_dir())
    texts = [text for domain in domains for text in domain_texts(domain, 120, 1500)]
    rng = np.random.default_rng(0)
    words = [word for text in texts for word in text.split()]
    copied = rng.permutation(len(texts))[: len(texts) // 10]
    copies = [edited(texts[row], words, rng) for row in copied]
    tokenizer = train_tokenizer(texts[::4], 1024, tmp_path / "tokenizer")
    pool = DocumentTable.of_texts([*texts, *copies], tokenizer)
    near = NearCopies.of(Substrates(encoder=HashedNgrams.fitted(pool)).embeddings(pool))
    dropped = near.dropped(near.similarity_for(0.1))
    assert dropped[len(texts) :].mean() >= 0.95
    assert dropped[: len(texts)].mean() <= 0.02


def test_copies_are_worth_least_and_prototypes_less_than_outliers() -> None:
    rng = np.random.default_rng(2)
    centre = np.eye(12)[rng.integers(6, size=600)]
    spread = np.where(np.arange(600) < 500, 0.1, 0.35)
    originals = centre + spread[:, None] * rng.normal(size=(600, 12))
    vectors = np.concatenate([originals, originals[:150] * 3.0, originals[150:200] + 0.001])
    values = D4().of_embeddings(vectors, 0)
    assert (values[600:] < 0).all() and (values[:600] >= 0).all()
    assert np.allclose(values[600:750], -1.0, atol=1e-6)
    assert values[500:600].mean() > 2 * values[:500].mean()


def test_values_are_distances_to_the_nearest_centroid() -> None:
    """Without duplicates, two pairs of vectors at 20 degrees: each lies 10 degrees from its centroid."""
    radians = np.deg2rad([0.0, 20.0, 180.0, 200.0])
    vectors = np.stack([np.cos(radians), np.sin(radians)], axis=1)
    found = {tuple(np.round(D4(duplicates=0.0).of_embeddings(vectors, seed), 6)) for seed in range(8)}
    assert (round(1 - float(np.cos(np.deg2rad(10.0))), 6),) * 4 in found


def test_one_document_has_a_value() -> None:
    assert np.allclose(D4().of_embeddings(np.ones((1, 3)), 0), 0.0, atol=1e-6)
    assert np.isfinite(D4().of_embeddings(np.ones((2, 3)), 0)).all()
