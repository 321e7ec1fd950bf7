"""Replays: what can be asked, what it costs, and the scores of what was played, by hand."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from benchmarks.search_tables import simulator, tables
from cuvee.errors import ConfigError
from cuvee.laws.interface import LawData, Scale
from cuvee.laws.linear import LinearLaw
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.runs.observations import Observations
from cuvee.runs.run import Run, observations_of
from cuvee.search.proposer import History
from cuvee.search.replay import Replay
from cuvee.search.space import Experiment, Fidelity, Space
from cuvee.search.trajectory import Trajectory, trajectory_of
from cuvee.search.trials import Trials
from cuvee.types import FloatArray
from tests.published import shared

SOURCES = ("code", "law")
POOL = [(0.9, 0.1), (0.5, 0.5), (0.2, 0.8), (0.0, 1.0)]
SMALL, LARGE = (1e6, 1e8), (1e7, 1e9)


def run(shares: tuple[float, float], size: tuple[float, float], *losses: float, seed: int = 0) -> Run:
    metrics = {f"loss_{i}": loss for i, loss in enumerate(losses)}
    key = f"{shares}-{size}-{seed}"
    return Run(
        key=key, kind="imported", mixture=Mixture(SOURCES, np.array(shares)), metrics=metrics,
        params=int(size[0]), tokens=int(size[1]), seed=seed, role="imported", estimand="equal_budget",
        flops=None,
    )  # fmt: skip


def table(rows: list[Run], metrics: tuple[str, ...] = ("loss_0",)) -> Observations:
    return observations_of(rows, sources=SOURCES, metrics=metrics)


def stored() -> Replay:
    """The target's losses are 4, 3, 2, 1; small runs tell 1, 2, 3, 4; the last mixture has no small run."""
    rows = [run(shares, LARGE, 4.0 - i) for i, shares in enumerate(POOL)]
    rows += [run(shares, SMALL, 1.0 + i) for i, shares in enumerate(POOL[:3])]
    return Replay.of_tables(table(rows), flops={("imported", *SMALL): 25.0, ("imported", *LARGE): 100.0})


@dataclass(frozen=True)
class Scripted:
    """Asks for what stands in a list, from the front."""

    steps: tuple[tuple[int, int], ...]
    """Mixture of the pool, fidelity."""
    name: str = "scripted"
    paper: str = ""
    needs: str = ""
    cost: str = ""
    deviations: str = ""

    def ask(self, history: History, count: int, seed: int) -> list[Experiment]:
        here = self.steps[history.asked : history.asked + count]
        return [Experiment(POOL[mixture], fidelity) for mixture, fidelity in here]


@dataclass(frozen=True)
class Advised(Scripted):
    def recommend(self, history: History) -> FloatArray:
        return np.array(POOL[3])


ONE = np.ones(1)


def test_levels_of_a_table_are_its_sizes_in_the_order_of_price() -> None:
    replay = stored()
    assert [(one.params, one.tokens, one.flops) for one in replay.space.fidelities] == [
        (*SMALL, 25.0),
        (*LARGE, 100.0),
    ]
    assert replay.space.target == 1
    assert replay.prices.tolist() == [0.25, 1.0]
    assert replay.space.pool is not None
    assert sorted(map(tuple, replay.space.pool.tolist())) == sorted(POOL)
    assert len(replay.space.rows(0)) == 3
    assert len(replay.space.rows(1)) == 4


def test_prices_are_6_n_d_where_none_are_given() -> None:
    replay = Replay.of_tables(table([run(POOL[0], SMALL, 1.0), run(POOL[0], LARGE, 1.0)]))
    assert [one.flops for one in replay.space.fidelities] == [6e14, 6e16]


