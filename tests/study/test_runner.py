"""The runner: rows in the order of the requests, made once, whatever producer makes them."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from cuvee.errors import StoreError
from cuvee.execution.interface import Executor, Item, Job, OnProgress, Result
from cuvee.execution.local import InProcess
from cuvee.exporters.interface import SourceFacts
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.progress import Progress
from cuvee.runs.metric_names import BITS, NATS
from cuvee.runs.roles import CANDIDATE, REFERENCE, SEARCH
from cuvee.runs.run import Run
from cuvee.study import producers
from cuvee.study.file.config import StudyConfig
from cuvee.study.opening import opened
from cuvee.study.plan.commanded_run import CommandedRun
from cuvee.study.plan.planned import Planned
from cuvee.study.pooling import ensemble_of, planned_branches, planned_seed, pool_of
from cuvee.study.producers.commanded import CommandedRuns
from cuvee.study.producers.descended import Descents, WeightDescent
from cuvee.study.producers.ensembled import Ensembles
from cuvee.study.producers.frozen import FrozenTrainings
from cuvee.study.producers.merged import Merges
from cuvee.study.producers.producer import Producer, Results, Spent
from cuvee.study.producers.snapshot import Snapshot, Snapshots
from cuvee.study.producers.trained import Trainings
from cuvee.study.producers.weighted import Weighted
from cuvee.study.runner import Runner
from tests.study.tiny_study import LANGUAGES, SEED_DATA, Listener, write_study

QUICK: dict[str, Any] = {
    "seed_training": {"tokens": 4 * 256},
    "branch_training": SEED_DATA | {"tokens": 2 * 256, "snapshots": [0.5]},
    "evaluation_tokens": 64,
    "trainer": {"command": "/bin/sh -c 'cp model/* {output}' {mixture}", "returns": "model"},
}
MIXTURES = [Mixture.uniform(LANGUAGES), Mixture.normalised(dict(zip(LANGUAGES, (5, 3, 1, 1), strict=True)))]

Asked = tuple[Producer[Any], list[Any]]


@dataclass(frozen=True)
class Counting(InProcess):
    """An executor that keeps what it was given."""

    jobs: list[Any] = field(default_factory=list)

    def map(
        self, job: Job[Item, Result], items: Sequence[Item], on_progress: OnProgress | None = None
    ) -> Iterator[tuple[int, Result]]:
        self.jobs.extend(items)
        yield from super().map(job, items, on_progress)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder = write_study(tmp_path_factory.mktemp("runner"), **QUICK)
    with opened(StudyConfig.load(folder.root), folder, Listener(), Counting()) as found:
        for planned in (planned_seed(found.plan), planned_branches(found.plan)):
            found.make(Trainings(found.plan, "training the pool"), planned)
        yield found


def references(runner: Runner, **changes: Any) -> list[Planned]:
    return [Planned(runner.plan.reference(one), REFERENCE, one, **changes) for one in MIXTURES]


def trained(runner: Runner) -> Asked:
    return Trainings(runner.plan, "training references"), references(runner)


def frozen(runner: Runner) -> Asked:
    runs = [(one, runner.plan.reference(one, 7)) for one in MIXTURES]
    begun = [Planned(run, SEARCH, one, measured_along=2, until=1) for one, run in runs]
    ended = [Planned(run, SEARCH, one, measured_along=2) for one, run in runs]
    return FrozenTrainings(runner.plan), [begun[0], ended[1], begun[1]]


def snapshots(runner: Runner) -> Asked:
    own = {source: name for name, source in runner.plan.config.own_sources.items()}
    members = runner.plan.branches().items()
    return Snapshots(runner.plan), [Snapshot(run, m.source, 1, (own[m.source],)) for m, run in members]


def weighted(runner: Runner) -> list[Weighted]:
    shares = np.stack([one.shares for one in MIXTURES])
    return Weighted.of(shares, MIXTURES, [CANDIDATE] * len(MIXTURES))


def merged(runner: Runner) -> Asked:
    return Merges(runner.plan, "merge", pool_of(runner.plan, 1)), weighted(runner)


def ensembled(runner: Runner) -> Asked:
    pool = pool_of(runner.plan, 1)
    ensemble = ensemble_of(runner.plan, pool, runner.executor, runner.progress)
    return Ensembles(runner.plan, ensemble), weighted(runner)


def descended(runner: Runner) -> Asked:
    pool, region = pool_of(runner.plan, 1), Region.simplex(LANGUAGES)
    ensemble = ensemble_of(runner.plan, pool, runner.executor, runner.progress)
    target = runner.documents.target(runner.plan.config.target_weights)
    asked = [WeightDescent(one, region, target, 0.0) for one in MIXTURES]
    return Descents(runner.plan, "merge", pool, ensemble), asked


def commanded(runner: Runner) -> Asked:
    """A trainer that hands out the seed model."""
    plan = runner.plan
    [seed] = planned_seed(plan)
    shutil.copytree(seed.run.folder, plan.folder.root / "model", dirs_exist_ok=True)
    facts = {name: SourceFacts() for name in LANGUAGES}
    return CommandedRuns(plan, facts, plan.folder.swarm), [CommandedRun(one, 1000, 0) for one in MIXTURES]


CASES: dict[str, Callable[[Runner], Asked]] = {
    "trained": trained,
    "frozen": frozen,
    "snapshot": snapshots,
    "merged": merged,
    "ensembled": ensembled,
    "descended": descended,
    "commanded": commanded,
}


def test_every_producer_has_its_requests_here() -> None:
    there = {one for one in vars(producers).values() if isinstance(one, type) and Producer in one.__mro__}
    assert {one.__module__.rpartition(".")[2] for one in there - {Producer}} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_rows_come_in_the_order_of_the_requests_and_are_made_once(runner: Runner, name: str) -> None:
    producer, requests = CASES[name](runner)
    before = runner.known(producer, requests)
    assert before == [None] * len(requests)
    rows = runner.observe(producer, requests)
    assert rows.keys == tuple(producer.key(one) for one in requests)
    assert len(set(rows.keys)) == len(requests)
    assert rows.metrics == tuple(unit + one for unit in (NATS, BITS) for one in runner.plan.evaluations)
    assert np.isfinite(rows.values_of(NATS)).any(axis=1).all()
    assert isinstance(runner.executor, Counting)
    jobs = len(runner.executor.jobs)
    assert runner.observe(producer, requests[::-1]) == rows.select(np.arange(len(rows))[::-1])
    assert len(runner.executor.jobs) == jobs


@pytest.mark.parametrize("name", ["trained", "merged", "ensembled", "commanded"])
def test_documents_add_up_to_the_rows_and_requests_may_stand_twice(runner: Runner, name: str) -> None:
    producer, requests = CASES[name](runner)
    rows, scores = runner.observe(producer, requests), runner.scores(producer, [*requests, requests[0]])
    assert np.array_equal(scores.nats_per_token[:-1], rows.values_of(NATS))
    assert np.array_equal(scores.nats[-1], scores.nats[0])
    twice = runner.observe(producer, [*requests, requests[0]])
    assert np.array_equal(twice.values_of(NATS), scores.nats_per_token)
    assert twice.keys == (*rows.keys, f"{rows.keys[0]} (2)")


def test_what_is_measured_on_the_way_of_a_training_is_a_row_too(runner: Runner) -> None:
    [mixture, _] = MIXTURES
    run = runner.plan.reference(mixture, 8)
    producer = FrozenTrainings(runner.plan)
    runner.make(producer, [Planned(run, SEARCH, mixture, measured_along=2)])
    [found] = runner.known(producer, [Planned(run, SEARCH, mixture, measured_along=2, until=1)])
    assert found is not None and found.kind == "checkpoint" and found.tokens == run.recipe.batch_tokens


def test_a_parameter_that_is_read_again_is_made_again(runner: Runner) -> None:
    """The store has its row, but branches start from its checkpoint."""
    trainings = Trainings(runner.plan, "training the seed model")
    [seed] = planned_seed(runner.plan)
    [reference, _] = references(runner)
    assert trainings.kept(seed) and trainings.kept(reference)
    hidden = seed.run.folder.rename(seed.run.root / "hidden")
    try:
        assert not trainings.kept(seed)
    finally:
        hidden.rename(seed.run.folder)


# Producers of anything


@dataclass(frozen=True)
class Letters(Producer[str]):
    """Measures letters; some of them fail, and some are never written."""

    metric: str
    failing: str = ""
    lost: str = ""
    asked: list[str] = field(default_factory=list)

    @property
    def failures(self) -> bool:
        return True

    def key(self, request: str) -> str:
        return f"letter {request}"

    def make(
        self, missing: Sequence[str], asked: Sequence[str], executor: Executor, progress: Progress
    ) -> Iterator[Results]:
        for one in missing:
            self.asked.append(one)
            if one not in self.lost:
                yield Results((self.run(one),), Spent(self.key(one), "reading", 1.0))

    def run(self, letter: str) -> Run:
        known: dict[str, Any] = {"metrics": {self.metric: float(ord(letter))}}
        if letter in self.failing:
            known = {"status": "failed", "error": "illegible"}
        return Run(self.key(letter), "trained", SEARCH, "equal_budget", MIXTURES[0], 1, 1, 0, **known)


def test_a_failed_run_keeps_its_row_and_is_not_tried_again(runner: Runner) -> None:
    metric = NATS + next(iter(runner.plan.evaluations))
    producer = Letters(metric, failing="y")
    for _ in range(2):
        values = runner.observe(producer, ["x", "y", "z"]).metric(metric)
        assert np.array_equal(values, [ord("x"), np.nan, ord("z")], equal_nan=True)
    assert producer.asked == ["x", "y", "z"]
    assert runner.store.seconds()["letter x", "reading"] == 1.0


def test_sources_stand_in_the_order_of_the_study_whatever_the_store_says(runner: Runner) -> None:
    mixture = Mixture.of({"nu": 0.25, "po": 0.5, "ka": 0.25})
    run = Run("elsewhere", "trained", SEARCH, "equal_budget", mixture, 1, 1, 0)
    rows = runner.rows([run])
    assert rows.sources == (*LANGUAGES, "po")
    assert rows.shares.tolist() == [[0.25, 0.0, 0.0, 0.25, 0.5]]


def test_a_run_that_is_missing_raises_and_moves_no_other(runner: Runner) -> None:
    producer = Letters(NATS + next(iter(runner.plan.evaluations)), lost="q")
    with pytest.raises(StoreError, match="run letter q is gone"):
        runner.observe(producer, ["p", "q", "r"])
    assert [run is None for run in runner.known(producer, ["p", "q", "r"])] == [False, True, False]
