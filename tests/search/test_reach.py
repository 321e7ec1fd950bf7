"""Reach: along axes that runs have hardly moved along, mixtures keep the order that the runs show."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import spearmanr

from cuvee.mixture.region import Region
from cuvee.search.first_runs import FirstRuns
from cuvee.search.methods.transfer import Transfer
from cuvee.search.proposer import History
from cuvee.search.reach import EVERYWHERE, Reach
from cuvee.search.space import Fidelity, Space
from cuvee.search.surrogate import Surrogate
from cuvee.search.trials import Trials
from cuvee.types import FloatArray

NAMES = tuple("abcdef")
METRICS = ("a_loss", "b_loss", "c_loss", "other")
SMALL, MIDDLE, TARGET = (
    Fidelity("trained", 1e6, 1e9, 0.001),
    Fidelity("trained", 6e7, 1e9, 0.06),
    Fidelity("trained", 1e9, 25e9, 25.0),
)
SPACE = Space(Region.simplex(NAMES), (SMALL, MIDDLE, TARGET), 2)
WEIGHTS = np.full(4, 0.25)
_RNG = np.random.default_rng(8)
GAIN = _RNG.uniform(0.2, 1.5, (4, 6)) + np.eye(4, 6)
POWER = _RNG.uniform(0.15, 0.95, (4, 6))
ASKED = np.random.default_rng(99).dirichlet(np.full(6, 0.6), 150)


def truth(shares: FloatArray, tokens: float = 1.0) -> FloatArray:
    """Costs [n, 4]; of a run so many times longer, with every source's own power in tokens."""
    amounts = (np.maximum(shares, 1e-12) * tokens)[:, None] ** POWER
    result: FloatArray = 2.0 + 1.0 / (0.2 + (GAIN * amounts).sum(axis=2))
    return result


def history(counts: tuple[int, int, int], seed: int, longer: float = 1.0) -> History:
    """Costs are higher at smaller sizes; the target's mixtures stand as ``truth`` after ``longer`` says."""
    rng = np.random.default_rng(seed)
    fidelity = np.repeat(np.arange(3), counts)
    shares = rng.dirichlet(np.full(6, 0.6), len(fidelity))
    costs = np.where((fidelity == 2)[:, None], truth(shares, longer) - 0.8, truth(shares))
    costs = costs + np.array([0.9, 0.4, 0.0])[fidelity][:, None] + 0.002 * rng.normal(size=costs.shape)
    return History(SPACE, WEIGHTS, Trials(METRICS, shares, fidelity, costs))


def at_target(surrogate: Surrogate, fidelity: int = 2) -> FloatArray:
    return surrogate.mean(surrogate.places(ASKED, np.full(len(ASKED), fidelity))) @ WEIGHTS


def rank(counts: tuple[int, int, int]) -> float:
    """With a target that orders mixtures as cheap runs do; mean of three histories."""
    found = [
        spearmanr(at_target(Surrogate.of(history(counts, seed))), truth(ASKED) @ WEIGHTS).statistic
        for seed in range(3)
    ]
    return float(np.mean(found))


def test_the_order_of_mixtures_does_not_get_worse_as_evidence_grows() -> None:
    counts = ((16, 0, 0), (24, 8, 0), (64, 16, 0), (64, 16, 1), (64, 16, 4))
    ranks = [rank(one) for one in counts]
    assert min(ranks) > 0.9
    assert all(later > before - 0.02 for before, later in pairwise(ranks)), ranks


def test_without_other_tokens_the_target_is_ordered_as_the_runs_are() -> None:
    surrogate = Surrogate.of(history((24, 8, 0), 0))
    assert spearmanr(at_target(surrogate), at_target(surrogate, 1)).statistic > 0.98