def test_only_what_was_run_can_be_asked() -> None:
    replay = stored()
    assert replay.measure([Experiment(POOL[2], 0), Experiment(POOL[2], 1)]).tolist() == [[3.0], [2.0]]
    for odd in (Experiment(POOL[3], 0), Experiment((0.6, 0.4), 1), Experiment(POOL[0], 2)):
        with pytest.raises(ConfigError, match=r"never run|no experiment"):
            replay.measure([odd])


def test_a_region_may_name_the_sources_in_another_order_and_bounds_the_pool() -> None:
    rows = [run(shares, LARGE, 4.0 - i) for i, shares in enumerate(POOL)]
    region = Region.bounded(SOURCES[::-1], maximum={"law": 0.6})
    replay = Replay.of_tables(table(rows), region=region)
    assert sorted(map(tuple, replay.reference().tolist())) == [(0.1, 0.9), (0.5, 0.5)]  # law, code
    assert replay.measure([Experiment((0.1, 0.9), 0)]).tolist() == [[4.0]]
    with pytest.raises(ConfigError, match=r"differ in the source\(s\) law, web"):
        Replay.of_tables(table(rows), region=Region.simplex(("code", "web")))


def test_replicates_are_averaged_and_directions_turned() -> None:
    rows = [run(POOL[0], LARGE, 1.0, 0.5), run(POOL[0], LARGE, 3.0, 0.7, seed=1)]
    observations = table(rows, ("loss_0", "loss_1"))
    replay = Replay.of_tables(observations, directions={"loss_1": "higher"})
    assert np.allclose(replay.measure([Experiment(POOL[0], 0)]), [[2.0, -0.6]])


def test_a_table_that_cannot_be_replayed_is_refused() -> None:
    good = table([run(POOL[0], LARGE, 1.0)])
    with pytest.raises(ConfigError, match="no runs"):
        Replay.of_tables(Observations.empty(SOURCES, ("loss_0",)))
    sizeless = table([replace(run(POOL[0], LARGE, 1.0), tokens=None)])
    with pytest.raises(ConfigError, match="both are needed"):
        Replay.of_tables(sizeless)
    with pytest.raises(ConfigError, match="no run is of the fidelity"):
        Replay.of_tables(good, target=("imported", *SMALL))
    with pytest.raises(ConfigError, match="no run is of the fidelity"):
        Replay.of_tables(good, flops={("imported", *SMALL): 1.0})
    with pytest.raises(ConfigError, match="each metric"):
        replace(Replay.of_tables(good), noise=np.array([-1.0]))


def test_scores_by_hand() -> None:
    # Small runs at .25 each; then targets of 3, 1 and 4. Optimum 1, median 2.5.
    played = trajectory_of(
        Scripted(((0, 0), (1, 0), (1, 1), (3, 1), (0, 1))), stored(), ONE, seed=0, budget=10
    )
    assert played.spent.tolist() == [0.25, 0.5, 1.5, 2.5, 3.5]
    assert np.isnan(played.best[:2]).all()
    assert played.best[2:].tolist() == [3.0, 1.0, 1.0]
    assert (played.optimum, played.median) == (1.0, 2.5)
    assert played.cost_to(0.1) == 2.5
    assert played.cost_to(4 / 3) == 1.5
    # Before a target run, the best of the small ones is recommended, whose target run costs 1 more.
    assert played.recommended.tolist() == [4.0, 4.0, 3.0, 1.0, 1.0]
    assert played.proven.tolist() == [1.25, 1.5, 1.5, 2.5, 3.5]
    assert played.recommendation is not None
    assert tuple(played.recommendation) == POOL[3]
    assert played.regret(1.2) == math.inf
    assert played.regret(1.3) == pytest.approx((4.0 - 1.0) / 1.5)
    assert played.regret(1.5) == pytest.approx((3.0 - 1.0) / 1.5)
    assert played.regret(9) == 0.0


def test_what_never_gets_there_costs_infinity() -> None:
    played = trajectory_of(Scripted(((0, 1), (1, 1))), stored(), ONE, seed=0, budget=10)
    assert played.cost_to(0.1) == math.inf


