"""The provenance of a decision on a study, filled from its runner."""

from cuvee.decisions.provenance import Provenance, versions
from cuvee.study.runner import Runner
from cuvee.training.run import TrainingRun

_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "scipy", "pyarrow")


def provenance(runner: Runner, run: TrainingRun, command: str) -> Provenance:
    """Digests and versions.

    Args:
        runner: of the study.
        run: one whose recipe stands for all that are compared.
        command: that repeats the study.
    """
    return Provenance(
        config=runner.plan.config.digest,
        sources=runner.plan.material.content,
        recipe=run.recipe.hash,
        versions=versions(_PACKAGES),
        command=command,
    )
