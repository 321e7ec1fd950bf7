"""The runner of a study: one way from requests to observations.

    runner.observe(Trainings(runner.plan, "training the pool"), planned)

The store is asked first, and what it has is never made again, so a killed study goes on where it was. What is
made is written down as it arrives, under a key of all that determines it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from cuvee.decisions.document import JsonDocument
from cuvee.errors import StoreError
from cuvee.evaluation.scores import Documents, Scores
from cuvee.execution.interface import Executor
from cuvee.progress import Progress
from cuvee.runs.observations import Observations
from cuvee.runs.run import Run, observations_of
from cuvee.runs.store import RunStore
from cuvee.study.plan.plan import Plan
from cuvee.study.producers.producer import Producer, Results
from cuvee.study.tracking import Tracking
from cuvee.types import FloatArray

RequestT = TypeVar("RequestT")
DocumentT = TypeVar("DocumentT", bound=JsonDocument)

Nats = dict[str, FloatArray]
"""Evaluation -> nats of each of its documents."""


@dataclass(frozen=True, eq=False)
class Runner:
    """Makes what a plan asks for, and looks up what is made."""

    plan: Plan
    store: RunStore
    executor: Executor
    progress: Progress
    tracking: Tracking | None = None
    """What trackers are shown; None where the study is only looked at."""

    def make(self, producer: Producer[RequestT], requests: Sequence[RequestT]) -> list[str]:
        """Make what the store does not have; the keys of all requests, in their order.

        Raises:
            CuveeError: something that is missing cannot be made.
        """
        keys = [producer.key(one) for one in requests]
        known = self.store.keys(set(keys))
        if producer.failures:
            known |= {run.key for run in self.store.failures()}
        missing: dict[str, RequestT] = {}
        for key, one in zip(keys, requests, strict=True):
            if key not in known or not producer.kept(one):
                missing.setdefault(key, one)
        if missing:
            if self.tracking is not None:
                self.tracking.expect(missing.values())
            for results in producer.make(list(missing.values()), requests, self.executor, self.progress):
                self._write_down(results)
        return keys

    def observe(self, producer: Producer[RequestT], requests: Sequence[RequestT]) -> Observations:
        """A row for every request, in their order; what is missing is made.

        See ``rows``; a run fails only where the producer allows it. A request that stands there twice has two
        rows; the key of the second says so.

        Raises:
            StoreError: a run is gone from the store.
            CuveeError: as ``make``.
        """
        return self.rows(list(_distinct(self.made(producer, requests))))

    def made(self, producer: Producer[RequestT], requests: Sequence[RequestT]) -> list[Run]:
        """The run of every request, in their order; what is missing is made. Raises as ``observe``."""
        keys = self.make(producer, requests)
        return [self._existing(key, run) for key, run in zip(keys, self._found(keys), strict=True)]

    def scores(self, producer: Producer[RequestT], requests: Sequence[RequestT]) -> Scores:
        """The same document by document: nats [R, D].

        Raises:
            StoreError: a run was written without its documents.
            CuveeError: as ``make``.
        """
        keys = self.make(producer, requests)
        computed = producer.scores(requests, self.executor) if requests else None
        return self._stored(keys) if computed is None else computed

    def documents_of(self, producer: Producer[RequestT], requests: Sequence[RequestT]) -> list[Nats]:
        """Nats of the documents of every request that the store keeps, of whatever evaluations."""
        keys = self.make(producer, requests)
        found = self.store.documents(keys)
        return [found[key] for key in keys]

    def known(self, producer: Producer[RequestT], requests: Sequence[RequestT]) -> list[Run | None]:
        """What the store has of every request, failed runs too; nothing is made."""
        return self._found([producer.key(one) for one in requests])

    def rows(self, runs: Sequence[Run]) -> Observations:
        """Runs of the store as rows, in their order, failed ones without values.

        Sources are those of the pool, in the order of the study file, and whatever else the runs read.
        Metrics are those of the plan.
        """
        read = {name for run in runs for name in run.mixture.support}
        pool = self.plan.config.pool_sources
        columns = [*pool, *sorted(read - set(pool))]
        return observations_of(runs, columns, self.plan.metrics, failed=True)

    @cached_property
    def documents(self) -> Documents:
        """All documents on which losses are measured."""
        return self.plan.bench.evaluator().documents

    def concluded(self, decision: DocumentT) -> DocumentT:
        """The decision of a flow, shown to the trackers of the study."""
        if self.tracking is not None:
            self.tracking.concluded(decision)
        return decision

    def _write_down(self, results: Results) -> None:
        self.store.add_many(results.runs)
        if self.tracking is not None:
            self.tracking.made(results.runs)
        if results.spent is not None:
            self.store.record_seconds(results.spent.key, results.spent.stage, results.spent.seconds)

    def _found(self, keys: Sequence[str]) -> list[Run | None]:
        done = {run.key: run for run in self.store.runs(key=list(keys))}
        return [done[key] if key in done else self.store.get(key) for key in keys]

    def _existing(self, key: str, run: Run | None) -> Run:
        if run is None:
            raise StoreError(
                f"{self.store.path}: run {key} is gone; run the command again to have it made anew"
            )
        return run

    def _stored(self, keys: Sequence[str]) -> Scores:
        found, documents = self.store.documents(keys), self.documents
        for key in keys:
            if missing := [name for name in documents.evaluations if name not in found[key]]:
                raise StoreError(
                    f"{self.store.path}: run {key} has no losses of single documents on '{missing[0]}'; "
                    "delete the file to have everything measured again (what is trained stays)"
                )
        rows = [np.concatenate([found[key][name] for name in documents.evaluations]) for key in keys]
        return Scores(documents, np.array(rows).reshape(len(keys), len(documents.tokens)))


def _distinct(runs: Iterable[Run]) -> Iterator[Run]:
    """Each with a key of its own."""
    seen = Counter[str]()
    for run in runs:
        seen[run.key] += 1
        yield run if seen[run.key] == 1 else replace(run, key=f"{run.key} ({seen[run.key]})")
