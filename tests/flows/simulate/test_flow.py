"""Methods of search played against tables of runs: known answers, breaks, and what is refused."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from cuvee.decisions.simulate.decision import MethodComparison, Simulation
from cuvee.errors import ConfigError
from cuvee.execution.interface import Item, Job, OnProgress, Result
from cuvee.execution.local import InProcess, LocalProcesses
from cuvee.flows.simulate.flow import Simulated, simulate
from cuvee.flows.simulate.names import fidelity_named, fidelity_names
from cuvee.flows.simulate.question import METHODS, SimulationQuestion
from cuvee.flows.simulate.scores import comparisons, method_row, quantile, verdict
from cuvee.flows.simulate.table import read_table
from cuvee.flows.simulate.trajectories import Trajectories
from cuvee.mixture.mixture import Mixture
from cuvee.question.runs import read_runs
from cuvee.runs.observations import Observations
from cuvee.runs.roles import OTHER_RECIPE
from cuvee.runs.run import Run
from cuvee.runs.store import RunStore
from cuvee.search.methods.registry import SEARCH_METHODS
from cuvee.search.methods.transfer import Transfer
from cuvee.search.proposer import History
from cuvee.search.space import Experiment, Fidelity
from cuvee.search.trajectory import Trajectory
from cuvee.types import FloatArray
from tests.published import shared

SOURCES = ("books", "code", "web")
SMALL, LARGE = (1e6, 1e8), (1e7, 1e9)  # the small one costs a hundredth
WORTH = np.array([0.45, 0.55, 0.7])
CHEAP = ("transfer", "random")


def loss(shares: FloatArray) -> FloatArray:
    """Lowest where shares are as the squares of ``WORTH``: there it is 1 / |WORTH|."""
    result: FloatArray = 1.0 / (np.sqrt(shares) @ WORTH)
    return result


def table(
    sizes: Sequence[tuple[float, float]] = (SMALL, LARGE), mixtures: int = 40, flops: float = math.nan
) -> Observations:
    """The same mixtures at every size; smaller runs lose more, and rank mixtures as larger ones do."""
    shares = np.random.default_rng(0).dirichlet(np.ones(3), mixtures)
    rows = [(w, size) for size in sizes for w in range(mixtures)]
    values = [loss(shares)[w] + 1e7 / size[0] for w, size in rows]
    count = len(rows)
    return Observations(
        sources=SOURCES,
        metrics=("loss",),
        keys=tuple(f"{place}" for place in range(count)),
        shares=shares[[w for w, _ in rows]],
        params=np.array([size[0] for _, size in rows]),
        tokens=np.array([size[1] for _, size in rows]),
        kind=("imported",) * count,
        seed=np.zeros(count, dtype=np.int64),
        estimand=("equal_budget",) * count,
        role=("imported",) * count,
        values=np.array(values)[:, None],
        flops=np.full(count, flops),
    )


def played(
    folder: Path, question: SimulationQuestion, runs: Observations | None = None, executor: object = None
) -> Simulated:
    chosen = executor if executor is not None else InProcess()
    return simulate(
        table() if runs is None else runs, question, table="runs.csv", folder=folder,
        executor=chosen,  # type: ignore[arg-type]
    )  # fmt: skip


def text_of(simulated: Simulated) -> str:
    return json.dumps(simulated.simulation.as_json(), allow_nan=False)


QUICK = SimulationQuestion(methods=CHEAP, seeds=5, budget=6.0)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    return played(tmp_path_factory.mktemp("quick"), QUICK)


# --- the answer -------------------------------------------------------------------------------------


def test_what_a_perfect_cheap_level_is_worth(simulated: Simulated) -> None:
    """Sixteen small runs at a hundredth each tell nearly everything; random search needs half the pool."""
    simulation = simulated.simulation
    small, large = simulation.fidelities
    assert (small.price, large.price) == (0.01, 1.0)
    assert (small.rank, large.rank) == (1.0, 1.0)
    assert (small.common, small.mixtures, large.mixtures) == (40, 40, 40)
    assert (small.name, large.name, large.is_target) == ("1M/100M", "10M/1B", True)
    assert large.flops == 6e16
    shares = np.unique(table().shares, axis=0)
    assert simulation.optimum == pytest.approx(loss(shares).min() + 1.0)
    assert simulation.median == pytest.approx(float(np.median(loss(shares))) + 1.0)
    easy, hard = simulation.method("transfer").reach
    assert easy.median == pytest.approx(1.16)
    assert hard.high < 6.0
    assert simulation.method("random").reach[1].failures >= 0.5
    assert simulation.method("transfer").regret[-1].median == 0.0
    assert simulation.headline[0].startswith("Best here is transfer: within 1% of the best mixture after 1.")
    assert "ranks mixtures at 1.00" in simulation.headline[-1]
    assert simulation.verdict == "not compared"
    assert simulated.seconds["transfer"] > 0


def test_random_search_costs_what_arithmetic_says(tmp_path: Path) -> None:
    """One of ten mixtures is good enough: its place in a random order is even on 1 to 10."""
    runs = table((LARGE,), mixtures=10)
    row = played(tmp_path, SimulationQuestion(methods=("random",), seeds=100, budget=5.0), runs)
    hard = row.simulation.method("random").reach[1]
    assert hard.failures == pytest.approx(0.5, abs=0.15)
    assert row.simulation.method("random").experiments == 5.0
    whole = played(tmp_path, SimulationQuestion(methods=("random",), seeds=100, budget=10.0), runs)
    hard = whole.simulation.method("random").reach[1]
    assert hard.failures == 0.0
    assert hard.median == pytest.approx(5.5, abs=1.5)
    assert hard.high == pytest.approx(9.5, abs=0.6)


def test_adaptive_and_simple_are_compared(tmp_path: Path) -> None:
    question = SimulationQuestion(methods=("cost_aware", "transfer"), seeds=2, budget=3.0)
    simulation = played(tmp_path, question).simulation
    assert [one.gap for one in simulation.comparisons] == [0.1, 0.01]
    assert simulation.verdict == "not clear"  # two searches each cannot tell
    assert simulation.headline[1].startswith("Whether adaptivity pays is not clear here")
    one = simulation.comparisons[0]
    assert one.adaptive == simulation.method("cost_aware").reach[0].median
    assert one.simple == simulation.method("transfer").reach[0].median


def test_metrics_that_are_better_high_and_weights(tmp_path: Path, simulated: Simulated) -> None:
    runs = table()
    both = replace(runs, metrics=("accuracy", "other"), values=np.hstack([-runs.values, 0 * runs.values]))
    question = replace(QUICK, weights={"accuracy": 3.0}, directions={"accuracy": "higher"})
    turned = played(tmp_path, question, both).simulation
    assert turned.target == {"accuracy": 1.0}
    assert turned.methods == simulated.simulation.methods


def test_the_answer_is_the_same_as_json(simulated: Simulated) -> None:
    again = Simulation.from_json(json.loads(text_of(simulated)))
    assert again == simulated.simulation
    with pytest.raises(ConfigError, match="schema"):
        Simulation.from_json({"by": "laws", "schema": 1})


def test_the_level_and_its_price_can_be_said(tmp_path: Path) -> None:
    runs = table()
    told = replace(runs, flops=np.where(runs.params == 1e6, 5.0, 20.0))
    simulation = played(tmp_path, replace(QUICK, methods=("random",), seeds=2), told).simulation
    assert [fidelity.flops for fidelity in simulation.fidelities] == [5.0, 20.0]
    small = replace(QUICK, methods=("random",), seeds=2, target_fidelity="1M/1e8")
    chosen = played(tmp_path, small, told).simulation
    assert chosen.target_fidelity.name == "1M/100M"
    assert [fidelity.price for fidelity in chosen.fidelities] == [1.0, 4.0]


def test_one_level_is_searched_all_the_same(tmp_path: Path) -> None:
    runs = table((LARGE,), mixtures=12)
    nameless = replace(runs, params=np.full(12, np.nan), tokens=np.full(12, np.nan))
    simulation = played(tmp_path, replace(QUICK, methods=(*CHEAP, "sobol"), seeds=2), nameless).simulation
    (fidelity,) = simulation.fidelities
    assert (fidelity.is_target, fidelity.price, fidelity.mixtures) == (True, 1.0, 12)
    assert all(math.isnan(size) for size in (fidelity.parameters, fidelity.tokens, fidelity.flops))
    assert any("one fidelity" in note for note in simulation.notes)
    assert any("No run has its tokens" in note for note in simulation.notes)
    assert "one fidelity only" in simulation.headline[-1]
    assert all(row.curve[0].spent == 1.0 and row.curve[-1].spent == 6.0 for row in simulation.methods)


def test_a_law_answers_for_any_mixture(tmp_path: Path) -> None:
    runs = table((LARGE,))
    question = SimulationQuestion(methods=CHEAP, seeds=2, budget=18.0, law="effective_data")
    simulation = played(tmp_path, question, runs).simulation
    assert simulation.law == "effective_data"
    assert 0 < simulation.noise["loss"] < 0.1
    assert "its error on runs left out" in simulation.notes[0]
    # The law's own optimum is the measure: no mixture that a method finds is better.
    assert simulation.optimum == pytest.approx(1.0 + 1.0 / np.linalg.norm(WORTH), abs=0.01)
    assert min(point.low for row in simulation.methods for point in row.curve) >= -1e-3
    loud = played(tmp_path, replace(question, noise=0.5), runs).simulation
    assert loud.noise == {"loss": 0.5}
    assert loud.optimum == simulation.optimum
    assert loud.methods != simulation.methods


def test_batches_cost_what_their_experiments_cost(tmp_path: Path) -> None:
    question = replace(QUICK, methods=("random",), seeds=3, budget=7.0, batch=3)
    row = played(tmp_path, question).simulation.method("random")
    assert row.experiments == 7.0
    assert row.regret[0].budget == 1.25
    assert row.regret[0].median == math.inf  # nothing is recommended before the first three are told


# --- breaks and places ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Breaking:
    """Dies after some items."""

    after: int

    def map(
        self, job: Job[Item, Result], items: Sequence[Item], on_progress: OnProgress | None = None
    ) -> Iterator[tuple[int, Result]]:
        for index, found in InProcess().map(job, items):
            if index == self.after:
                raise KeyboardInterrupt
            yield index, found


@dataclass(frozen=True)
class Counting:
    """Takes note of what it is asked to do."""

    items: list[object]

    def map(
        self, job: Job[Item, Result], items: Sequence[Item], on_progress: OnProgress | None = None
    ) -> Iterator[tuple[int, Result]]:
        self.items.extend(items)
        return InProcess().map(job, items)


def test_a_killed_simulation_goes_on_where_it_was(tmp_path: Path, simulated: Simulated) -> None:
    for after in (0, 3, 3):
        with pytest.raises(KeyboardInterrupt):
            played(tmp_path, QUICK, executor=Breaking(after))
    assert len(list((tmp_path / "plays").iterdir())) == 6
    rest = Counting([])
    resumed = played(tmp_path, QUICK, executor=rest)
    assert len(rest.items) == 10 - 6
    assert text_of(resumed) == text_of(simulated)
    again = Counting([])
    kept = played(tmp_path, QUICK, executor=again)
    assert not again.items
    assert text_of(kept) == text_of(simulated)
    assert all(math.isnan(seconds) for seconds in kept.seconds.values())


def test_more_seeds_need_only_the_new_plays_and_other_terms_all(tmp_path: Path) -> None:
    played(tmp_path, replace(QUICK, seeds=2))
    for question, fresh in (
        (replace(QUICK, seeds=3), 2),
        (replace(QUICK, seeds=2, budget=5.0), 4),
        (replace(QUICK, seeds=2, batch=2), 4),
        (replace(QUICK, seeds=2, target_fidelity="1M/100M"), 4),
    ):
        count = Counting([])
        played(tmp_path, question, executor=count)
        assert len(count.items) == fresh
    runs = table()
    moved = replace(runs, values=runs.values + np.linspace(0, 0.01, len(runs))[:, None])
    count = Counting([])
    played(tmp_path, replace(QUICK, seeds=2), moved, executor=count)
    assert len(count.items) == 4


def test_worker_processes_change_no_byte(tmp_path: Path, simulated: Simulated) -> None:
    assert text_of(played(tmp_path, QUICK, executor=LocalProcesses(2))) == text_of(simulated)


def test_a_damaged_play_is_named(tmp_path: Path) -> None:
    played(tmp_path, replace(QUICK, seeds=1))
    path = sorted((tmp_path / "plays").iterdir())[0]
    for text in ("{", "[]", "{}"):
        path.write_text(text)
        with pytest.raises(ConfigError, match=f"{path.name} cannot be read"):
            played(tmp_path, replace(QUICK, seeds=1))


def test_a_method_that_crashes_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Broken(Transfer):
        name: str = "broken"

        def ask(self, history: History, count: int, seed: int) -> list[Experiment]:
            raise ZeroDivisionError

    monkeypatch.setitem(SEARCH_METHODS, "broken", Broken())
    with pytest.raises(ZeroDivisionError):
        played(tmp_path, replace(QUICK, methods=("random", "broken"), seeds=1))


# --- scores by hand ---------------------------------------------------------------------------------


def by_hand(method: str, best: Sequence[float], cost: float = 1.0) -> Trajectory:
    """Runs of one cost each; the optimum is 0 and the median 1, so that a cost is a gap."""
    spent = np.array([cost * (place + 1) for place in range(len(best))], dtype=np.float64)
    gaps = np.array(best, dtype=np.float64)
    experiments = tuple(Experiment((1.0, 0.0), 0) for _ in best)
    return Trajectory(method, experiments, spent, gaps, gaps, spent, None, optimum=0.0, median=1.0)


def test_scores_by_hand() -> None:
    plays = (by_hand("random", [0.5, 0.05, 0.0]), by_hand("random", [2.0, 2.0, 2.0]))
    row = method_row(Trajectories("random", (*plays, by_hand("random", [0.1, 0.1, 0.01])), math.nan), 3.0)
    easy, hard = row.reach
    assert (easy.gap, easy.median, easy.high) == (0.1, 2.0, math.inf)
    assert easy.failures == pytest.approx(1 / 3)
    assert (hard.gap, hard.median, hard.high) == (0.01, 3.0, math.inf)
    assert [(one.budget, one.median) for one in row.regret] == [(1.25, 0.5), (2.0, 0.1), (3.0, 0.01)]
    first, last = row.curve[0], row.curve[-1]
    assert (first.spent, first.low, first.median, first.high) == (1.0, 0.1, 0.5, 2.0)
    assert (last.spent, last.low, last.median, last.high) == (3.0, 0.0, 0.01, 2.0)
    two = next(point for point in row.curve if point.spent >= 2.0)
    assert two.median == 0.1
    assert quantile([3.0, 1.0, math.inf, 2.0], 0.5) == 2.0
    assert quantile([3.0, 1.0, math.inf, 2.0], 0.9) == math.inf


def test_before_the_first_run_at_the_target_nothing_is_found() -> None:
    late = by_hand("random", [math.nan, 0.3], cost=2.0)
    row = method_row(Trajectories("random", (late,), math.nan), 4.0)
    assert row.curve[0].median == math.inf
    assert row.curve[-1].median == 0.3


def test_when_adaptivity_pays() -> None:
    soon = tuple(by_hand("m", [0.0] * 5) for _ in range(8))
    late = tuple(by_hand("m", [1.0] * 4 + [0.0]) for _ in range(8))
    never = tuple(by_hand("m", [1.0] * 5) for _ in range(8))

    def told(
        adaptive: tuple[Trajectory, ...], simple: tuple[Trajectory, ...]
    ) -> tuple[str, tuple[MethodComparison, ...]]:
        found = comparisons(
            [Trajectories("cost_aware", adaptive, 0.0), Trajectories("transfer", simple, 0.0)]
        )
        return verdict(found), found

    pays, found = told(soon, late)
    assert pays == "pays"
    assert (found[0].adaptive, found[0].simple, found[0].chance) == (1.0, 5.0, 1.0)
    assert found[0].p_value < 0.01
    costs, found = told(never, late)
    assert costs == "costs"
    assert (found[1].adaptive, found[1].chance) == (math.inf, 0.0)
    alike, found = told(never, never)
    assert alike == "not clear"
    assert (found[0].chance, found[0].p_value) == (0.5, 1.0)
    assert verdict(()) == "not compared"
    mixed = (MethodComparison(0.1, 1, 2, 0.9, 0.001), MethodComparison(0.01, 2, 1, 0.1, 0.001))
    assert verdict(mixed) == "not clear"


def test_a_play_is_the_same_as_json() -> None:
    play = replace(by_hand("m", [math.nan, 0.1 + 0.2]), recommendation=np.array([1 / 3, 2 / 3]))
    again = Trajectory.from_json(json.loads(json.dumps(play.as_json(), allow_nan=False)))
    assert again.experiments == play.experiments
    assert np.array_equal(again.best, play.best, equal_nan=True)
    assert again.recommendation is not None
    assert again.recommendation.tolist() == [1 / 3, 2 / 3]
    assert again.as_json() == play.as_json()


# --- names and errors -------------------------------------------------------------------------------


def test_levels_by_name() -> None:
    sizes = ((58_982_400.0, 1_048_576_000.0), (1_310_720.0, 1_048_576_000.0))
    fidelities = [Fidelity("imported", params, tokens, 1.0) for params, tokens in sizes]
    assert fidelity_names(fidelities) == ("58.98M/1.049B", "1.311M/1.049B")
    for place, name in enumerate(fidelity_names(fidelities)):
        assert fidelity_named(fidelities, name) == place
    assert fidelity_named(fidelities, "59m/1.05G") == 0
    assert fidelity_named(fidelities, "1310720/1048576000") == 1
    for wrong in ("2M/1B", "1M", "a/b", "", "-1M/1B", "trained:1.311M/1.049B"):
        with pytest.raises(ConfigError, match=r"58\.98M/1\.049B, 1\.311M/1\.049B"):
            fidelity_named(fidelities, wrong)
    mixed = [fidelities[0], replace(fidelities[0], kind="merged")]
    assert fidelity_names(mixed)[1] == "merged:58.98M/1.049B"
    assert fidelity_named(mixed, "merged:58.98M/1.049B") == 1
    with pytest.raises(ConfigError, match="several kinds"):
        fidelity_named(mixed, "58.98M/1.049B")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"methods": ("trasfer",)}, r"no search method 'trasfer' \(did you mean 'transfer'\?\).*cost_aware"),
        ({"methods": ("random", "random")}, "named twice"),
        ({"methods": ()}, "no method"),
        ({"budget": 0.5}, "at least 1 run"),
        ({"budget": math.inf}, "at least 1 run"),
        ({"seeds": 0}, "seeds 0"),
        ({"batch": 0}, "batch 0"),
        ({"law": "nothing"}, "no law 'nothing'"),
        ({"noise": 0.1}, "name a law"),
        ({"law": "linear", "noise": -0.1}, "at least 0"),
    ],
)
def test_questions_that_make_no_sense(fields: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        SimulationQuestion(**fields)  # type: ignore[arg-type]


def test_tables_that_cannot_be_searched(tmp_path: Path) -> None:
    runs, quick = table(), replace(QUICK, seeds=1)
    hole = runs.values.copy()
    hole[7, 0] = np.nan
    some = runs.params.copy()
    some[3] = np.nan
    one = np.flatnonzero((runs.params == 1e6) | (np.arange(len(runs)) == 40))
    cases = [
        (replace(runs, values=hole), quick, "'loss' was not measured in run '7' .1 of 80 runs"),
        (replace(runs, params=some), quick, "both are needed"),
        (runs.select(one), quick, r"only 1 mixture.*--target-fidelity.*1M/100M \(40\), 10M/1B \(1\)"),
        (table(mixtures=1), quick, "only 1 mixture"),
        (replace(runs, values=np.ones_like(runs.values)), quick, "the same for all 40 mixtures"),
        (runs, replace(quick, target_fidelity="5M/1B"), "no run is of the target fidelity '5M/1B'.*1M/100M"),
        (runs, replace(quick, weights={"nothing": 1.0}), "no metric 'nothing'"),
        (runs, replace(quick, law="linear"), "knows nothing of scale"),
    ]
    for broken, question, told in cases:
        with pytest.raises(ConfigError, match=told):
            played(tmp_path, question, broken)
    assert not (tmp_path / "plays").exists()


def test_a_budget_that_ends_in_the_first_design_is_told(tmp_path: Path) -> None:
    near = table(((9e6, 9e8), LARGE))  # the small fidelity costs 0.81
    question = replace(QUICK, seeds=2, budget=5.0)
    for _ in range(2):  # also when the plays lie there
        with pytest.raises(ConfigError, match=r"budget of 5 runs .* before transfer makes the first"):
            played(tmp_path, question, near)
    enough = played(tmp_path, replace(question, budget=14.0), near).simulation
    assert enough.method("transfer").reach[0].median > 12.96


# --- real tables ------------------------------------------------------------------------------------


def test_reading_keeps_all_scales(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    rows = [f"{size},{100 * size},{share},{1 - share},{share}" for size in (10, 20) for share in (0.2, 0.4)]
    path.write_text("\n".join(["params,tokens,w:a,w:b,m:loss", *rows, "20,2000,0.5,0.5,0.1"]) + "\n")
    assert len(read_table([path], {}).observations) == 5
    assert len(read_runs([path], {}).observations) == 3


def test_a_study_is_played_from_its_store(tmp_path: Path) -> None:
    """Kinds are fidelities, and what mixtures are not compared by is left out."""
    shares = np.random.default_rng(0).dirichlet(np.ones(3), 20)

    def run(place: int, kind: str, role: str, flops: float, loss: float | None = None) -> Run:
        mixture = Mixture(SOURCES, shares[place])
        metrics = {"nats_per_token/web": loss, "bits_per_byte/web": 2.0}
        measured = {name: value for name, value in metrics.items() if value is not None}
        return Run(
            key=f"{kind} {role} {place}", kind=kind, mixture=mixture, metrics=measured, params=1000,
            tokens=5000, seed=0, role=role, estimand="equal_budget", flops=flops,
        )  # fmt: skip

    truth = loss(shares).tolist()
    runs = [run(place, "trained", "reference", 1e9, truth[place]) for place in range(6)]
    runs += [run(place, "merged", "candidate", 1e7, 2 * truth[place]) for place in range(19)]
    runs += [run(19, "merged", "candidate", 1e7)]  # dropped on the way
    runs += [run(0, "merged", OTHER_RECIPE, 1e7, 9.0), run(1, "trained", "branch", 1e9, 9.0)]
    runs += [run(2, "trained", "snapshot", 1e8, 9.0), run(3, "trained", "seed", 1e9, 9.0)]
    with RunStore(tmp_path / "store.sqlite") as store:
        store.add_many(runs)
    found = read_table([tmp_path], {})
    assert len(found.observations) == 6 + 19
    assert found.directions == {"nats_per_token/web": "lower"}
    assert any("1 of 26 runs was not measured in full" in note for note in found.notes)
    simulation = played(tmp_path / "out", replace(QUICK, seeds=1), found.observations).simulation
    merged, trained = simulation.fidelities
    assert (merged.name, trained.name) == ("merged:1k/5k", "trained:1k/5k")
    assert (merged.price, merged.mixtures, merged.common, merged.rank) == (0.01, 19, 6, 1.0)
    assert (trained.mixtures, trained.is_target) == (6, True)
    assert len(read_table([tmp_path / "store.sqlite"], {"kind": "merged"}).observations) == 19
    with pytest.raises(ConfigError, match="simulate it alone"):
        read_table([tmp_path, tmp_path], {})
    with RunStore(tmp_path / "other.sqlite") as store:
        store.add_many([runs[-1]])
    with pytest.raises(ConfigError, match="run the study first"):
        read_table([tmp_path / "other.sqlite"], {})


def test_regmix_at_two_sizes(tmp_path: Path) -> None:
    paths = [shared(f"runs/regmix_{size}/runs.parquet") for size in ("1m", "60m")]
    runs = read_table(paths, {})
    question = SimulationQuestion(weights={"pile_cc": 1.0}, methods=CHEAP, seeds=2, budget=5.0)
    simulation = played(tmp_path, question, runs.observations).simulation
    small, large = simulation.fidelities
    assert (small.name, large.name) == ("1.311M/1.049B", "58.98M/1.049B")
    assert (small.mixtures, small.common, large.mixtures) == (768, 256, 256)
    assert small.price == pytest.approx(1 / 45)
    assert 0.98 < small.rank < 1.0
    assert simulation.method("transfer").reach[0].high < 3.0
    assert simulation.method("random").reach[1].failures > 0


def test_the_methods_played_by_default_are_there() -> None:
    assert set(METHODS) <= set(SEARCH_METHODS)
    assert SimulationQuestion().methods == METHODS