def test_transfer_verifies_what_cheap_runs_put_first() -> None:
    known = history((16, 0, 0), 1)
    asked = Transfer().ask(known, 8, 0)
    assert {one.fidelity for one in asked} == {2} and len(FirstRuns.of(known, 16)) == 16
    picked = truth(np.array([one.shares for one in asked])) @ WEIGHTS
    assert np.median(picked) < np.quantile(truth(ASKED) @ WEIGHTS, 0.05)


def test_runs_at_other_tokens_tell_how_far_the_law_is_right_to_move() -> None:
    errors = []
    for longer in (1.0, 25.0):
        true = truth(ASKED, longer) @ WEIGHTS
        given = [at_target(Surrogate.of(history((40, 16, few), 0, longer))) for few in (1, 10)]
        errors.append([float((one - true).std() / true.std()) for one in given])
    still, moving = errors
    assert still[1] < 0.3 and moving[1] < 0.5 * moving[0]


def test_the_interval_says_that_no_run_went_there() -> None:
    surrogate = Surrogate.of(history((24, 8, 0), 0))
    at = [surrogate.places(ASKED, np.full(len(ASKED), fidelity)) for fidelity in (1, 2)]
    here, there = (np.sqrt(surrogate.covariances(one, one.select(np.arange(1)))[1]) for one in at)
    assert (there > 3.0 * here).all()  # the fidelity is not known
    # Nor is the order, by as much as the law would have moved: differences of mixtures are less sure there.
    between = [surrogate.covariances(one, one)[0] for one in at]
    apart = [np.sqrt(np.maximum(b[:, 0, 0, None] + b.diagonal(0, 1, 2) - 2 * b[:, 0], 0)) for b in between]
    assert np.median(apart[1] / np.maximum(apart[0], 1e-9)) > 1.2


def test_the_reach_of_runs() -> None:
    fidelities = (SMALL, MIDDLE, TARGET)
    cheap = Reach.of([SMALL] * 8, fidelities)
    assert (cheap.axes.params, cheap.axes.tokens) == (1e6, 1e9)
    two = Reach.of([SMALL] * 8 + [MIDDLE] * 4 + [TARGET] * 5, fidelities)
    assert math.isnan(two.axes.params) and two.axes.tokens == 1e9
    assert two.at([SMALL, TARGET]).tolist() == [True, False]
    assert not Reach.of([SMALL] * 8 + [MIDDLE] * 4 + [TARGET] * 6, fidelities).axes.any
    assert not Reach.of([SMALL] * 8, (SMALL, SMALL)).axes.any
    assert Reach.of([TARGET] * 20 + [SMALL] * 3, fidelities).axes.tokens == 25e9
    few = Reach.of([SMALL, SMALL, SMALL, TARGET], fidelities)
    assert math.isnan(few.axes.tokens)  # three runs carry no law
    assert EVERYWHERE.at(fidelities).all()


def test_what_is_said_of_a_level_beyond_the_runs() -> None:
    cheap = Reach.of([SMALL] * 8, (SMALL, MIDDLE, TARGET))
    assert "have 1M parameters and 1B tokens: beyond that" in cheap.said_of(TARGET)
    assert cheap.said_of(SMALL) == EVERYWHERE.said_of(TARGET) == ""


def test_lengths_that_rounding_moved_are_one() -> None:
    rounded = [Fidelity("trained", 1e6, 1e9 * (1 + 0.002 * i), 1.0) for i in range(8)]
    assert Reach.of(rounded, (*rounded, TARGET)).axes.tokens == pytest.approx(1e9, rel=0.02)


def test_a_metric_that_only_other_lengths_measured_lets_the_law_move() -> None:
    known = history((16, 0, 3), 0)
    costs = known.trials.costs.copy()
    costs[:16, 3] = np.nan
    trials = Trials(METRICS, known.trials.shares, known.trials.fidelity, costs)
    surrogate = Surrogate.of(History(SPACE, WEIGHTS, trials))
    assert math.isnan(surrogate.reach.axes.tokens)
    assert np.isfinite(at_target(surrogate)).all()