def test_a_budget_ends_it_before_what_it_does_not_allow() -> None:
    method = Scripted(((0, 0), (0, 1), (1, 1)))
    assert trajectory_of(method, stored(), ONE, seed=0, budget=1.25).spent.tolist() == [0.25, 1.25]
    assert trajectory_of(method, stored(), ONE, seed=0, budget=1.2).spent.tolist() == [0.25]
    # Of a batch, what still fits is made.
    assert trajectory_of(method, stored(), ONE, seed=0, budget=1.25, batch=3).spent.tolist() == [0.25, 1.25]


def test_a_method_may_recommend_what_it_has_not_run() -> None:
    played = trajectory_of(Advised(((0, 0), (3, 1))), stored(), ONE, seed=0, budget=10)
    assert played.recommended.tolist() == [1.0, 1.0]
    assert played.proven.tolist() == [1.25, 1.25]
    assert played.cost_to(0.1) == 1.25


def test_an_exhausted_method_ends_it() -> None:
    played = trajectory_of(Scripted(()), stored(), ONE, seed=0, budget=10)
    assert len(played.experiments) == 0
    assert played.cost_to(1.0) == math.inf
    assert played.regret(100) == math.inf
    assert played.recommendation is None


def test_what_failed_is_charged_and_never_best() -> None:
    rows = [run(POOL[0], LARGE, 2.0, 2.0), run(POOL[1], LARGE, 1.0)]
    replay = Replay.of_tables(table(rows, ("loss_0", "loss_1")))
    played = trajectory_of(Scripted(((1, 0), (0, 0))), replay, np.ones(2), seed=0, budget=10)
    assert played.spent.tolist() == [1.0, 2.0]
    assert np.isnan(played.best[0])
    assert played.best[1] == 4.0


def space_of_steps(pool: FloatArray | None = None) -> Space:
    fidelities = [Fidelity("trained", n, d, n * d) for n in (1.0, 2.0) for d in (1.0, 2.0, 4.0)]
    return Space(Region.simplex(SOURCES), tuple(fidelities), 5, pool)


def bowl(shares: FloatArray, fidelity: int) -> FloatArray:
    return (shares[:, :1] - 0.3) ** 2 + 1.0 / (1 + fidelity)


def test_checkpoints_come_free_with_a_run() -> None:
    replay = Replay(replace(space_of_steps(np.array(POOL)), curves=True), ("loss",), bowl)

    @dataclass(frozen=True)
    class Counting(Scripted):
        def ask(self, history: History, count: int, seed: int) -> list[Experiment]:
            told = history.trials.fidelity.tolist()
            if not told:
                return [Experiment(POOL[0], 4)]
            if told == [3, 4]:
                return [Experiment(POOL[0], 5)]  # its checkpoints are known
            if told == [3, 4, 5]:
                return [Experiment(POOL[0], 0)]
            assert told == [3, 4, 5, 0]
            return []

    played = trajectory_of(Counting(()), replay, ONE, seed=0, budget=10)
    assert played.spent.tolist() == [0.5, 1.5, 1.625]
    assert [one.fidelity for one in played.experiments] == [4, 5, 0]
    plain = replace(replay, space=replace(replay.space, curves=False))
    one = Experiment(POOL[0], 4)
    assert plain.with_checkpoints(one, Trials.none(plain.space, plain.metrics)) == [one]


def law() -> tuple[LinearLaw, LawData]:
    shares = np.random.default_rng(0).dirichlet([1.0, 1.0], 30)
    data = LawData(SOURCES, ("a", "b"), shares, np.stack([shares[:, 0], 2 - shares[:, 0]], 1), Scale())
    return LinearLaw(), data


