"""Checking a pick by training it.

The pick, equal and proportional shares are trained at seeds that no other run of the study has, the same for
all three, and measured on the half of the documents that checks. Nothing here changes the pick.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from cuvee.decisions.check import PICK, STAGE, Arm, BaselineComparison, TrainingCheck
from cuvee.decisions.evaluations import that_count
from cuvee.decisions.shares import SourceShare
from cuvee.evaluation.paired import compare
from cuvee.evaluation.scores import Scores
from cuvee.honesty.trainings import deviation, difference, pooled_noise
from cuvee.mixture.mixture import Mixture
from cuvee.runs.metric_names import NATS
from cuvee.runs.roles import FRESH, REFERENCE, REPLICATE
from cuvee.runs.run import Run
from cuvee.study.evaluation_rows import fewest_documents, of_known_error
from cuvee.study.opening import available_tokens
from cuvee.study.outlook import OutlookRow, Stage, Stopwatch
from cuvee.study.plan.mixtures import compared_with, region_of
from cuvee.study.plan.planned import Planned
from cuvee.study.producers.trained import Trainings
from cuvee.study.runner import Runner
from cuvee.study.speedup import first_reaches, speedup_of
from cuvee.study.training_curve import curve_of, measured_along
from cuvee.training.run import TrainingRun
from cuvee.types import FloatArray

CHECK_SEEDS = 2_000_000
"""Added to the study's seed, beyond those of references and their replicates."""
MEASURED_ALONG = 5
"""How often a training is measured on its way, to see what a difference is worth in tokens."""
TITLE = "fresh trainings"

_TWICE = (REFERENCE, REPLICATE)


@dataclass(frozen=True, eq=False)
class Checking:
    """A pick and the baselines, to be trained at fresh seeds in a study."""

    runner: Runner
    pick: Mixture
    compared: Mapping[str, Mixture]
    """The baselines by name, as far as the limits allow them."""
    run: Callable[[Mixture, int], TrainingRun]
    """The training of a mixture and a replica."""
    layouts: Sequence[FloatArray] = ()
    """Losses of the target of other trainings [mixtures, seeds], from which noise is known too."""
    confidence: float = 0.95
    """Of the intervals."""
    stage: str = STAGE
    """What the trainings are called on the agenda of the study."""
    unseen: bool = True
    """The pick was chosen on the other half of these documents."""

    @classmethod
    def of(
        cls, runner: Runner, mixture: Sequence[SourceShare], run: Callable[[Mixture, int], TrainingRun]
    ) -> Self:
        """Of the mixture of an answer, with the baselines that the study compares it with."""
        config = runner.plan.config
        pick = Mixture.of({entry.source: entry.share for entry in mixture}).reindexed(config.pool_sources)
        available = available_tokens(config, runner.plan.material)
        compared = compared_with(pick, region_of(config, available), available)
        return cls(runner, pick, compared, run)

    def check(self, seeds: int) -> TrainingCheck | None:
        """Train what is missing of so many trainings of each mixture, and compare; what was trained before
        counts too. None where there is nothing to compare: no seeds are asked for and none are there.

        Cost: up to three trainings a seed.
        """
        fresh, by_seed = self._fresh, [self._row(seed) for seed in range(seeds)]
        # Whatever is there counts: nobody may choose the number of seeds by what came out.
        while fresh.made(further := self._row(len(by_seed))):
            by_seed.append(further)
        if not by_seed:
            return None
        planned = [list(of_mixture) for of_mixture in zip(*by_seed, strict=True)]
        fresh.make(_distinct(by_seed))
        found = _compared(fresh, self._arms, planned, self.layouts, self.confidence)
        return replace(found, unseen=self.unseen and _halves_differ(self.runner, fresh.runner))

    def outlook(self, seeds: int) -> OutlookRow:
        """What so many trainings of each mixture take, and what of it is left."""
        planned = _distinct([self._row(seed) for seed in range(seeds)])
        return Stopwatch(self._fresh.runner).row(Stage(TITLE, planned[0].run.recipe.tokens, planned))

    def fresh(self, seeds: int) -> dict[str, list[Planned]]:
        """The trainings of each mixture at so many seeds."""
        by_seed = [self._row(seed) for seed in range(seeds)]
        return {name: [row[place] for row in by_seed] for place, name in enumerate(self._arms)}

    @property
    def _arms(self) -> dict[str, Mixture]:
        return {PICK: self.pick, **self.compared}

    @property
    def _fresh(self) -> "_Fresh":
        runner = replace(self.runner, plan=self.runner.plan.checking)
        return _Fresh(runner, Trainings(runner.plan, self.stage))

    def _row(self, seed: int) -> list[Planned]:
        """A training of every mixture."""
        return [
            Planned(self.run(one, CHECK_SEEDS + seed), FRESH, one, MEASURED_ALONG)
            for one in self._arms.values()
        ]


