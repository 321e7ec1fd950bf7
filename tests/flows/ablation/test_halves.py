"""Halves of the evidence: pairs of complements over references and over the documents of each evaluation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuvee.evaluation.scores import Documents
from cuvee.flows.ablation.halves import FEWEST, Halves
from cuvee.types import FloatArray


def documents(counts: list[int], unscored: int = 0) -> Documents:
    """So many documents in each evaluation; the last few of the first are not scored."""
    owner = np.repeat(np.arange(len(counts)), counts)
    tokens = np.full(len(owner), 10)
    tokens[counts[0] - unscored : counts[0]] = 0
    names = tuple(f"e{place}" for place in range(len(counts)))
    return Documents(names, names, owner, tokens, tokens * 4.0)


COUNTS = st.lists(st.integers(1, 9), min_size=1, max_size=4)


@given(COUNTS, st.integers(0, 20), st.integers(1, 4))
def test_halves_of_a_pair_are_complements(counts: list[int], references: int, pairs: int) -> None:
    on = documents(counts)
    halves = Halves.draw(references, on, pairs, seed=0)
    assert halves.references.shape == (2 * pairs, references)
    assert halves.documents.shape == (2 * pairs, sum(counts))
    for one, other in zip(halves.documents[0::2], halves.documents[1::2], strict=True):
        # Only the one document of an evaluation is in both halves.
        assert on.sums(one * other).tolist() == [count == 1 for count in counts]
        assert ((one + other) >= 1).all()
        assert on.sums(one).tolist() == [max(1, count // 2) for count in counts]
        assert on.sums(other).tolist() == [-(-count // 2) for count in counts]
    for one, other in zip(halves.references[0::2], halves.references[1::2], strict=True):
        assert ((one + other) >= 1).all()
        least = min(references, FEWEST)
        assert one.sum() == max(least, references // 2)
        assert other.sum() == max(least, -(-references // 2))
        if references >= 2 * FEWEST:
            assert (one * other).sum() == 0


@pytest.mark.parametrize("count", [2, 3, 4, 5, 7, 10, 20])
def test_half_means_lie_as_far_from_the_whole_as_the_whole_from_the_truth(count: int) -> None:
    """The standard error of a mean, in closed form, by halves of documents and of references."""
    values = np.random.default_rng(count).standard_normal(count)
    error = values.std(ddof=1) / np.sqrt(count)
    halves = Halves.draw(count, documents([count]), pairs=4000, seed=0)

    def spread(rows: FloatArray) -> float:
        means = rows @ values / rows.sum(axis=1)
        return float(np.sqrt(np.square(means - values.mean()).mean()))

    odd = np.sqrt(1 + count % 2 * 2 / (count**2 - 1))
    assert spread(halves.documents) == pytest.approx(error * odd, rel=0.03)
    if count > FEWEST:
        odd = odd if count >= 2 * FEWEST else 1.0
        assert halves.overlap * spread(halves.references) == pytest.approx(error * odd, rel=0.03)


def test_the_one_document_of_an_evaluation_is_in_all_halves() -> None:
    halves = Halves.draw(8, documents([1, 6]), pairs=5, seed=1)
    assert (halves.documents[:, 0] == 1).all()


@pytest.mark.parametrize("references", [3, 4, 5, 6])
def test_a_half_has_three_references_at_least(references: int) -> None:
    assert (Halves.draw(references, documents([4]), pairs=8, seed=0).references.sum(axis=1) == 3).all()


def test_documents_of_which_nothing_is_scored_are_in_no_half() -> None:
    halves = Halves.draw(4, documents([6, 2], unscored=2), pairs=3, seed=0)
    assert (halves.documents[:, 4:6] == 0).all()
    assert (halves.documents[:, :4].sum(axis=1) == 2).all()


def test_pairs_differ_and_one_seed_gives_one_draw() -> None:
    on = documents([12, 12])
    one, again, other = (Halves.draw(12, on, pairs=6, seed=seed) for seed in (0, 0, 1))
    assert one.documents.tobytes() == again.documents.tobytes()
    assert one.references.tobytes() == again.references.tobytes()
    assert one.documents.tobytes() != other.documents.tobytes()
    for table in (one.references, one.documents):
        assert len(np.unique(table, axis=0)) == 12


def test_every_document_is_as_often_in_as_out() -> None:
    halves = Halves.draw(10, documents([20]), pairs=50, seed=0)
    assert (halves.documents.mean(axis=0) == 0.5).all()
    assert (halves.references.mean(axis=0) == 0.5).all()
