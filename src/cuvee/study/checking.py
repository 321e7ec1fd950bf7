"""Checking a pick by training it.

The pick, equal and proportional shares are trained at seeds that no other run of the study has, the same for
all three, and measured on the half of the documents that checks. Nothing here changes the pick.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from cuvee.decisions.check import PICK, STAGE, Arm, Check, Comparison
from cuvee.decisions.evaluations import that_count
from cuvee.decisions.shares import SourceShare
from cuvee.evaluation.paired import compare
from cuvee.evaluation.scores import Scores
from cuvee.honesty.trainings import deviation, difference, pooled_noise
from cuvee.mixture.mixture import Mixture
from cuvee.study.evaluation_rows import fewest_documents, of_known_error
from cuvee.study.laboratory import Laboratory, Planned
from cuvee.study.mixtures import compared_with, region_of
from cuvee.study.opening import available_tokens
from cuvee.study.outlook import OutlookRow, Stage, Stopwatch
from cuvee.study.speedup import first_reaches, speedup_of
from cuvee.study.training_curve import curve_of, measured_along
from cuvee.training.run import TrainingRun
from cuvee.types import FloatArray

CHECK_SEEDS = 2_000_000
"""Added to the study's seed, beyond those of references and their replicates."""
MEASURED_ALONG = 5
"""How often a training is measured on its way, to see what a difference is worth in tokens."""
ROLE = "fresh"
TITLE = "fresh trainings"


@dataclass(frozen=True, eq=False)
class Checking:
    """A pick and the baselines, to be trained at fresh seeds in a study."""

    lab: Laboratory
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
        cls, lab: Laboratory, mixture: Sequence[SourceShare], run: Callable[[Mixture, int], TrainingRun]
    ) -> Self:
        """Of the mixture of an answer, with the baselines that the study compares it with."""
        config = lab.plan.config
        pick = Mixture.of({entry.source: entry.share for entry in mixture}).reindexed(config.pool_sources)
        available = available_tokens(config, lab.plan.material)
        compared = compared_with(pick, region_of(config, available), available)
        return cls(lab, pick, compared, run)

    def check(self, seeds: int) -> Check | None:
        """Train what is missing of so many trainings of each mixture, and compare; what was trained before
        counts too. None where there is nothing to compare: no seeds are asked for and none are there.

        Cost: up to three trainings a seed.
        """
        fresh, by_seed = self._fresh, [self._row(seed) for seed in range(seeds)]
        # Whatever is there counts: nobody may choose the number of seeds by what came out.
        while _made(fresh, further := self._row(len(by_seed))):
            by_seed.append(further)
        if not by_seed:
            return None
        planned = [list(of_mixture) for of_mixture in zip(*by_seed, strict=True)]
        fresh.train(_distinct(by_seed), self.stage)
        found = _compared(fresh, self._arms, planned, self.layouts, self.confidence)
        return replace(found, unseen=self.unseen and _halves_differ(self.lab, fresh))

    def outlook(self, seeds: int) -> OutlookRow:
        """What so many trainings of each mixture take, and what of it is left."""
        planned = _distinct([self._row(seed) for seed in range(seeds)])
        return Stopwatch(self._fresh).row(Stage(TITLE, planned[0].run.recipe.tokens, planned))

    @property
    def _arms(self) -> dict[str, Mixture]:
        return {PICK: self.pick, **self.compared}

    @property
    def _fresh(self) -> Laboratory:
        return replace(self.lab, plan=self.lab.plan.checking)

    def _row(self, seed: int) -> list[Planned]:
        """A training of every mixture."""
        return [
            Planned(self.run(one, CHECK_SEEDS + seed), ROLE, one, MEASURED_ALONG)
            for one in self._arms.values()
        ]


def _distinct(rows: Sequence[Sequence[Planned]]) -> list[Planned]:
    """Trainings, each once: two of the mixtures may be one. Those of one mixture stand together."""
    planned = (one for of_mixture in zip(*rows, strict=True) for one in of_mixture)
    return list({one.run.key: one for one in planned}.values())