def test_a_law_answers_for_any_mixture_and_its_noise_is_seeded() -> None:
    fitted = law()[0].fit(law()[1])
    space = replace(space_of_steps(), region=Region.simplex(SOURCES[::-1]))
    exact = Replay.of_law(fitted, space)
    asked = [Experiment((0.25, 0.75), 5), Experiment((1.0, 0.0), 0)]  # shares of law, code
    assert np.allclose(exact.measure(asked), [[0.75, 1.25], [0.0, 2.0]], atol=1e-3)
    noisy = Replay.of_law(fitted, space, noise=0.1, seed=3)
    told = noisy.measure(asked)
    assert np.array_equal(told, noisy.measure(asked[::-1])[::-1])
    assert not np.array_equal(told, replace(noisy, seed=4).measure(asked))
    many = [Experiment((x, 1 - x), 5) for x in np.linspace(0, 1, 400).tolist()]
    missed = noisy.measure(many) - exact.measure(many)
    assert missed.std() == pytest.approx(0.1, rel=0.1)
    assert abs(missed.mean()) < 0.02
    assert abs(np.corrcoef(missed[:, 0], missed[:, 1])[0, 1]) < 0.15
    assert np.array_equal(noisy.truth(np.array([[0.25, 0.75]])), exact.truth(np.array([[0.25, 0.75]])))
    with pytest.raises(ConfigError, match="differ in the source"):
        Replay.of_law(fitted, Space(Region.simplex(("code", "web")), space.fidelities, 0))


def test_the_best_is_what_measured_best_and_is_judged_by_the_truth() -> None:
    large = np.array([5.0])
    noisy = replace(stored(), noise=large, seed=1)
    script = tuple((i, 1) for i in range(4))
    measured = noisy.measure([Experiment(shares, 1) for shares in POOL])[:, 0]
    played = trajectory_of(Scripted(script), noisy, ONE, seed=0, budget=10)
    assert played.best.tolist() == [4.0 - np.argmin(measured[: i + 1]) for i in range(4)]
    assert (played.optimum, played.median) == (1.0, 2.5)


def test_references_without_a_pool_reach_the_corners() -> None:
    replay = Replay(space_of_steps(), ("loss",), bowl)
    drawn = replay.reference()
    assert drawn.shape == (2000, 2)
    assert np.array_equal(drawn, replay.reference())
    assert drawn.max() > 0.999
    played: Trajectory = trajectory_of(Scripted(((0, 5),)), replay, ONE, seed=0, budget=10)
    assert played.optimum == pytest.approx(1 / 6, abs=1e-4)


# --- the tables that benchmarks are played on -------------------------------------------------------


def test_the_simulator_agrees_with_what_is_known_of_it() -> None:
    """Ranks of full 20M runs against the target, on even mixtures; the numbers were found apart from this."""
    shared("runs/data_recipes_simulator/simulator.npz")
    benchmark = simulator()
    replay = benchmark.replay
    even = np.random.default_rng(0).dirichlet(np.ones(5), 2000)
    full = next(
        i
        for i, one in enumerate(replay.space.fidelities)
        if (one.params, one.tokens) == (2e7, 19_700 * 2**19)
    )
    small, large = replay.answers(even, full), replay.truth(even)
    known = {"CommonCrawl": 0.96, "StackExchange": 0.84, "Hellaswag": -0.90}
    for name, rank in known.items():
        place = replay.metrics.index(name)
        assert spearmanr(small[:, place], large[:, place]).statistic == pytest.approx(rank, abs=0.02)
    assert replay.prices.max() == replay.prices[replay.space.target] == 1.0
    assert replay.prices[full] == pytest.approx(0.0130, abs=1e-4)


def test_the_tables_hold_the_same_mixtures_at_both_sizes() -> None:
    shared("runs/regmix_60m/runs.parquet")
    benchmark = tables()
    assert benchmark.replay.space.offered is not None
    assert benchmark.replay.space.offered.shape == (256, 2)
    assert benchmark.replay.space.offered.all()
    assert benchmark.replay.prices.tolist() == pytest.approx([0.144, 1.0])
    assert set(benchmark.fresh(1)).isdisjoint(benchmark.development)
