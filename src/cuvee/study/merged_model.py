"""Merged model: a mixture's merge of a trained pool as a model folder that other tools open.

Beside the model (float32, as ``save_pretrained`` writes it, with the tokenizer) lie two files: ``merge.json``
says which members went in with which weights, and ``mergekit.yml`` is the same merge for mergekit
(https://github.com/arcee-ai/mergekit, its method ``linear``), with paths from this folder; other methods, and
pools of adapters, have none there. Evaluating the folder gives the losses that the study has for the mixture.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from cuvee.errors import ConfigError, MixtureError
from cuvee.merging.adapted import AdaptedPool
from cuvee.merging.pool import FlatPool
from cuvee.merging.registry import LINEAR, merger_of
from cuvee.merging.statistics import Statistics
from cuvee.mixture.mixture import Mixture
from cuvee.models.checkpoint import Checkpoint, save_checkpoint
from cuvee.seal import write_sealed
from cuvee.study.plan.plan import Plan
from cuvee.study.pooling import planned_branches, pool_of, refuse_untrained
from cuvee.study.producers.member_statistics import measured_statistics, statistics_paths
from cuvee.study.runner import Runner
from cuvee.types import FloatArray, Json

LINEAGE = "merge.json"
MERGEKIT = "mergekit.yml"


@dataclass(frozen=True, eq=False)
class MergedModel:
    """A merge that was written."""

    folder: Path
    mixture: Mixture
    method: str
    parameters: int
    checkpoint: Checkpoint

    def as_json(self) -> Json:
        """Plain JSON."""
        return {
            "folder": str(self.folder),
            "mixture": self.mixture.as_dict(),
            "method": self.method,
            "parameters": self.parameters,
            "content_hash": self.checkpoint.content_hash,
        }


def check_output(folder: Path) -> None:
    """Refuse a place where something lies.

    Raises:
        ConfigError: it is a file, or a folder that is not empty.
    """
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists():
        raise ConfigError(f"--output {folder}: something lies there already; name a new or an empty folder")


def over_pool(mixture: Mixture, sources: tuple[str, ...]) -> Mixture:
    """The mixture over the sources of a pool.

    Raises:
        MixtureError: it has a source that the pool does not have.
    """
    if unknown := [name for name in mixture.support if name not in sources]:
        raise MixtureError(f"no source {unknown[0]!r} in the pool; there are: {', '.join(sources)}")
    return Mixture.of({name: mixture.as_dict().get(name, 0.0) for name in sources})


def write_merged(runner: Runner, mixture: Mixture, folder: Path) -> MergedModel:
    """Merge the study's pool and write the model; what the method needs of the branches is measured first.

    Args:
        runner: of a study whose branches are trained.
        mixture: of its sources.
        folder: new, or empty.

    Raises:
        ConfigError: branches are missing, or the folder is not empty.
        MixtureError: a source that the pool does not have.
    """
    plan = runner.plan
    check_output(folder)
    mixture = over_pool(mixture, plan.config.pool_sources)
    refuse_untrained(runner, "a merge needs a trained pool")
    pool = pool_of(plan, plan.config.branch_training.seeds)
    weights = mixture.shares @ pool.roster.spread(plan.config.pool_sources)
    flat, method = _merged(runner, pool, weights), plan.config.merging.method
    lineage = _lineage(plan, pool, mixture, weights)

    def beside(target: Path) -> None:
        write_sealed(target / LINEAGE, lineage)
        if method == LINEAR and not isinstance(pool, AdaptedPool):  # it averages whole models
            _write_mergekit(target / MERGEKIT, folder, _folders(plan, pool), weights)

    with suppress(FileNotFoundError):
        folder.rmdir()  # an empty one; what is written appears at once
    checkpoint = save_checkpoint(
        folder,
        plan.model.build(),
        flat,
        tokenizer=plan.material.tokenizer,
        tokenizer_folder=plan.material.tokenizer_folder,
        details={"merge": LINEAGE},
        companions=beside,
    )
    return MergedModel(folder, mixture, method, pool.size, checkpoint)


def _merged(runner: Runner, pool: FlatPool, weights: FloatArray) -> Tensor:
    plan = runner.plan
    for _ in measured_statistics(plan, pool.roster, runner.executor, runner.progress):
        pass
    if paths := statistics_paths(plan, pool.roster):
        pool = pool.measured(Statistics.open(pool.roster, paths))
    return merger_of(plan.config.merging.method, pool).merge(pool, weights)


def _lineage(plan: Plan, pool: FlatPool, mixture: Mixture, weights: FloatArray) -> Json:
    """Where the model comes from."""
    members = zip(pool.roster.members, _folders(plan, pool).values(), weights.tolist(), strict=True)
    return {
        "study": plan.config.name,
        "config": plan.config.digest,
        "method": plan.config.merging.method,
        "paper": merger_of(plan.config.merging.method, pool).paper,
        "mixture": mixture.as_dict(),
        "seed": pool.roster.seed,
        "pool": pool.roster.key,
        "members": [
            {
                "name": member.name,
                "source": member.source,
                "weight": weight,
                "content_hash": member.content_hash,
                "run": path.name,
            }
            for member, path, weight in members
        ],
    }


def _folders(plan: Plan, pool: FlatPool) -> dict[str, Path]:
    """Where the model of each member lies."""
    runs = [one.run.folder for one in planned_branches(plan)]
    return dict(zip(pool.roster.names, runs, strict=True))


def _write_mergekit(path: Path, output: Path, folders: Mapping[str, Path], weights: FloatArray) -> None:
    import yaml

    models = [
        {
            "model": _reference(os.path.relpath(folder.resolve(), output.resolve())),
            "parameters": {"weight": weight},
        }
        for folder, weight in zip(folders.values(), weights.tolist(), strict=True)
        if weight
    ]
    recipe = {
        "merge_method": "linear",
        "models": models,
        "parameters": {"normalize": True},
        "dtype": "float32",
    }
    head = "# The same merge: `mergekit-yaml mergekit.yml OUTPUT` in this folder.\n"
    path.write_text(head + yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")


def _reference(path: str) -> str | Json:
    """A path as mergekit takes it: in a plain one ``+`` begins an adapter, and ``@`` a revision."""
    return {"model": {"path": path}} if {"+", "@"} & set(path) else path
