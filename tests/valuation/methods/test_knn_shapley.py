"""kNN-Shapley against the definition: all coalitions of a small pool."""

from itertools import combinations
from math import comb

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.sources.tokenizer import Tokenizer
from cuvee.types import AnyArray, FloatArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.hashed_ngrams import HashedNgrams
from cuvee.valuation.methods.knn_shapley import KnnShapley, classes_of, knn_shapley
from cuvee.valuation.substrates import NotAtHand, Substrates
from tests.valuation.conftest import Tables


def utility(rows: tuple[int, ...], cosines: AnyArray, right: AnyArray, neighbours: int) -> float:
    """Mean over the target of the share of the K nearest of a set that have the right class."""
    chosen = np.array(rows, dtype=np.int64)
    votes = [
        right[one, chosen[np.argsort(-cosines[one, chosen], kind="stable")][:neighbours]].sum()
        for one in range(len(cosines))
    ]
    return float(np.mean(votes)) / neighbours


def brute_force(cosines: AnyArray, right: AnyArray, neighbours: int) -> FloatArray:
    count = cosines.shape[1]
    values = np.zeros(count)
    for row in range(count):
        others = [one for one in range(count) if one != row]
        for size in range(count):
            for rows in combinations(others, size):
                gain = utility((*rows, row), cosines, right, neighbours) - utility(
                    rows, cosines, right, neighbours
                )
                values[row] += gain / (count * comb(count - 1, size))
    return values


@pytest.mark.parametrize(("count", "neighbours"), [(7, 1), (7, 3), (7, 7), (4, 6), (1, 2)])
def test_values_are_shapley_values(count: int, neighbours: int) -> None:
    """Within 1e-12 of the sum over all coalitions, also with fewer documents than neighbours."""
    rng = np.random.default_rng(count + neighbours)
    pool, target = rng.normal(size=(count, 3)), rng.normal(size=(4, 3))
    ours, theirs = rng.integers(3, size=count), rng.integers(3, size=4)
    unit = pool / np.linalg.norm(pool, axis=1)[:, None]
    found = knn_shapley(pool, target, ours, theirs, neighbours)
    right = ours == theirs[:, None]
    exact = brute_force(target @ unit.T, right, neighbours)
    assert np.abs(found - exact).max() <= 1e-12
    everyone = utility(tuple(range(count)), target @ unit.T, right, neighbours)
    assert found.sum() == pytest.approx(everyone, abs=1e-12)


def test_documents_of_the_targets_topic_are_worth_more(tables: Tables) -> None:
    substrates = Substrates(encoder=HashedNgrams.fitted(tables.pool))
    values = KnnShapley().value(tables.pool, tables.target, substrates, 0)
    assert values[:20].mean() > 0.03 > 0.01 > values[20:].mean()
    assert 0.8 < values.sum() <= 1.0


def test_a_wrong_label_is_worth_least() -> None:
    rng = np.random.default_rng(3)
    classes = np.repeat([0, 1], 50)
    pool = np.eye(2)[classes] + 0.2 * rng.normal(size=(100, 2))
    target = np.eye(2)[np.repeat([0, 1], 20)] + 0.2 * rng.normal(size=(40, 2))
    flipped = classes.copy()
    flipped[:5] = 1
    values = knn_shapley(pool, target, flipped, np.repeat([0, 1], 20), 5)
    assert values[:5].mean() < 0.0 < 0.005 < values[5:50].mean()


def test_classes_are_names_of_sources_or_labels(tokenizer: Tokenizer) -> None:
    def table(sources: list[str], labels: list[int] | None = None) -> DocumentTable:
        return DocumentTable.of_texts(["ab cd"] * len(sources), tokenizer, sources=sources, labels=labels)

    ours, theirs = classes_of(table(["a", "b", "a"]), table(["c", "b"]))
    assert ours.tolist() == [0, 1, 0] and theirs.tolist() == [2, 1]
    ours, theirs = classes_of(table(["a", "a"], [4, 5]), table(["b"], [5]))
    assert ours.tolist() == [4, 5] and theirs.tolist() == [5]
    with pytest.raises(NotAtHand, match="the target has no labels"):
        classes_of(table(["a"], [1]), table(["a"]))
    with pytest.raises(NotAtHand, match="the pool has no labels"):
        classes_of(table(["a"]), table(["a"], [1]))
    with pytest.raises(NotAtHand, match="no name of a source of the target is one of the pool"):
        classes_of(table(["a", "b"]), table(["c"]))
    with pytest.raises(NotAtHand, match="no label of the target"):
        classes_of(table(["a", "b"], [1, 2]), table(["c"], [9]))
    with pytest.raises(NotAtHand, match="all documents of the pool have one name of a source"):
        classes_of(table(["a", "a"]), table(["a"]))


def test_what_cannot_be_is_refused() -> None:
    one = np.array([0])
    with pytest.raises(ConfigError, match="neighbours must be at least 1, not 0"):
        knn_shapley(np.ones((1, 2)), np.ones((1, 2)), one, one, 0)
    with pytest.raises(ConfigError, match="document 0 is not finite"):
        knn_shapley(np.full((1, 2), np.nan), np.ones((1, 2)), one, one, 1)
