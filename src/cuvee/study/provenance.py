"""The provenance of a decision on a study, filled from its runner."""

from cuvee.decisions.provenance import Provenance, versions
from cuvee.study.runner import Runner

_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "scipy", "pyarrow")


def provenance(runner: Runner, recipe: str, command: str) -> Provenance:
    """Digests and versions.

    Args:
        runner: of the study.
        recipe: digest of that of all runs that are compared.
        command: that repeats the study.
    """
    return Provenance(
        config=runner.plan.config.digest,
        sources=runner.plan.material.content,
        recipe=recipe,
        versions=versions(_PACKAGES),
        command=command,
    )
