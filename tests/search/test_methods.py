"""Methods of search: what all of them keep, and what each is good for."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from itertools import combinations

import numpy as np
import pytest

from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.search.acquisition import log_expected_improvement
from cuvee.search.methods.duet import Duet
from cuvee.search.methods.expected_improvement import ExpectedImprovement
from cuvee.search.methods.law_optimum import LawOptimum
from cuvee.search.methods.random_draws import RANDOM_DRAWS
from cuvee.search.methods.registry import SEARCH_METHODS
from cuvee.search.methods.sobol import Sobol
from cuvee.search.methods.successive_halving import SUCCESSIVE_HALVING, ladder
from cuvee.search.proposer import Method, Proposer
from cuvee.search.space import Experiment, Fidelity, Space
from cuvee.types import FloatArray
from tests.laws.samples import METRICS, SOURCES, mixtures, truth

METHODS: tuple[Method, ...] = (*SEARCH_METHODS.values(), LawOptimum("effective_data", runs=6))
WITH_TREES = pytest.mark.skipif(find_spec("lightgbm") is None, reason="the extra 'trees' is not installed")
EVERY = pytest.mark.parametrize(
    "method",
    [
        pytest.param(one, id=one.name, marks=[WITH_TREES] if one.name.endswith("regmix") else [])
        for one in METHODS
    ],
)

LEVELS = tuple(Fidelity("trained", 1e7, tokens, 6e7 * tokens) for tokens in (1e8, 3e8, 9e8))
SIMPLEX = Region.simplex(SOURCES)
CAPPED = Region.bounded(SOURCES, {"code": 0.05}, {"books": 0.4, "web": 0.3})
TIED = Region.bounded(SOURCES, maximum={"books": 0.4}).with_ratio({"law": 1.0, "web": 2.0})
POINT = Region.bounded(SOURCES, dict.fromkeys(SOURCES, 0.25))
CONTINUOUS = [
    pytest.param(Space(region, fidelities, len(fidelities) - 1), id=f"{name}-{len(fidelities)}")
    for name, region, fidelities in (
        ("simplex", SIMPLEX, LEVELS),
        ("capped", CAPPED, LEVELS),
        ("tied", TIED, LEVELS),
        ("capped", CAPPED, LEVELS[:1]),
    )
]

Measure = Callable[[Sequence[Experiment], Space], FloatArray]


def measured(asked: Sequence[Experiment], space: Space) -> FloatArray:
    """The known law; runs of fewer tokens are worse, and rank a little otherwise."""
    shares = np.array([one.shares for one in asked])
    short = np.array(
        [space.fidelities[space.target].tokens / space.fidelities[one.fidelity].tokens for one in asked]
    )
    costs: FloatArray = truth(shares) + np.log(short)[:, None] * (0.2 + 0.02 * shares[:, :1])
    return costs


def failed(asked: Sequence[Experiment], space: Space) -> FloatArray:
    return np.full((len(asked), len(METRICS)), np.nan)


def half_failed(asked: Sequence[Experiment], space: Space) -> FloatArray:
    costs = measured(asked, space)
    costs[[one.shares[0] > 0.2 for one in asked]] = np.nan
    return costs


def pool_of(
    count: int, offered: FloatArray | None = None, fidelities: tuple[Fidelity, ...] = LEVELS
) -> Space:
    shares = mixtures(count, 5)
    taken = None if offered is None else offered.astype(np.bool_)
    return Space(SIMPLEX, fidelities, len(fidelities) - 1, shares, taken)


def searched(
    method: Method, space: Space, experiments: int, measure: Measure = measured, batch: int = 1, seed: int = 0
) -> Proposer:
    """A search until so many experiments were told, or nothing more is asked for."""
    proposer = Proposer(method, space, METRICS, np.ones(len(METRICS)), seed)
    while len(proposer.history.trials) < experiments:
        asked = proposer.ask(batch)
        if not asked:
            break
        proposer.tell(asked, measure(asked, space))
    return proposer


# --- what all keep ----------------------------------------------------------------------------------


@EVERY
def test_a_method_says_what_it_is(method: Method) -> None:
    assert method.name and method.needs and method.cost and method.deviations
    assert method.paper.startswith("https://")


@EVERY
@pytest.mark.parametrize("space", CONTINUOUS)
@pytest.mark.parametrize("measure", [measured, half_failed])
def test_asks_lie_in_the_region(method: Method, space: Space, measure: Measure) -> None:
    trials = searched(method, space, 12, measure, batch=4).history.trials
    assert len(trials) >= 12
    for shares, fidelity in zip(trials.shares, trials.fidelity, strict=True):
        assert space.region.contains(Mixture(SOURCES, shares))
        assert (shares >= space.region.lower).all() and (shares <= space.region.upper).all()
        assert 0 <= fidelity < len(space.fidelities)


@EVERY
@pytest.mark.parametrize("space", [*CONTINUOUS[1:2], pool_of(30)])
def test_the_same_history_and_seed_give_the_same_asks(method: Method, space: Space) -> None:
    once, again = (searched(method, space, 12, batch=3).history for _ in range(2))
    assert once.trials.shares.tobytes() == again.trials.shares.tobytes()
    assert once.trials.fidelity.tolist() == again.trials.fidelity.tolist()
    assert method.ask(once, 3, 0) == method.ask(again, 3, 0)


@EVERY
@pytest.mark.parametrize("space", [*CONTINUOUS[:1], pool_of(30)])
def test_another_seed_gives_other_asks(method: Method, space: Space) -> None:
    first, other = (searched(method, space, 4, seed=seed).history.trials.shares for seed in (0, 1))
    assert not np.array_equal(first, other)


@EVERY
@pytest.mark.parametrize("space", [*CONTINUOUS[:1], pool_of(40)])
@pytest.mark.parametrize("before", [0, 12])
def test_a_batch_holds_different_experiments_that_are_not_running(
    method: Method, space: Space, before: int
) -> None:
    proposer = searched(method, space, before)
    asked = [*proposer.ask(4), *proposer.ask(4)]
    assert len(asked) >= 4 or isinstance(method, LawOptimum)  # which waits for its runs
    assert len(set(asked)) == len(asked)
    assert not any(proposer.history.trials.has(one.row, one.fidelity) for one in asked)


@EVERY
@pytest.mark.parametrize("measure", [measured, half_failed, failed])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("fidelities", [1, 3])
def test_a_pool_is_exhausted_without_repeats(
    method: Method, measure: Measure, batch: int, fidelities: int
) -> None:
    offered = np.ones((9, fidelities))
    offered[:2, 0] = fidelities == 1  # two that cannot be had cheaply
    space = pool_of(9, offered, LEVELS[-fidelities:])
    proposer = searched(method, space, 100, measure, batch)
    trials = proposer.history.trials
    assert not proposer.history.running
    tried = [
        (int(fidelity), shares.tobytes())
        for fidelity, shares in zip(trials.fidelity, trials.shares, strict=True)
    ]
    assert len(set(tried)) == len(tried)
    assert space.pool is not None
    rows = {bytes(shares): row for row, shares in enumerate(space.pool)}
    assert all(offered[rows[shares], fidelity] for fidelity, shares in tried)
    if measure is measured or fidelities == 1:
        assert (trials.fidelity == space.target).sum() == 9


@EVERY
def test_failures_do_not_stop_a_search(method: Method) -> None:
    trials = searched(method, Space(CAPPED, LEVELS, 2), 12, failed, batch=3).history.trials
    assert len(trials) == 12


@EVERY
def test_a_region_of_one_mixture_is_tried_once_a_level(method: Method) -> None:
    trials = searched(method, Space(POINT, LEVELS, 2), 20).history.trials
    assert 1 <= len(trials) <= 3
    assert len(set(trials.fidelity.tolist())) == len(trials)


@EVERY
def test_runs_told_from_elsewhere_may_lie_outside(method: Method) -> None:
    space = Space(CAPPED, LEVELS[:1], 0)
    proposer = Proposer(method, space, METRICS, np.ones(len(METRICS)))
    elsewhere = [Experiment(tuple(row), 0) for row in mixtures(10, 3).tolist()]
    proposer.tell(elsewhere, measured(elsewhere, space))
    asked = proposer.ask(3)
    assert len(asked) == 3
    assert all(CAPPED.contains(Mixture(SOURCES, one.row)) for one in asked)


# --- what each is good for --------------------------------------------------------------------------


def test_even_draws_are_even_and_a_swarm_has_corners() -> None:
    even, swarm = (searched(method, Space(SIMPLEX, LEVELS, 2), 200, batch=200) for method in RANDOM_DRAWS)
    np.testing.assert_allclose(even.history.trials.shares.mean(axis=0), 0.25, atol=0.05)
    largest = swarm.history.trials.shares.max(axis=1)
    assert (largest > 0.99).mean() > 0.1 and (largest < 0.6).mean() > 0.1


def test_a_swarm_lies_around_its_prior() -> None:
    prior = Mixture.of({"books": 0.81, "code": 0.09, "law": 0.09, "web": 0.01})
    swarm = replace(RANDOM_DRAWS[1], prior=prior, strength=(50.0, 50.0))
    shares = searched(swarm, Space(SIMPLEX, LEVELS, 2), 400, batch=400).history.trials.shares
    roots = np.sqrt(prior.shares)
    np.testing.assert_allclose(shares.mean(axis=0), roots / roots.sum(), atol=0.02)


def test_spread_points_lie_more_evenly_than_random_ones() -> None:
    def hole(method: Method, seed: int) -> float:
        shares = searched(method, Space(CAPPED, LEVELS, 2), 64, batch=8, seed=seed).history.trials.shares
        asked = np.stack([one.shares for one in CAPPED.sample(500, np.random.default_rng(9))])
        return float(np.linalg.norm(asked[:, None] - shares, axis=2).min(axis=1).mean())

    spread, random = (np.mean([hole(one, seed) for seed in range(4)]) for one in (Sobol(), RANDOM_DRAWS[0]))
    assert spread < random


def rank_of_best(proposer: Proposer) -> int:
    """How many mixtures of the pool are better at the target than the best one asked for there."""
    space = proposer.space
    assert space.pool is not None
    everyone = measured([Experiment(tuple(row), space.target) for row in space.pool.tolist()], space).sum(
        axis=1
    )
    _, costs = proposer.history.target_costs()
    return int((everyone < costs.min() - 1e-12).sum())


@pytest.mark.parametrize(
    ("law", "runs"), [("effective_data", 24), pytest.param("regmix", 64, marks=WITH_TREES)]
)
def test_a_law_of_cheap_runs_finds_the_best_of_a_pool_in_few_target_runs(law: str, runs: int) -> None:
    proposer = searched(LawOptimum(law, runs), pool_of(150), runs + 4)
    assert np.bincount(proposer.history.trials.fidelity, minlength=3).tolist() == [runs, 0, 4]
    assert rank_of_best(proposer) <= 2  # random runs: half of the searches miss the best 24


@pytest.mark.parametrize("fidelities", [1, 3])
def test_a_law_is_not_fitted_again(fidelities: int) -> None:
    method, space = LawOptimum("effective_data", 12), pool_of(40, fidelities=LEVELS[-fidelities:])
    at_once = searched(method, space, 12).ask(5)
    told = searched(method, space, 12)
    one_by_one = []
    for _ in range(5):
        one_by_one += told.ask(1)
        told.tell(one_by_one[-1:], -9.0 * measured(one_by_one[-1:], space))
    assert at_once == one_by_one


def test_a_law_waits_for_its_runs() -> None:
    proposer = Proposer(LawOptimum("effective_data", 6), pool_of(40), METRICS, np.ones(len(METRICS)))
    asked = proposer.ask(8)
    assert [one.fidelity for one in asked] == [0] * 6 and not proposer.ask(2)
    proposer.tell(asked[:5], measured(asked[:5], proposer.space))
    proposer.tell(asked[5:], failed(asked[5:], proposer.space))
    assert [one.fidelity for one in proposer.ask(2)] == [0]  # instead of the one that failed


@pytest.mark.parametrize("method", SUCCESSIVE_HALVING, ids=lambda one: one.name)
def test_halving_spends_most_experiments_on_short_runs(method: Method) -> None:
    trials = searched(method, pool_of(200), 60, batch=2).history.trials
    low, middle, top = np.bincount(trials.fidelity, minlength=3).tolist()
    assert low > middle > top > 0


def test_halving_finishes_what_was_best() -> None:
    proposer = searched(SUCCESSIVE_HALVING[0], pool_of(60), 60)
    trials = proposer.history.trials
    costs = trials.costs.sum(axis=1)
    top = {shares.tobytes() for shares in trials.shares[trials.fidelity == 2]}
    middle = [shares.tobytes() for shares in trials.shares[np.lexsort((costs, trials.fidelity != 1))]]
    assert middle[0] in top  # the best of the middle rung went up
    assert rank_of_best(proposer) <= 2


def test_what_failed_does_not_move_up() -> None:
    def mostly_failed(asked: Sequence[Experiment], space: Space) -> FloatArray:
        costs = measured(asked, space)
        costs[[one.shares[0] > 0.05 for one in asked]] = np.nan
        return costs

    trials = searched(SUCCESSIVE_HALVING[0], Space(SIMPLEX, LEVELS, 2), 100, mostly_failed).history.trials
    assert (trials.fidelity == 1).sum() > 3
    assert (trials.shares[trials.fidelity > 0][:, 0] <= 0.05).all()


def test_rungs_are_a_factor_apart() -> None:
    def space(*tokens: float) -> Space:
        fidelities = [Fidelity("trained", 1e7, one, 6e7 * one) for one in tokens]
        merged = Fidelity("merged", 1e7, tokens[0], 1.0)
        return Space(
            SIMPLEX, (*fidelities, merged, Fidelity("trained", 1e6, tokens[0], 1.0)), len(tokens) - 1
        )

    assert ladder(space(9.0), 3.0) == (0,)
    assert ladder(space(1.0, 3.0, 9.0), 3.0) == (0, 1, 2)
    assert ladder(space(1.0, 10.0, 100.0), 3.0) == (0, 1, 2)
    assert ladder(space(5.0, 9.0), 3.0) == (0, 1)  # nearer to a third than to all
    assert ladder(space(6.0, 9.0), 3.0) == (1,)
    every = space(*(100.0 * step for step in range(1, 197)))
    assert [every.fidelities[rung].tokens for rung in ladder(every, 3.0)] == [
        100,
        200,
        700,
        2200,
        6500,
        19600,
    ]


@pytest.mark.parametrize("method", [ExpectedImprovement(), Duet()], ids=lambda one: one.name)
@pytest.mark.parametrize("batch", [1, 4])
def test_a_process_finds_better_mixtures_than_chance(method: Method, batch: int) -> None:
    space = Space(CAPPED, LEVELS, 2)

    def best(method: Method, seed: int) -> float:
        return float(searched(method, space, 20, batch=batch, seed=seed).history.target_costs()[1].min())

    ours, chance = (np.mean([best(one, seed) for seed in range(3)]) for one in (method, RANDOM_DRAWS[0]))
    assert ours < chance - 0.01


def test_a_batch_spreads() -> None:
    asked = searched(ExpectedImprovement(), Space(CAPPED, LEVELS, 2), 16).ask(4)
    apart = [np.abs(one.row - other.row).sum() / 2 for one, other in combinations(asked, 2)]
    assert np.mean(apart) > 0.08  # half of that where running experiments are not believed


def test_duet_begins_with_equal_shares() -> None:
    proposer = Proposer(Duet(), Space(CAPPED, LEVELS, 2), METRICS, np.ones(len(METRICS)))
    first, second = proposer.ask(2)
    np.testing.assert_allclose(first.row, 0.25, atol=1e-12)
    assert second != first


def test_the_expected_improvement_is_that_of_draws_and_never_ends() -> None:
    mean, deviation = np.array([0.0, 0.5, 2.0]), np.array([1.0, 0.3, 0.7])
    draws = mean + deviation * np.random.default_rng(0).normal(size=(400_000, 3))
    expected = np.maximum(0.6 - draws, 0.0).mean(axis=0)
    np.testing.assert_allclose(np.exp(log_expected_improvement(mean, deviation, 0.6)), expected, rtol=0.03)
    far = log_expected_improvement(np.array([50.0, 51.0, 1e3]), np.ones(3), 0.0)
    assert np.isfinite(far).all() and far[0] > far[1] > far[2]
    sure = log_expected_improvement(np.array([1.0, 3.0]), np.zeros(2), 2.0)
    assert sure[0] == pytest.approx(0.0) and sure[1] < -1e9
