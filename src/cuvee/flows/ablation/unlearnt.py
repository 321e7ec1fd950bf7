"""Whether the trainings of a study learnt anything: else no comparison of them says anything."""

import math

from cuvee.flows.ablation.findings import Findings
from cuvee.runs.metric_names import NATS
from cuvee.study.pooling import planned_seed
from cuvee.study.producers.trained import trained_key
from cuvee.study.runner import Runner
from cuvee.types import FloatArray

GUESSING = 0.95
"""Part of the loss of guessing, the logarithm of the vocabulary's size, from which on a model knows nothing.
Frequencies of tokens alone bring a loss well below."""


def unlearnt(findings: Findings, runner: Runner) -> tuple[str, ...]:
    """A sentence where no training learnt anything, or none more than the model that it started from."""
    losses, trained = _trained(findings)
    guessing = math.log(runner.plan.model.build().vocabulary_size)
    if (losses >= GUESSING * guessing).all():
        return (
            f"The {trained} know nothing: no loss is below {GUESSING:.0%} of that of guessing, "
            f"{guessing:.2f} nats per token, so that what is said of mixtures here means nothing. Look at "
            f"{_rate(findings, runner)}, or train longer.",
        )
    seed = _seed_losses(runner)
    if seed is not None and (losses >= seed).all():
        return (
            f"The {trained} all ended worse than the seed model that they started from, on every evaluation: "
            f"{_rate(findings, runner)} is too high, or the pool has nothing of what is evaluated.",
        )
    return ()


def _rate(findings: Findings, runner: Runner) -> str:
    """The key of the learning rate, and what it is."""
    section = "branch_training" if findings.references is None else "reference_training"
    return f"`{section}.learning_rate` ({getattr(runner.plan.config, section).learning_rate:g})"


def _trained(findings: Findings) -> tuple[FloatArray, str]:
    """Nats per token [trainings, E] of the references, or of the branches where there are none."""
    if findings.references is None:
        return findings.ensemble.members().nats_per_token, "branches"
    return findings.references.evidence().truth, "trained mixtures"


def _seed_losses(runner: Runner) -> FloatArray | None:
    """Nats per token [E]; None where the study did not train the seed model, or has not measured it."""
    found = [runner.store.get(trained_key(runner.plan, one.run)) for one in planned_seed(runner.plan)]
    runs = [run for run in found if run is not None]
    return runner.rows(runs).values_of(NATS)[0] if runs else None
