"""Downstream tasks: all requests on the models that are there, and on merges where that can say anything.

Trained references come first: they say which metrics differ between mixtures by more than noise. A task of
which no accuracy does is left there. Of the others the merges and ensembles of the references are scored too,
in memory, so that it is known how far accuracies of proxies can be believed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import nan

import numpy as np

from cuvee.decisions.ablation.tasks import TaskRow
from cuvee.evaluation.scores import Scores
from cuvee.evaluation.signal_to_noise import SignalToNoise
from cuvee.evaluation.task_scores import TaskScores
from cuvee.flows.ablation.findings import Findings, References
from cuvee.honesty.statistics import rank_correlation
from cuvee.mixture.mixture import Mixture
from cuvee.runs.formats.task_units import ACCURACIES, known_unit, of_task
from cuvee.runs.roles import DOWNSTREAM
from cuvee.study.plan.planned import Planned
from cuvee.study.pooling import ensemble_of
from cuvee.study.producers.ensembled import Ensembles
from cuvee.study.producers.merged import Merges
from cuvee.study.producers.trained import Trainings
from cuvee.study.producers.weighted import Weighted
from cuvee.study.proxies import ENSEMBLE, MERGE
from cuvee.study.runner import Runner
from cuvee.types import FloatArray

TITLE = "answering downstream tasks"
_FEWEST = 3
"""Mixtures of which an order can be compared."""


def task_rows(
    runner: Runner, findings: Findings, fresh: Mapping[str, Sequence[Planned]]
) -> tuple[TaskRow, ...]:
    """All metrics of all tasks; what is missing is measured.

    Args:
        runner: of the study.
        findings: with trained references; without them nothing is measured.
        fresh: the pick and what it is compared with -> their fresh trainings.
    """
    names = runner.plan.config.tasks
    if not names or findings.references is None:
        return ()
    trained = _Answering(_answering(runner, names), findings.references, fresh)
    trained.make()
    rows = [row for name in names for row in trained.rows(name)]
    deciding = [name for name in names if any(_counts(row, name) for row in rows)]
    proxies = _proxies(_answering(runner, deciding), findings) if deciding else {}
    return tuple(_beside(row, trained, proxies) if row.task in deciding else row for row in rows)


def _counts(row: TaskRow, task: str) -> bool:
    """Scoring all requests again is worth it: right answers alone are scored on every merge anyway."""
    return row.task == task and row.metric in ACCURACIES and row.decides


def _answering(runner: Runner, names: Sequence[str]) -> Runner:
    return replace(runner, plan=runner.plan.answering(names))


def _by_task(runner: Runner, scores: Scores) -> dict[str, TaskScores]:
    """What models do on each task, of the nats of all requests [M, R]."""
    of = scores.documents.evaluation
    return {
        name: TaskScores(runner.plan.shapes[name], scores.nats[:, of == place])
        for place, name in enumerate(scores.documents.evaluations)
    }


@dataclass(frozen=True, eq=False)
class _Answering:
    """The really trained models, asked everything."""

    runner: Runner
    references: References
    fresh: Mapping[str, Sequence[Planned]]

    def make(self) -> None:
        """Ask all of them at once."""
        arms = [one for planned in self._arms_planned.values() for one in planned]
        every = {one.run.key: one for one in (*self._planned, *self._twice, *arms)}
        self.runner.make(self._trainings, list(every.values()))

    @cached_property
    def first(self) -> dict[str, TaskScores]:
        """Of the first trainings of all mixtures [M]."""
        return self._answers(self._planned)

    @cached_property
    def _again(self) -> dict[str, TaskScores]:
        """Of second trainings [A]."""
        return self._answers(self._twice)

    @cached_property
    def _arms(self) -> dict[str, dict[str, TaskScores]]:
        return {name: self._answers(planned) for name, planned in self._arms_planned.items()}

    @property
    def _planned(self) -> list[Planned]:
        return [self._reference(one, 0) for one in self.references.trained]

    @property
    def _twice(self) -> list[Planned]:
        return [self._reference(self.references.trained[row], 1) for row in self.references.twice]

    @property
    def _arms_planned(self) -> dict[str, list[Planned]]:
        return {
            name: [replace(one, role=DOWNSTREAM, measured_along=0) for one in planned]
            for name, planned in self.fresh.items()
            if planned
        }

    def _reference(self, mixture: Mixture, replica: int) -> Planned:
        return Planned(self.runner.plan.reference(mixture, replica), DOWNSTREAM, mixture)

    @property
    def _trainings(self) -> Trainings:
        return Trainings(self.runner.plan, TITLE)

    def _answers(self, planned: Sequence[Planned]) -> dict[str, TaskScores]:
        return _by_task(self.runner, self.runner.scores(self._trainings, planned))

    def rows(self, task: str) -> list[TaskRow]:
        """All metrics of a task."""
        return [self._row(task, metric) for metric in self.first[task].metrics]

    def _row(self, task: str, metric: str) -> TaskRow:
        scores, again = self.first[task], self._again[task]
        answers = scores.contributions(metric)
        twice = answers.mean(axis=1)[list(self.references.twice)] - again.contributions(metric).mean(axis=1)
        found = SignalToNoise.of(answers, twice)
        return TaskRow(
            task=task,
            metric=metric,
            better=known_unit(of_task(metric, task)) or "lower",
            questions=answers.shape[1],
            error=float(scores.errors[metric].mean()),
            signal=found.signal,
            noise=found.noise,
            models=len(answers),
            chance=scores.shape.chance if metric in ACCURACIES else nan,
            values=tuple((name, float(by[task].means[metric].mean())) for name, by in self._arms.items()),
        )


def _proxies(runner: Runner, findings: Findings) -> dict[str, dict[str, TaskScores]]:
    """What merges and ensembles of the references do on tasks."""
    assert findings.references is not None  # tasks are chosen by what they do
    plan, pool, mixtures = runner.plan, findings.pool, findings.references.mixtures
    weights = np.stack([one.shares for one in mixtures]) @ pool.roster.spread(plan.config.pool_sources)
    requests = Weighted.of(weights, mixtures, [DOWNSTREAM] * len(mixtures))
    ensemble = ensemble_of(plan, pool, runner.executor, runner.progress)
    return {
        MERGE: _by_task(runner, runner.scores(Merges(plan, MERGE, pool), requests)),
        ENSEMBLE: _by_task(runner, runner.scores(Ensembles(plan, ensemble), requests)),
    }


def _beside(row: TaskRow, trained: _Answering, proxies: Mapping[str, Mapping[str, TaskScores]]) -> TaskRow:
    truth = trained.first[row.task].means[row.metric]
    merges, ensembles = (
        _agreement(proxies[name][row.task].means[row.metric], truth) for name in (MERGE, ENSEMBLE)
    )
    return replace(row, merges=merges, ensembles=ensembles)


def _agreement(proxy: FloatArray, truth: FloatArray) -> float:
    if len(truth) < _FEWEST:
        return nan
    together = np.zeros(len(truth), dtype=np.int64)
    return float(rank_correlation(proxy, truth, together, np.ones(len(truth))))
