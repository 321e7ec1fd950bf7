"""Checking a pick by training it (floor 7).

The pick, equal and proportional shares are trained at seeds that no other run of the study has, the same for
all three, and measured on the documents that no choice has seen. Nothing here changes the pick.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from cuvee.evaluation.paired import compare
from cuvee.evaluation.scores import Scores
from cuvee.honesty.trainings import deviation, difference, pooled_noise
from cuvee.mixture.mixture import Mixture
from cuvee.study.check import PICK, STAGE, Arm, Check, Comparison
from cuvee.study.evaluation_rows import that_count
from cuvee.study.laboratory import Laboratory, Planned
from cuvee.study.speedup import Curve, first_reaches, speedup_of
from cuvee.training.run import TrainingRun
from cuvee.types import FloatArray

CHECK_SEEDS = 2_000_000
"""Added to the study's seed, beyond those of references and their replicates."""
MEASURED_ALONG = 5
"""How often a training is measured on its way, to see what a difference is worth in tokens."""
ROLE = "fresh"


def check(
    lab: Laboratory,
    pick: Mixture,
    compared: Mapping[str, Mixture],
    run: Callable[[Mixture, int], TrainingRun],
    layouts: Sequence[FloatArray],
    confidence: float,
    stage: str = STAGE,
    unseen: bool = True,
) -> Check | None:
    """Train what is missing and compare; None where the study asks for no check.

    Args:
        lab: of the study.
        pick: what is checked.
        compared: the baselines by name, as far as the limits allow them.
        run: the training of a mixture and a replica.
        layouts: losses of the target of other trainings [mixtures, seeds], from which noise is known too.
        confidence: of the intervals.
        stage: what the trainings are called on the agenda of the study.
        unseen: whether the pick was chosen on the other half of these documents.
    """
    if not lab.plan.config.check.seeds:
        return None
    arms = {PICK: pick, **compared}
    fresh = replace(lab, plan=lab.plan.checking)

    def row(seed: int) -> list[Planned]:
        return [Planned(run(one, CHECK_SEEDS + seed), ROLE, one, MEASURED_ALONG) for one in arms.values()]

    by_seed = [row(seed) for seed in range(lab.plan.config.check.seeds)]
    # What was trained before counts too: nobody may choose the number of seeds by what came out.
    while _made(fresh, further := row(len(by_seed))):
        by_seed.append(further)
    planned = [list(of_mixture) for of_mixture in zip(*by_seed, strict=True)]
    distinct = {one.run.key: one for row in planned for one in row}
    fresh.train(list(distinct.values()), stage)
    found = _compared(fresh, arms, planned, layouts, confidence)
    return replace(found, unseen=unseen and _halves_differ(lab, fresh))


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
        documents=int(lab.documents.counts[that_count(target)].min()),
        confidence=confidence,
    )


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
    paired = compare(pick, base)
    _, error = paired.weighted(target)
    noise = pooled_noise(layouts)
    found = difference(losses, (0, place), noise, float(error), float(paired.freedom(target)), confidence)
    curves = [
        (_curve(lab, two, target), _curve(lab, one, target))
        for one, two in zip(planned[0], planned[place], strict=True)
        if _measured_along(lab, one) and _measured_along(lab, two)
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


def _measured_along(lab: Laboratory, planned: Planned) -> bool:
    """Not where its checkpoint was there already, and was measured on other evaluations then."""
    run = lab.store.get(lab.trained_key(planned.run))
    return run is not None and len(run.details["along"]) > 1


def _curve(lab: Laboratory, planned: Planned, target: FloatArray) -> Curve:
    """Target losses on the way of a training, its end included.

    On its way it was measured on a part of the documents: the curve is moved so that it ends where the
    training ends on all of them.
    """
    key = lab.trained_key(planned.run)
    run = lab.store.get(key)
    assert run is not None  # it was trained, or the flow would have ended
    names = lab.documents.evaluations
    tokens = [step * planned.run.recipe.batch_tokens for step, _ in run.details["along"]]
    along = np.array([[values[name] for name in names] for _, values in run.details["along"]]) @ target
    end = float(lab.losses([key])[0] @ target)
    return np.array(tokens, dtype=np.float64), along + (end - along[-1])