def _distinct(rows: Sequence[Sequence[Planned]]) -> list[Planned]:
    """Trainings, each once: two of the mixtures may be one. Those of one mixture stand together."""
    planned = (one for of_mixture in zip(*rows, strict=True) for one in of_mixture)
    return list({one.run.key: one for one in planned}.values())


@dataclass(frozen=True, eq=False)
class _Fresh:
    """The trainings of a check: measured on the documents that no choice has seen."""

    runner: Runner
    trainings: Trainings

    def made(self, row: Sequence[Planned]) -> bool:
        """All of them are there."""
        return all(run is not None and run.status == "done" for run in self.runner.known(self.trainings, row))

    def make(self, planned: Sequence[Planned]) -> None:
        """What is missing of them."""
        self.runner.make(self.trainings, planned)

    def scores(self, row: Sequence[Planned]) -> Scores:
        """Nats of every document [seeds, D]."""
        return self.runner.scores(self.trainings, row)

    def run(self, planned: Planned) -> Run:
        """As it stands in the store."""
        [run] = self.runner.known(self.trainings, [planned])
        assert run is not None  # it was trained, or the flow would have ended
        return run


def _halves_differ(runner: Runner, fresh: Runner) -> bool:
    """Whether the check measures other documents than the choice: a single document cannot be split."""
    counting = that_count(runner.documents.target(runner.plan.config.target_weights))
    several = (runner.documents.counts > 1) | (fresh.documents.counts > 1)
    return bool(several[counting].all())


def replicated(runner: Runner, mixtures: Sequence[Mixture]) -> list[FloatArray]:
    """Target losses of those references that were trained twice [A, 2]: the noise of a training is known
    from them."""
    references = _Fresh(runner, Trainings(runner.plan, "training references"))
    planned = [
        [Planned(runner.plan.reference(one, replica), role, one) for replica, role in enumerate(_TWICE)]
        for one in mixtures
    ]
    twice = [pair for pair in planned if references.made(pair)]
    if not twice:
        return []
    target = runner.documents.target(runner.plan.config.target_weights)
    losses = [runner.observe(references.trainings, pair).values_of(NATS) for pair in twice]
    return [np.stack([one @ target for one in losses])]


def _compared(
    fresh: _Fresh,
    arms: dict[str, Mixture],
    planned: Sequence[Sequence[Planned]],
    layouts: Sequence[FloatArray],
    confidence: float,
) -> TrainingCheck:
    runner = fresh.runner
    target = runner.documents.target(runner.plan.config.target_weights)
    scores = [fresh.scores(row) for row in planned]
    losses = np.stack([one.nats_per_token @ target for one in scores])
    keys = [mixture.key for mixture in arms.values()]
    distinct = losses[[keys.index(key) for key in dict.fromkeys(keys)]]
    first = planned[0][0].run
    return TrainingCheck(
        parameters=first.model.parameters,
        tokens=first.recipe.tokens,
        arms=tuple(
            Arm(name, tuple(mixture.shares.tolist()), tuple(row.tolist()), runs[0].run.recipe.tokens)
            for (name, mixture), row, runs in zip(arms.items(), losses, planned, strict=True)
        ),
        comparisons=tuple(
            _comparison(fresh, name, place, scores, losses, [distinct, *layouts], planned, confidence)
            for place, name in enumerate(arms)
            if keys[place] != keys[0]
        ),
        noise=deviation([distinct, *layouts]),
        documents=fewest_documents(runner.documents, runner.plan.config.target_weights),
        confidence=confidence,
        flops=sum(fresh.run(one).flops or 0.0 for one in _distinct(list(zip(*planned, strict=True)))),
    )


def _comparison(
    fresh: _Fresh,
    name: str,
    place: int,
    scores: Sequence[Scores],
    losses: FloatArray,
    layouts: Sequence[FloatArray],
    planned: Sequence[Sequence[Planned]],
    confidence: float,
) -> BaselineComparison:
    documents = fresh.runner.documents
    target = documents.target(fresh.runner.plan.config.target_weights)
    pick, base = (Scores(documents, one.nats.mean(axis=0)) for one in (scores[0], scores[place]))
    paired, unsure = compare(pick, base), of_known_error(documents, target)
    _, error = paired.weighted(unsure)
    noise = pooled_noise(layouts)
    found = difference(losses, (0, place), noise, float(error), float(paired.freedom(unsure)), confidence)
    curves = [
        (curve_of(fresh.runner, two, target), curve_of(fresh.runner, one, target))
        for one, two in zip(planned[0], planned[place], strict=True)
        if measured_along(fresh.runner, one) and measured_along(fresh.runner, two)
    ]
    needed = [speedup_of(*pair) for pair in curves]
    return BaselineComparison(
        baseline=name,
        difference=found.mean,
        low=found.low,
        high=found.high,
        training_error=found.training_error,
        document_error=float(error),
        tokens_needed=float(np.exp(np.mean(np.log(needed)))) if needed else float("nan"),
        bound=any(first_reaches(*pair) for pair in curves),
    )
