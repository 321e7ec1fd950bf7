"""What a search believes: the process against its definition, kinds, and the knowledge gradient."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from cuvee.mixture.region import Region
from cuvee.search import knowledge_gradient as kg
from cuvee.search.hyperparameters import prior_of
from cuvee.search.methods.cost_aware import CostAware
from cuvee.search.places import Between
from cuvee.search.process import Search
from cuvee.search.proposer import History, Proposer
from cuvee.search.space import Experiment, Fidelity, Space
from cuvee.search.surrogate import Surrogate
from cuvee.search.trials import Trials
from cuvee.types import FloatArray, IntArray

NAMES = ("a", "b", "c", "d")
METRICS = ("a_loss", "other_loss")
REGION = Region.simplex(NAMES)
CHEAP = Fidelity("merged", 1e7, 1e9, 0.01)
SMALL = Fidelity("trained", 1e6, 1e9, 0.1)
TARGET = Fidelity("trained", 1e7, 1e9, 1.0)
SPACE = Space(REGION, (CHEAP, SMALL, TARGET), 2)
WEIGHTS = np.array([0.6, 0.4])
KINDS = ("trained", "merged")


def truth(shares: FloatArray) -> FloatArray:
    """Costs [n, 2] at the target."""
    first = 2.0 + (0.2 + shares @ np.array([2.0, 0.5, 0.3, 0.1])) ** -0.5
    second = 1.0 + (0.3 + np.sqrt(shares) @ np.array([0.2, 0.9, 0.7, 0.1])) ** -1.0
    return np.stack([first, second], axis=1)


def measured(shares: FloatArray, fidelity: IntArray, noise: float = 0.0, seed: int = 0) -> FloatArray:
    """Merges understate differences and lie higher; small models lie higher."""
    costs = truth(shares)
    costs = np.where((fidelity == 0)[:, None], 0.6 * costs + 1.5, costs)
    costs = costs + 0.4 * (fidelity == 1)[:, None]
    result: FloatArray = costs + noise * np.random.default_rng(seed).normal(size=costs.shape)
    return result


def history(counts: tuple[int, int, int], noise: float = 1e-3, seed: int = 0) -> History:
    rng = np.random.default_rng(seed)
    fidelity = np.repeat(np.arange(3), counts)
    shares = rng.dirichlet(np.ones(4), len(fidelity))
    return History(SPACE, WEIGHTS, Trials(METRICS, shares, fidelity, measured(shares, fidelity, noise, seed)))


ASKED = np.random.default_rng(99).dirichlet(np.ones(4), 60)


def at_target(surrogate: Surrogate, shares: FloatArray = ASKED) -> FloatArray:
    return surrogate.mean(surrogate.places(shares, np.full(len(shares), 2)))


def test_the_search_for_hyperparameters_follows_true_slopes() -> None:
    told = history((8, 8, 8))
    surrogate = Surrogate.of(told)
    one = surrogate.processes[1]
    z = ((told.trials.costs - surrogate.law.shift) / surrogate.law.spread)[:, 1]
    search = Search(surrogate.observed.select(one.rows), z, 1, KINDS, *prior_of(surrogate.law, 1, KINDS))
    theta = one.theta + 0.2 * np.random.default_rng(0).normal(size=len(one.theta))
    _, slope = search.objective(theta)
    step = 1e-5
    for place, found in enumerate(slope):
        moved = step * np.eye(len(theta))[place]
        difference = (search.objective(theta + moved)[0] - search.objective(theta - moved)[0]) / (2 * step)
        assert found == pytest.approx(difference, rel=1e-4, abs=1e-4)


def test_it_is_the_posterior_of_its_covariances() -> None:
    told = history((0, 6, 10))
    surrogate = Surrogate.of(told)
    places = surrogate.places(ASKED[:5], np.full(5, 2))
    between, left, right = surrogate.covariances(places, places)
    for metric in range(2):
        assert np.diag(between[metric]) == pytest.approx(left[metric], rel=1e-6, abs=1e-12)
        assert left[metric] == pytest.approx(right[metric])
        assert np.linalg.eigvalsh(between[metric]).min() > -1e-9
    # At what was measured little is left open, and means are near what was measured.
    there = surrogate.places(told.trials.shares[6:], np.full(10, 2))
    _, variance, _ = surrogate.covariances(there, there)
    assert (variance <= 1.5 * surrogate.noise(there.kind) + 1e-9).all()
    error = surrogate.mean(there) - told.trials.costs[6:]
    assert np.abs(error).max() < 0.2 * truth(ASKED).std(axis=0).min()


def test_cheap_kinds_and_small_models_tell_of_the_target() -> None:
    spread = truth(ASKED).std(axis=0)
    few = Surrogate.of(history((0, 0, 6)))
    many = Surrogate.of(history((24, 24, 6)))
    errors = [np.sqrt(((at_target(one) - truth(ASKED)) ** 2).mean(axis=0)) / spread for one in (few, many)]
    assert (errors[1] < 0.25).all()
    assert errors[1].mean() < 0.7 * errors[0].mean()


def test_what_a_kind_does_to_differences_is_learnt() -> None:
    rng = np.random.default_rng(3)
    shares = rng.dirichlet(np.ones(4), 14)
    both = np.concatenate([shares, shares])
    fidelity = np.repeat([0, 2], 14)
    trials = Trials(METRICS, both, fidelity, measured(both, fidelity, 1e-3))
    surrogate = Surrogate.of(History(SPACE, WEIGHTS, trials))
    for metric in range(2):
        weights = np.eye(2)[metric]
        assert surrogate.slope(ASKED, 0, weights) == pytest.approx(0.6, abs=0.12)
        assert surrogate.slope(ASKED, 2, weights) == pytest.approx(1.0)
    assert np.isnan(surrogate.slope(ASKED[[0, 0]], 0, WEIGHTS))


def with_proxies(proxy_of: Callable[[FloatArray], FloatArray]) -> tuple[Surrogate, list[float]]:
    """After 8 trainings, and proxies of them and of 40 further mixtures; errors without proxies, and with.

    Given: costs [n, 2] of proxies of mixtures [n, 4].
    """
    shares = np.random.default_rng(3).dirichlet(np.ones(4), 48)
    proxy = proxy_of(shares)
    trained, fidelity = (
        Trials(METRICS, shares[:8], np.full(8, 2), truth(shares[:8])),
        np.repeat([2, 0], [8, 48]),
    )
    both = Trials(
        METRICS, np.concatenate([shares[:8], shares]), fidelity, np.concatenate([trained.costs, proxy])
    )
    alone, told = (Surrogate.of(History(SPACE, WEIGHTS, one)) for one in (trained, both))
    return told, [float(np.sqrt(np.square(at_target(one) - truth(ASKED)).mean())) for one in (alone, told)]


def test_a_kind_that_runs_the_other_way_is_not_turned_round() -> None:
    told, errors = with_proxies(lambda shares: 8.0 - truth(shares))
    assert all((one.kinds.rho > 0).all() for one in told.processes)
    assert errors[1] < 1.5 * errors[0] + 0.02


def test_proxies_may_follow_a_law_of_their_own() -> None:
    def straight(shares: FloatArray) -> FloatArray:
        # The order of sources is right and the shape is not: where trainings gain least, proxies gain most.
        first = 3.0 - 0.5 * shares @ np.array([2.0, 0.5, 0.3, 0.1])
        second = 2.0 - 0.9 * shares @ np.array([0.2, 0.9, 0.7, 0.1]) ** 2
        return np.stack([first, second], axis=1)

    _, errors = with_proxies(straight)
    assert errors[1] < 1.5 * errors[0]  # three times as large where they had to share one


def test_what_a_run_missed_is_told_by_all_others() -> None:
    told = history((0, 6, 10), noise=0.02)
    surrogate = Surrogate.of(told)
    one = surrogate.processes[0]
    whole = one.factor @ one.factor.T
    z = (told.trials.costs[:, 0] - surrogate.law.shift[0]) / surrogate.law.spread[0]
    centred = z - surrogate.observed.scaled_mean(0, one.kinds)
    for row in (0, 7, 15):
        rest = np.arange(16) != row
        gain = np.linalg.solve(whole[np.ix_(rest, rest)], whole[rest, row])
        deviation = np.sqrt(whole[row, row] - gain @ whole[rest, row])
        assert one.missed[row] == pytest.approx((centred[row] - gain @ centred[rest]) / deviation, rel=1e-6)


def test_errors_that_metrics_share_widen_their_sum() -> None:
    found = []
    for shared in (0.0, 1.0):
        rng, told = np.random.default_rng(5), history((0, 0, 40), noise=0.0)
        common, own = rng.normal(size=(40, 1)), rng.normal(size=(40, 2))
        costs = told.trials.costs + 0.05 * (shared * common + (1.0 - shared) * own)
        found.append(Surrogate.of(History(SPACE, WEIGHTS, replace(told.trials, costs=costs))))
    apart, together = found
    assert apart.together < 0.3 < 0.6 < together.together < 1.0
    variance = np.array([[0.04, 0.01], [0.09, 0.01]])
    alone, added = WEIGHTS**2 @ variance, (WEIGHTS @ np.sqrt(variance)) ** 2
    part = together.together
    assert together.of_sum(WEIGHTS, variance) == pytest.approx((1 - part) * alone + part * added)
    assert together.of_sum(np.array([1.0, 0.0]), variance) == pytest.approx(variance[0])


def test_intervals_hold_what_they_say() -> None:
    inside = []
    for seed in range(6):
        surrogate = Surrogate.of(history((0, 0, 24), noise=0.02, seed=seed))
        places = surrogate.places(ASKED, np.full(len(ASKED), 2))
        _, variance, _ = surrogate.covariances(places, places.select(np.arange(1)))
        deviation = np.sqrt(variance + surrogate.noise(places.kind)).T
        drawn = truth(ASKED) + 0.02 * np.random.default_rng(seed + 50).normal(size=(len(ASKED), 2))
        inside.append(np.abs(drawn - surrogate.mean(places)) < 1.645 * deviation)
    assert 0.78 < np.mean(inside) < 0.98  # 24 noisy runs; nominal is 0.9


def test_conditioning_leaves_means_and_lowers_variances() -> None:
    surrogate = Surrogate.of(history((0, 8, 8)))
    more = surrogate.conditioned(ASKED[:3], np.full(3, 2))
    assert at_target(more) == pytest.approx(at_target(surrogate), abs=1e-6)
    places = surrogate.places(ASKED, np.full(len(ASKED), 2))
    before, after = (one.covariances(places, places.select(np.arange(1)))[1] for one in (surrogate, more))
    assert (after <= before + 1e-12).all()
    assert (after[:, :3] < 0.7 * before[:, :3]).all()


def test_conditioning_on_the_mean_adds_its_rows() -> None:
    told = history((0, 8, 8))
    surrogate = Surrogate.of(told)
    added = surrogate.conditioned(ASKED[:2], np.array([2, 1]))
    for before, after in zip(surrogate.processes, added.processes, strict=True):
        places = added.observed
        whole = Between.of(places, places).covariance(after.metric, after.theta, after.kinds)
        noise = before.factor @ before.factor.T - whole[:16, :16]
        assert np.abs(noise - np.diag(np.diag(noise))).max() < 1e-9
        again = after.factor @ after.factor.T
        assert np.abs(again - whole - np.diag(np.diag(again - whole))).max() < 1e-9


def test_metrics_without_weight_can_be_left_out() -> None:
    told = history((0, 8, 8))
    both, second = Surrogate.of(told), Surrogate.of(told, metrics=np.array([1]))
    assert second.metrics == [1]
    assert at_target(second) == pytest.approx(at_target(both)[:, 1:])
    places = both.places(ASKED[:4], np.full(4, 2))
    for whole, part in zip(both.covariances(places, places), second.covariances(places, places), strict=True):
        assert part == pytest.approx(whole[1:])
    assert second.noise(places.kind) == pytest.approx(both.noise(places.kind)[1:])


def test_what_is_asked_twice_of_the_same_trials_is_fitted_once() -> None:
    told = history((0, 8, 8))
    first = Surrogate.of_target(told, 0)
    assert Surrogate.of_target(told.plus(Experiment((1.0, 0.0, 0.0, 0.0), 0)), 0) is first
    for other in (Surrogate.of_target(told, 1), Surrogate.of_target(history((0, 8, 8)), 0)):
        assert other is not first
    places = first.places(told.trials.shares[:2], told.trials.fidelity[:2])
    assert np.array_equal(first.mean(places), Surrogate.of(told).mean(places))


def test_a_metric_that_is_missing_here_and_there_is_still_predicted() -> None:
    told = history((0, 10, 14))
    costs = told.trials.costs.copy()
    costs[::4, 1] = np.nan
    costs[5] = np.nan
    trials = Trials(METRICS, told.trials.shares, told.trials.fidelity, costs)
    surrogate = Surrogate.of(History(SPACE, WEIGHTS, trials))
    error = np.sqrt(((at_target(surrogate) - truth(ASKED)) ** 2).mean(axis=0)) / truth(ASKED).std(axis=0)
    assert (error < 0.5).all()


def test_the_knowledge_gradient_of_two_mixtures_is_the_closed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kg, "DRAWS", 40_000)
    surrogate = Surrogate.of(history((0, 6, 6)))
    weights = np.array([1.0, 0.0])
    two = surrogate.places(ASKED[:2], np.full(2, 2))
    asked = surrogate.places(ASKED[2:6], np.array([0, 1, 2, 2]))
    found = kg.knowledge_gradient(surrogate, weights, two, asked, np.random.default_rng(0))
    mean = surrogate.mean(two)[:, 0]
    between, _, variance = surrogate.covariances(two, asked)
    moves = between[0] / np.sqrt(variance[0] + surrogate.noise(asked.kind)[0])
    apart = np.abs(moves[0] - moves[1])
    z = -abs(mean[0] - mean[1]) / apart
    assert found == pytest.approx(apart * (z * norm.cdf(z) + norm.pdf(z)), rel=0.05, abs=1e-6)


def trajectory_of(method: CostAware, batch: int, seed: int, budget: float) -> tuple[list[Experiment], float]:
    proposer = Proposer(method, SPACE, METRICS, WEIGHTS, seed)
    asked: list[Experiment] = []
    while proposer.history.trials.spent(SPACE) < budget:
        now = proposer.ask(batch)
        shares = np.stack([one.row for one in now])
        fidelity = np.array([one.fidelity for one in now])
        proposer.tell(now, measured(shares, fidelity, 1e-3, len(asked)))
        asked += now
    _, costs = proposer.history.target_costs()
    return asked, float(costs.min()) if len(costs) else float("inf")


def test_our_search_learns_cheaply_and_then_finds_a_good_target_run() -> None:
    everything = np.random.default_rng(7).dirichlet(np.ones(4) * 0.7, 4000)
    costs = truth(everything) @ WEIGHTS
    asked, best = trajectory_of(CostAware(first=16), 1, 0, 4.0)
    fidelities = [one.fidelity for one in asked]
    assert fidelities[:16] == [0] * 16
    assert 1 <= fidelities.count(2) <= 4
    assert (best - costs.min()) / (np.median(costs) - costs.min()) < 0.1


def test_a_metric_that_is_measured_twice_is_searched_as_if_once() -> None:
    """Errors of metrics go together: the mean of two may be as wrong as each of them."""
    rng = np.random.default_rng(6)
    pool = rng.dirichlet(np.ones(4), 200)
    once = truth(pool[:20])[:, :1] + 0.1 * rng.normal(size=(20, 1))
    trials = Trials(METRICS, pool[:20], np.zeros(20, dtype=np.int64), np.repeat(once, 2, axis=1))
    space = Space(REGION, (TARGET,), 0, pool)
    alone, both = (History(space, np.array(weights), trials) for weights in ([1.0, 0.0], [0.5, 0.5]))
    assert CostAware().ask(both, 1, 0) == CostAware().ask(alone, 1, 0)


def test_a_search_goes_on_after_a_break_as_if_there_were_none() -> None:
    asked, _ = trajectory_of(CostAware(first=12), 2, 5, 2.0)
    half = 2 * (len(asked) // 4)
    proposer = Proposer(CostAware(first=12), SPACE, METRICS, WEIGHTS, 5)
    for start in range(0, half, 2):
        done = asked[start : start + 2]
        shares, fidelity = np.stack([one.row for one in done]), np.array([one.fidelity for one in done])
        proposer.tell(done, measured(shares, fidelity, 1e-3, start))
    assert proposer.ask(2) == asked[half : half + 2]
