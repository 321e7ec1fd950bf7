"""What a decision was made from, and how to make it again (floor 7)."""

import platform
from importlib.metadata import PackageNotFoundError, version

import cuvee
from cuvee.study.decision import Provenance
from cuvee.study.runner import Runner
from cuvee.training.run import TrainingRun

_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "scipy", "pyarrow")


def provenance(lab: Runner, run: TrainingRun, command: str) -> Provenance:
    """Digests and versions.

    Args:
        lab: of the study.
        run: one whose recipe stands for all that are compared.
        command: that repeats the study.
    """
    versions = {"cuvee": cuvee.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # a development tree without metadata
            continue
    return Provenance(
        config=lab.plan.config.digest,
        sources=lab.plan.material.content,
        recipe=run.recipe.hash,
        versions=versions,
        command=command,
    )
