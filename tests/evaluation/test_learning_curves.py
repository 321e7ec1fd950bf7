"""Learning curves: interpolation along a branch, and where they stand in for a proxy."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuvee.errors import ConfigError
from cuvee.evaluation.learning_curves import LearningCurves
from cuvee.evaluation.scores import Documents
from cuvee.types import FloatArray

POSITIONS = np.array([0.25, 1.0])
TOKENS = np.array([1, 3, 2, 4, 1, 5])
DOCUMENTS = Documents(
    ("a", "b", "out of pool"), ("a", "b", "c"), np.repeat([0, 1, 2], 2), TOKENS, 4.0 * TOKENS
)
"""Two documents an evaluation."""


def nats(losses: object) -> FloatArray:
    """[..., E] nats per token to [..., D] nats. Documents of an evaluation differ by one nat a token."""
    spread = np.array([0.75, -0.25, 2 / 3, -1 / 3, 5 / 6, -1 / 6])  # means over tokens are zero
    return np.asarray((np.asarray(losses, dtype=np.float64)[..., DOCUMENTS.evaluation] + spread) * TOKENS)


def curves() -> LearningCurves:
    """Two sources and three evaluations, the last out of pool."""
    along = nats([[3.0, 2.0, 7.0], [2.0, 1.0, 7.0]])  # [position, evaluation]
    return LearningCurves(DOCUMENTS, np.array([0, 1, -1]), POSITIONS, nats([4.0, 4.0, 4.0]), along)


def at(*shares: list[float]) -> FloatArray:
    """Losses [M, E] in the place of a proxy that says eight everywhere."""
    return DOCUMENTS.means(curves().substituted(np.array(shares), nats(np.full((len(shares), 3), 8.0))))


def test_the_curve_passes_through_every_snapshot() -> None:
    found = at([0.25, 0.75], [1.0, 0.0], [0.0, 1.0])
    assert found[:, 0] == pytest.approx([3.0, 2.0, 8.0])
    assert found[2, 1] == pytest.approx(1.0)


def test_it_begins_with_the_seed() -> None:
    assert at([1e-12, 1.0])[0, 0] == pytest.approx(4.0, abs=1e-5)


def test_between_two_snapshots_the_loss_is_linear_in_the_root_of_the_share() -> None:
    share = 0.5625  # its root lies half way between those of 0.25 and 1
    assert at([share, 1 - share])[0, 0] == pytest.approx(2.5)
    assert at([0.0625, 0.9375])[0, 0] == pytest.approx(3.5)  # and of this between 0 and 0.25


def test_only_evaluations_whose_source_takes_part_are_replaced() -> None:
    proxy = nats([[8.0, 8.0, 8.0]])
    replaced = curves().substituted(np.array([[1.0, 0.0]]), proxy)
    np.testing.assert_array_equal(replaced[:, 2:], proxy[:, 2:])
    np.testing.assert_allclose(replaced[:, :2], nats([[2.0, 0.0, 0.0]])[:, :2])
    np.testing.assert_array_equal(proxy, nats([[8.0, 8.0, 8.0]]), "the proxy's own are left as they are")


def test_every_document_has_its_own_curve() -> None:
    """Half way between two snapshots each document is half way between its own two losses."""
    one = curves()
    along = one.nats * np.array([[1.0, 2.0, 1.0, 1.0, 1.0, 1.0], [1.0, 0.5, 1.0, 1.0, 1.0, 1.0]])
    found = replace(one, nats=along).substituted(np.array([[0.5625, 0.4375]]), nats([[8.0, 8.0, 8.0]]))
    np.testing.assert_allclose(found[0, :2], along[:, :2].mean(axis=0))


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_of_a_source_is_never_worse_for_it_where_its_branch_got_better_all_the_way(
    one: float, other: float
) -> None:
    low, high = sorted((one, other))
    found = at([low, 1 - low], [high, 1 - high])
    assert found[1, 0] <= found[0, 0] + 1e-12


@pytest.mark.parametrize("positions", [[0.0, 1.0], [0.5, 0.5], [1.0, 0.5]])
def test_positions_must_ascend_from_above_zero(positions: list[float]) -> None:
    with pytest.raises(ConfigError, match="ascend"):
        replace(curves(), positions=np.array(positions))


@pytest.mark.parametrize(
    "change",
    [{"positions": np.array([1.0])}, {"start": np.zeros(3)}, {"nats": np.zeros((2, 5))}],
    ids=lambda change: next(iter(change)),
)
def test_losses_that_do_not_fit_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="do not fit"):
        replace(curves(), **change)
