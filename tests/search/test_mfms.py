"""The published multi-fidelity optimiser: its process against closed forms, its rules on a made-up space."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.search.methods.mfms import FittedSurrogate, MultiFidelityMultiScale
from cuvee.search.product_process import ProcessPosterior, ProcessPrior, covariance, loss, squared_distances
from cuvee.search.proposer import History, Method, Proposer
from cuvee.search.replay import Replay
from cuvee.search.space import Experiment, Fidelity, Space
from cuvee.search.trajectory import trajectory_of
from cuvee.search.trials import Trials
from cuvee.types import FloatArray

METHOD = MultiFidelityMultiScale()
ONE = np.ones(1)
SOURCES = ("code", "law", "web")
SIZES, STEPS = (1e6, 1e7, 1e8), (10.0, 20.0, 400.0, 1000.0)
OVERHEAD = 2e9  # FLOPs of every run; the target takes 1e11
LEVELS = tuple(Fidelity("trained", n, d, n * d + OVERHEAD) for n in SIZES for d in STEPS)
SHORT = {i for i, fidelity in enumerate(LEVELS) if fidelity.tokens < 50}
SPACE = Space(Region.simplex(SOURCES), LEVELS, len(LEVELS) - 1)
BEST = np.array([0.7, 0.2, 0.1])


def truth(shares: FloatArray, fidelity: int, depth: float = 3.0) -> FloatArray:
    """A bowl of which smaller fidelities have the bottom elsewhere."""
    size = LEVELS[fidelity]
    away = 0.1 * (1.0 - math.log10(size.params) / 8.0)
    distance = ((shares - BEST - [away, -away, 0.0]) ** 2).sum(axis=1, keepdims=True)
    result: FloatArray = 2.0 + depth * distance + (1e6 / size.params) ** 0.3 + (10 / size.tokens) ** 0.5
    return result


def told(asks: int, space: Space = SPACE, curves: bool = True, seed: int = 0) -> History:
    """After some asks, all told."""
    replay = Replay(replace(space, curves=curves), ("loss",), truth)
    proposer = Proposer(METHOD, space, ("loss",), ONE, seed)
    for _ in range(asks):
        (one,) = proposer.ask()
        rows = replay.with_checkpoints(one, proposer.history.trials)
        proposer.tell(rows, replay.measure(rows))
    return proposer.history


def data(count: int = 12, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    points = np.hstack([rng.dirichlet(np.ones(3), count), rng.uniform(size=(count, 2))])
    return points, 2.0 + points[:, 0] - points[:, 4] + 0.1 * rng.normal(size=count)


# --- the process ------------------------------------------------------------------------------------


def test_covariance_is_the_product_of_three() -> None:
    left, right = np.array([[1.0, 0.0, 0.2, 0.5]]), np.array([[0.4, 0.6, 0.5, 1.0]])
    expected = (
        math.exp(-0.72 / (2 * 0.5**2)) * math.exp(-0.09 / (2 * 2.0**2)) * math.exp(-0.25 / (2 * 3.0**2))
    )
    found = covariance(squared_distances(left, right), np.array([0.5, 2.0, 3.0]))
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_loss_is_that_of_a_normal_and_its_derivatives_are_differences() -> None:
    points, values = data()
    squares = squared_distances(points, points)
    theta = np.random.default_rng(1).normal(size=9)
    lengths = np.log1p(np.exp(theta[:3]))
    normal = multivariate_normal(
        points @ theta[3:-1] + theta[-1], covariance(squares, lengths) + 0.1 * np.eye(len(values))
    )
    value, gradient = loss(theta, points, values, squares, 0.1)
    assert value == pytest.approx(-normal.logpdf(values) / len(values), rel=1e-10)
    for index, step in enumerate(1e-6 * np.eye(9)):
        up, down = (loss(theta + sign * step, points, values, squares, 0.1)[0] for sign in (1, -1))
        assert gradient[index] == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-8)


def test_fitting_lowers_the_loss_and_repeats_itself() -> None:
    points, values = data(40)
    squares = squared_distances(points, points)

    def of(prior: ProcessPrior) -> float:
        theta = np.concatenate([np.log(np.expm1(prior.lengths)), prior.slope, [prior.intercept]])
        return loss(theta, points, values, squares, 0.1)[0]

    before, after = (ProcessPrior.fitted(points, values, 0.1, n, np.random.default_rng(0)) for n in (0, 50))
    assert before.lengths == pytest.approx(np.full(3, math.log(2.0)))
    assert of(after) < of(before) - 0.3
    again = ProcessPrior.fitted(points, values, 0.1, 50, np.random.default_rng(0))
    assert np.array_equal(after.lengths, again.lengths)
    assert np.array_equal(after.slope, again.slope)


def test_the_posterior_is_the_conditional_normal() -> None:
    points, values = data()
    asked = data(5, seed=3)[0]
    prior = ProcessPrior(np.array([0.4, 0.8, 0.6]), np.arange(5) / 5, 0.3)
    both = np.concatenate([points, asked])
    joint = covariance(squared_distances(both, both), prior.lengths)
    noisy = joint[:12, :12] + 0.1 * np.eye(12)
    gain = joint[12:, :12] @ np.linalg.inv(noisy)
    mean, deviation = ProcessPosterior.of(prior, points, values, 0.1).predict(asked)
    assert mean == pytest.approx(prior.mean(asked) + gain @ (values - prior.mean(points)), rel=1e-9)
    variance = np.diag(joint[12:, 12:] - gain @ joint[:12, 12:])
    assert deviation == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_expected_improvement_is_the_integral() -> None:
    points, values = data()
    asked = data(4, seed=3)[0]
    posterior = ProcessPosterior.of(ProcessPrior(np.full(3, 0.4), np.zeros(5), 2.0), points, values, 0.1)
    lowest = float(values.min())
    found = posterior.expected_improvement(asked, lowest)
    for gain, mean, deviation in zip(found, *posterior.predict(asked), strict=True):
        density = norm(mean, deviation).pdf
        expected, _ = quad(lambda y: (lowest - y) * density(y), mean - 12 * deviation, lowest)  # noqa: B023
        assert gain == pytest.approx(expected, rel=1e-6, abs=1e-12)


# --- the method -------------------------------------------------------------------------------------


def test_it_is_a_method_and_repeats_itself() -> None:
    method: Method = METHOD
    assert method.name == "mfms"
    history = told(23)
    again = told(23)
    assert np.array_equal(history.trials.shares, again.trials.shares)
    assert np.array_equal(history.trials.fidelity, again.trials.fidelity)
    assert method.ask(history, 2, 0) == method.ask(again, 2, 0)
    assert method.ask(history, 1, 0) != method.ask(history, 1, 1)


def test_it_begins_with_random_short_runs_and_then_leaves_them() -> None:
    history = told(26)
    runs = {
        (row.tobytes(), LEVELS[fidelity].params)
        for row, fidelity in zip(history.trials.shares, history.trials.fidelity, strict=True)
    }
    assert len(runs) >= 24  # a mixture may be asked for again at more steps
    first = told(20).trials
    assert set(first.fidelity.tolist()) <= SHORT
    assert {LEVELS[fidelity].params for fidelity in first.fidelity} == set(SIZES)
    later = told(26, curves=False).trials.fidelity[20:]
    assert not SHORT & set(later.tolist())


def test_it_waits_for_the_first_runs() -> None:
    proposer = Proposer(METHOD, SPACE, ("loss",), ONE)
    assert len(proposer.ask(50)) == 20
    assert proposer.ask(5) == []
    running = list(proposer.history.running)
    proposer.tell(running[:19], np.ones((19, 1)))
    assert proposer.ask(5) == []
    proposer.tell(running[19:], np.ones((1, 1)))
    assert len(proposer.ask(5)) == 5


def test_it_pays_for_the_target_only_when_cost_is_forgotten() -> None:
    history = told(20, curves=False)
    # The mean falls with size and tokens, so that the target promises most.
    prior = ProcessPrior(np.array([0.5, 2.0, 2.0]), np.array([0.0, 0.0, 0.0, -1.0, -1.0]), 4.0)
    known = replace(FittedSurrogate.of(history, METHOD.start, METHOD.noise, 0), prior=prior)
    prices = []
    for later in (0, 100, 300, 10_000):
        found = replace(known, later=later).best(history, METHOD.noise, 0)
        assert found is not None
        prices.append(SPACE.flops[found.fidelity] / SPACE.flops[SPACE.target])
    assert prices[0] < 0.05
    assert prices == sorted(prices)
    assert prices[-1] == 1.0


def test_it_stays_inside_the_region_and_repeats_nothing() -> None:
    region = Region.bounded(SOURCES, {"law": 0.1}, {"code": 0.5}).with_ratio({"law": 1.0, "web": 2.0})
    history = told(30, replace(SPACE, region=region), curves=False)
    for row in history.trials.shares:
        assert region.contains(Mixture(SOURCES, row), tolerance=1e-9)
    seen = {
        (row.tobytes(), int(fidelity))
        for row, fidelity in zip(history.trials.shares, history.trials.fidelity, strict=True)
    }
    assert len(seen) == 30


def test_a_pool_is_asked_for_what_it_offers_until_it_is_empty() -> None:
    pool = np.random.default_rng(0).dirichlet(np.ones(3), 6)
    offered = np.zeros((6, 2), dtype=np.bool_)
    offered[:4, 0] = offered[2:, 1] = True
    space = Space(SPACE.region, (LEVELS[3], LEVELS[-1]), 1, pool, offered)
    replay = Replay(space, ("loss",), lambda shares, fidelity: truth(shares, (3, 11)[fidelity]))
    played = trajectory_of(METHOD, replay, ONE, seed=0, budget=100.0)
    assert len(set(played.experiments)) == len(played.experiments) == 8
    # Without short runs it begins with what is cheaper than the target.
    assert [one.fidelity for one in played.experiments[:4]] == [0] * 4


def test_it_finds_the_best_of_a_bowl() -> None:
    replay = Replay(replace(SPACE, curves=True), ("loss",), partial(truth, depth=10.0))
    for seed in range(3):
        played = trajectory_of(METHOD, replay, ONE, seed=seed, budget=1.5)
        assert played.recommendation is not None
        assert np.abs(played.recommendation - BEST).max() < 0.1
        assert played.regret(2.5) < 0.05


def test_a_play_ends_where_it_is_told_to() -> None:
    replay = Replay(replace(SPACE, curves=True), ("loss",), truth)
    whole = trajectory_of(METHOD, replay, ONE, seed=0, budget=3.0)
    ended = trajectory_of(METHOD, replay, ONE, seed=0, budget=3.0, stop=lambda spent, best: best < math.inf)
    first = int(np.flatnonzero(np.isfinite(whole.best))[0])
    assert ended.experiments == whole.experiments[: first + 1]
    assert ended.best[-1] == whole.best[first]


def test_failures_are_left_out() -> None:
    proposer = Proposer(METHOD, SPACE, ("loss",), ONE)
    first = proposer.ask(20)
    proposer.tell(first, np.full((20, 1), np.nan))
    (again,) = proposer.ask(3)  # all failed: one more to begin with, and it is waited for
    assert again.fidelity in SHORT
    proposer.tell([again], np.ones((1, 1)))
    (next_one,) = proposer.ask()
    assert next_one.fidelity not in SHORT
    proposer.tell([next_one], np.full((1, 1), np.nan))
    (other,) = proposer.ask()
    assert other != next_one
    assert np.array_equal(METHOD.recommend(proposer.history), again.row)


def test_runs_on_their_way_are_believed_and_not_asked_again() -> None:
    history = told(20)
    asked = METHOD.ask(history, 6, 0)
    assert len(set(asked)) == 6
    for one in asked:
        history = history.plus(one)
    assert METHOD.ask(history, 1, 0)[0] not in asked


def test_checkpoints_belong_to_their_run() -> None:
    history = told(20)
    rows = len(history.trials)
    assert rows > 20  # runs of 20 steps told of 10 as well
    assert FittedSurrogate.of(history, 20, 0.1, 0).later == 0
    (one,) = METHOD.ask(history, 1, 0)
    short = [
        Experiment(one.shares, fidelity)
        for fidelity in sorted(SHORT)
        if LEVELS[fidelity].params == LEVELS[one.fidelity].params
    ]
    trials = history.trials.plus([*short, one], np.full((len(short) + 1, 1), 3.0))
    known = FittedSurrogate.of(replace(history, trials=trials), 20, 0.1, 0)
    assert known.later == 1
    assert len(known.values) == rows + 1  # later runs tell only what was asked for


def test_with_nothing_to_gain_at_the_target_levels_tell_less_of_each_other() -> None:
    history = told(20)
    shares = np.random.default_rng(0).dirichlet(np.ones(3), 4)
    asked = [Experiment(tuple(row.tolist()), 2) for row in shares]
    lucky = history.trials.plus(asked, np.full((4, 1), -100.0))
    fitted = FittedSurrogate.of(history, 20, 0.1, 0).prior.lengths
    found = FittedSurrogate.of(replace(history, trials=lucky), 20, 0.1, 0).prior.lengths
    # Before the first of them there was something to gain, and after each there was nothing.
    assert found / fitted == pytest.approx([1.0, 0.95**3, 0.95**3])


def test_other_kinds_than_the_targets_are_not_used() -> None:
    merged = Fidelity("merged", 1e8, 1000.0, 1.0)
    space = replace(SPACE, fidelities=(*LEVELS, merged))
    history = told(22, space)
    assert len(LEVELS) not in history.trials.fidelity
    extra = history.trials.plus([Experiment((1.0, 0.0, 0.0), len(LEVELS))], np.full((1, 1), -9.0))
    assert np.array_equal(METHOD.recommend(replace(history, trials=extra)), METHOD.recommend(history))


def test_metrics_without_weight_may_be_missing() -> None:
    history = told(20)
    costs = np.column_stack([history.trials.costs, np.full(len(history.trials), np.nan)])
    trials = Trials(("loss", "other"), history.trials.shares, history.trials.fidelity, costs)
    one = METHOD.ask(History(SPACE, np.array([1.0, 0.0]), trials), 1, 0)
    assert one == METHOD.ask(history, 1, 0)
