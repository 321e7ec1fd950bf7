"""Learning curves: interpolation along a branch, and where they stand in for a proxy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuvee.errors import ConfigError
from cuvee.evaluation.learning_curves import LearningCurves

POSITIONS = np.array([0.25, 1.0])


def curves() -> LearningCurves:
    """Two sources and three evaluations, the last out of pool."""
    losses = np.array(
        [[[3.0, 9.0, 7.0], [2.0, 9.0, 7.0]], [[9.0, 2.0, 7.0], [9.0, 1.0, 7.0]]]
    )  # [source, position, evaluation]
    return LearningCurves(POSITIONS, np.array([4.0, 4.0, 4.0]), losses, np.array([0, 1, -1]))


def test_the_curve_passes_through_the_seed_and_every_snapshot() -> None:
    at = curves().at(np.array([[0.0, 1.0], [0.25, 0.75], [1.0, 0.0]]))
    assert at[:, 0].tolist() == [4.0, 3.0, 2.0]
    assert at[0, 1] == 1.0
    assert at[2, 1] == 4.0
    assert np.isnan(at[:, 2]).all()


def test_between_two_snapshots_the_loss_is_linear_in_the_root_of_the_share() -> None:
    share = 0.5625  # its root lies half way between those of 0.25 and 1
    assert curves().at(np.array([[share, 1 - share]]))[0, 0] == pytest.approx(2.5)


def test_only_evaluations_whose_source_takes_part_are_replaced() -> None:
    proxy = np.full((2, 3), 8.0)
    replaced = curves().substituted(np.array([[1.0, 0.0], [0.25, 0.75]]), proxy)
    assert replaced[0].tolist() == [2.0, 8.0, 8.0]
    assert replaced[1, 0] == 3.0
    assert replaced[1, 1] < 2.0
    assert replaced[1, 2] == 8.0


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_of_a_source_is_never_worse_for_it_where_its_branch_got_better_all_the_way(
    one: float, other: float
) -> None:
    low, high = sorted((one, other))
    at = curves().at(np.array([[low, 1 - low], [high, 1 - high]]))
    assert at[1, 0] <= at[0, 0] + 1e-12


@pytest.mark.parametrize("positions", [[0.0, 1.0], [0.5, 0.5], [1.0, 0.5]])
def test_positions_must_ascend_from_above_zero(positions: list[float]) -> None:
    given_ = curves()
    with pytest.raises(ConfigError, match="ascend"):
        LearningCurves(np.array(positions), given_.start, given_.losses, given_.own)


def test_losses_that_do_not_fit_are_refused() -> None:
    given_ = curves()
    with pytest.raises(ConfigError, match="do not fit"):
        LearningCurves(np.array([1.0]), given_.start, given_.losses, given_.own)
