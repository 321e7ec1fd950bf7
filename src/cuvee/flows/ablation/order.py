"""Whether the order of mixtures survives: some references trained again under other conditions, and compared.

The mixtures are the first references of the design, which is shuffled: they are chosen before any loss is
known, and are the ones that replicates are made of.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np

from cuvee.decisions.ablation.order import Changed, MixtureOrder, OrderRow
from cuvee.evaluation.paired import compare
from cuvee.evaluation.scores import Documents, Scores
from cuvee.honesty.order import ConditionLosses, OrderKept, order_kept
from cuvee.honesty.trainings import TrainingNoise, pooled_noise
from cuvee.runs.roles import OTHER_RATE, OTHER_SIZE, OTHER_TOKENS
from cuvee.study.evaluation_rows import of_known_error
from cuvee.study.file.settings import FEWEST_ORDERED
from cuvee.study.plan.conditions import Condition, conditions_of
from cuvee.study.plan.mixtures import ReferenceMixture
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.planned import Planned
from cuvee.study.producers.trained import Trainings
from cuvee.study.runner import Runner
from cuvee.types import FloatArray

_CHANGED: dict[str, Changed] = {
    OTHER_RATE: "learning rate",
    OTHER_TOKENS: "tokens",
    OTHER_SIZE: "parameters",
}
DOCUMENT_DRAWS = 100
"""Resamples of the documents behind the intervals of rank correlations."""


@dataclass(frozen=True, eq=False)
class OtherTrainings:
    """The mixtures under one other condition."""

    condition: Condition
    nats: FloatArray
    """[k, D]"""


@dataclass(frozen=True, eq=False)
class OrderFindings:
    """What was measured of some references under other conditions."""

    here: FloatArray
    """[A, 2, D] at two seeds, as references are trained; all that were trained twice."""
    mixtures: int
    """k, the first of these, are compared."""
    others: tuple[OtherTrainings, ...]


def planned_order(plan: Plan, chosen: Sequence[ReferenceMixture]) -> list[list[Planned]]:
    """What is trained for it besides references and replicates, in stages that follow each other."""
    mixtures = ordered_mixtures(plan, chosen)
    conditions = conditions_of(plan) if mixtures else []
    first = [run for one in conditions for run in one.seed_model or one.runs(mixtures)]
    after = [run for one in conditions if one.seed_model for run in one.runs(mixtures)]
    return [stage for stage in (first, after) if stage]


def ordered_mixtures(plan: Plan, chosen: Sequence[ReferenceMixture]) -> list[ReferenceMixture]:
    """The references that are trained again; none where nobody asks, or there are too few."""
    mixtures = list(chosen[: plan.config.order.mixtures])
    return mixtures if len(mixtures) >= FEWEST_ORDERED else []


def investigated_order(
    runner: Runner, chosen: Sequence[ReferenceMixture], here: FloatArray
) -> OrderFindings | None:
    """Train and measure what is missing; None where nobody asks.

    Args:
        runner: of the study.
        chosen: its references.
        here: nats of those that were trained twice [A, 2, D].
    """
    mixtures = ordered_mixtures(runner.plan, chosen)
    if not mixtures:
        return None
    for stage in planned_order(runner.plan, chosen):
        runner.make(_trainings(runner.plan), stage)
    others = tuple(
        OtherTrainings(one, runner.scores(_trainings(runner.plan), one.runs(mixtures)).nats)
        for one in conditions_of(runner.plan)
    )
    return OrderFindings(here, len(mixtures), others)


def _trainings(plan: Plan) -> Trainings:
    return Trainings(plan, "training references under other conditions")


def order_of(found: OrderFindings, runner: Runner, confidence: float) -> MixtureOrder:
    """What became of the order of the mixtures."""
    return _OrderComparison(found, runner, confidence).order()


@dataclass(frozen=True, eq=False)
class _OrderComparison:
    found: OrderFindings
    runner: Runner
    confidence: float

    def order(self) -> MixtureOrder:
        here = self.found.here[: self.found.mixtures]
        rows = [_row("seed", nan, nan, self._kept(here[:, :1], here[:, 1:]))]
        for one in self.found.others:
            kept = self._kept(here, one.nats[:, None])
            there, usual = (
                _value(plan, one.condition.role) for plan in (one.condition.plan, self.runner.plan)
            )
            rows.append(_row(_CHANGED[one.condition.role], there, there / usual, kept))
        return MixtureOrder(len(here), sqrt(self._noise.variance), tuple(rows))

    @property
    def _documents(self) -> Documents:
        return self.runner.documents

    @property
    def _target(self) -> FloatArray:
        return self._documents.target(self.runner.plan.config.target_weights)

    @property
    def _noise(self) -> TrainingNoise:
        """From all references that were trained twice."""
        return pooled_noise([self._documents.means(self.found.here) @ self._target])

    def _kept(self, here: FloatArray, there: FloatArray) -> OrderKept:
        """The order of nats [k, n, D] and [k, m, D]."""
        losses = self._losses(here), self._losses(there)
        return order_kept(*losses, self._noise, self.runner.plan.config.seed, self.confidence)

    def _losses(self, nats: FloatArray) -> ConditionLosses:
        documents, target, mean = self._documents, self._target, nats.mean(axis=1)
        draws = documents.bootstrap(DOCUMENT_DRAWS, np.random.default_rng(self.runner.plan.config.seed))
        paired = compare(Scores(documents, mean[:, None]), Scores(documents, mean[None]))
        unsure = of_known_error(documents, target)
        return ConditionLosses(
            losses=documents.means(nats) @ target,
            resampled=np.stack([documents.means(mean, counts) @ target for counts in draws]),
            document_error=paired.weighted(unsure)[1],
            document_freedom=paired.freedom(unsure),
        )


def _value(plan: Plan, role: str) -> float:
    """What is otherwise, as a number."""
    training = plan.config.reference_training
    if role == OTHER_SIZE:
        return float(plan.parameters)
    return training.learning_rate if role == OTHER_RATE else float(training.tokens)


def _row(changed: Changed, value: float, factor: float, kept: OrderKept) -> OrderRow:
    return OrderRow(changed, value, factor, kept.survival, **vars(kept))