def _halves_differ(lab: Laboratory, fresh: Laboratory) -> bool:
    """Whether no evaluation that counts is measured on a document that was chosen by: a single one is."""
    counting = that_count(lab.documents.target(lab.plan.config.target_weights))
    several = (lab.documents.counts > 1) | (fresh.documents.counts > 1)
    return bool(several[counting].all())


def _made(lab: Laboratory, row: Sequence[Planned]) -> bool:
    keys = {lab.trained_key(one.run) for one in row}
    return lab.store.keys(keys) == keys


def replicated(lab: Laboratory, mixtures: Sequence[Mixture]) -> list[FloatArray]:
    """Target losses of those references that were trained twice [A, 2]: the noise of a training is known
    from them."""
    pairs = [[lab.trained_key(lab.plan.reference(one, replica)) for replica in (0, 1)] for one in mixtures]
    known = lab.store.keys({key for pair in pairs for key in pair})
    twice = [pair for pair in pairs if known.issuperset(pair)]
    if not twice:
        return []
    target = lab.documents.target(lab.plan.config.target_weights)
    return [np.stack([lab.losses(pair) @ target for pair in twice])]


def _compared(
    lab: Laboratory,
    arms: dict[str, Mixture],
    planned: Sequence[Sequence[Planned]],
    layouts: Sequence[FloatArray],
    confidence: float,
) -> Check:
    target = lab.documents.target(lab.plan.config.target_weights)
    scores = [lab.scores([lab.trained_key(one.run) for one in row]) for row in planned]
    losses = np.stack([one.nats_per_token @ target for one in scores])
    keys = [mixture.key for mixture in arms.values()]
    distinct = losses[[keys.index(key) for key in dict.fromkeys(keys)]]
    first = planned[0][0].run
    return Check(
        parameters=first.model.build().layout.size,
        tokens=first.recipe.tokens,
        arms=tuple(
            Arm(name, tuple(mixture.shares.tolist()), tuple(row.tolist()), runs[0].run.recipe.tokens)
            for (name, mixture), row, runs in zip(arms.items(), losses, planned, strict=True)
        ),
        comparisons=tuple(
            _comparison(lab, name, place, scores, losses, [distinct, *layouts], planned, confidence)
            for place, name in enumerate(arms)
            if keys[place] != keys[0]
        ),
        noise=deviation([distinct, *layouts]),
        documents=fewest_documents(lab.documents, lab.plan.config.target_weights),
        confidence=confidence,
        flops=_spent(lab, _distinct(list(zip(*planned, strict=True)))),
    )


def _spent(lab: Laboratory, planned: Sequence[Planned]) -> float:
    """FLOPs of trainings with what measures them."""
    runs = (lab.store.get(lab.trained_key(one.run)) for one in planned)
    return sum(run.flops or 0.0 for run in runs if run is not None)


def _comparison(
    lab: Laboratory,
    name: str,
    place: int,
    scores: Sequence[Scores],
    losses: FloatArray,
    layouts: Sequence[FloatArray],
    planned: Sequence[Sequence[Planned]],
    confidence: float,
) -> Comparison:
    documents = lab.documents
    target = documents.target(lab.plan.config.target_weights)
    pick, base = (Scores(documents, one.nats.mean(axis=0)) for one in (scores[0], scores[place]))
    paired, unsure = compare(pick, base), of_known_error(documents, target)
    _, error = paired.weighted(unsure)
    noise = pooled_noise(layouts)
    found = difference(losses, (0, place), noise, float(error), float(paired.freedom(unsure)), confidence)
    curves = [
        (curve_of(lab, two, target), curve_of(lab, one, target))
        for one, two in zip(planned[0], planned[place], strict=True)
        if measured_along(lab, one) and measured_along(lab, two)
    ]
    needed = [speedup_of(*pair) for pair in curves]
    return Comparison(
        baseline=name,
        difference=found.mean,
        low=found.low,
        high=found.high,
        training_error=found.training_error,
        document_error=float(error),
        tokens_needed=float(np.exp(np.mean(np.log(needed)))) if needed else float("nan"),
        bound=any(first_reaches(*pair) for pair in curves),
    )
