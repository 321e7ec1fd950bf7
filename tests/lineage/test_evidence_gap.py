"""Which mixtures lie outside the runs."""

import numpy as np
import pytest

from cuvee.lineage.evidence_gap import MARGIN, is_outside, uncovered
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region

NAMES = ("a", "b", "c")
SIMPLEX = Region.simplex(NAMES)


def test_the_corners_cover_everything_and_no_run_nothing() -> None:
    assert uncovered(SIMPLEX, np.eye(3), seed=0) == 0.0
    assert uncovered(SIMPLEX, np.zeros((0, 3)), seed=0) == 1.0


def test_the_parts_of_a_split_lie_on_one_line() -> None:
    """Runs with b and c in one proportion: only mixtures near that line are covered."""
    line = np.array([[1.0, 0.0, 0.0], [0.0, 0.25, 0.75]])
    assert not is_outside(Mixture(NAMES, np.array([0.2, 0.2, 0.6])), line)
    assert is_outside(Mixture(NAMES, np.array([0.2, 0.4, 0.4])), line)
    assert uncovered(SIMPLEX, line, seed=0) > 0.7


@pytest.mark.parametrize(("beyond", "outside"), [(MARGIN - 1e-3, False), (MARGIN + 1e-3, True)])
def test_the_margin_is_the_share_of_tokens_that_would_move(beyond: float, outside: bool) -> None:
    runs = np.array([[0.5, 0.5, 0.0], [0.5, 0.25, 0.25]])
    mixture = Mixture(NAMES, np.array([0.5 + beyond, 0.4 - beyond, 0.1]))
    assert is_outside(mixture, runs) is outside


def test_blends_of_runs_are_covered() -> None:
    rng = np.random.default_rng(0)
    runs = rng.dirichlet(np.ones(5), 9)
    for weights in rng.dirichlet(np.ones(9), 20):
        assert not is_outside(Mixture(tuple("abcde"), weights @ runs), runs)


def test_it_is_the_same_for_the_same_seed() -> None:
    runs = np.random.default_rng(0).dirichlet(np.ones(3), 4)
    assert uncovered(SIMPLEX, runs, seed=3) == uncovered(SIMPLEX, runs[::-1], seed=3)
