"""The pool of a study, and the probabilities of its members: made once, kept on disk."""

from dataclasses import replace

import numpy as np

from cuvee.errors import ConfigError
from cuvee.evaluation.ensemble import Ensemble
from cuvee.execution.interface import Executor
from cuvee.hashing import digest
from cuvee.merging.adapted import with_model
from cuvee.merging.pool import Branch, FlatPool, roster_of
from cuvee.merging.roster import Roster
from cuvee.mixture.mixture import Mixture
from cuvee.models.adapted import AdaptedModel
from cuvee.models.checkpoint import Checkpoint, save_checkpoint
from cuvee.models.interface import CausalModel
from cuvee.progress import Progress
from cuvee.runs.roles import BRANCH, SEED
from cuvee.runs.store import RunStore
from cuvee.study.file.folder import StudyFolder
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.planned import Planned
from cuvee.study.plan.proxy_job import MemberTask, score_member
from cuvee.study.runner import Runner


def planned_seed(plan: Plan) -> list[Planned]:
    """The training of the seed model; none where a given checkpoint is used as it is."""
    return [] if plan.seed is None else [Planned(plan.seed, SEED, plan.seed.mixture)]


def planned_branches(plan: Plan) -> list[Planned]:
    """The trainings of which a pool is made."""
    names = plan.config.pool_sources
    return [
        Planned(branch, BRANCH, Mixture.vertex(names, member.source))
        for replica in range(plan.config.branch_training.seeds)
        for member, branch in plan.branches(replica).items()
    ]


def pool_of(plan: Plan, replicas: int) -> FlatPool:
    """The branches, which must be trained, as one matrix, memory-mapped.

    All replicas of a unit share its weight.
    """
    model = plan.branch_model.build()
    start = _common_start(plan, model)
    pool = FlatPool.build(model, start, _branches(plan, replicas), plan.folder.pools)
    return with_model(pool, model)


def trained_roster(plan: Plan) -> Roster | None:
    """Who is in the pool, without its parameters; None where something of it is left to train."""
    replicas = range(plan.config.branch_training.seeds)
    branches = [run for replica in replicas for run in plan.branches(replica).values()]
    if not (plan.start.folder.is_dir() and all(run.done for run in branches)):
        return None
    start = _common_start(plan, plan.branch_model.build())
    return roster_of(start, _branches(plan, len(replicas)))


def _branches(plan: Plan, replicas: int) -> list[Branch]:
    return [
        Branch(
            f"{member.name}#{replica}" if replica else member.name,
            member.source,
            member.tokens,
            Checkpoint.load(run.folder),
        )
        for replica in range(replicas)
        for member, run in plan.branches(replica).items()
    ]


def _common_start(plan: Plan, model: CausalModel) -> Checkpoint:
    """What all branches began with: the seed model, or its adapters before they were trained."""
    seed, tokenizer = Checkpoint.load(plan.start.folder), plan.material.tokenizer
    if isinstance(model, AdaptedModel):
        folder = plan.folder.checkpoint(digest(["untrained", model.model_hash]))
        if not folder.is_dir():
            untrained = model.initial(0)
            save_checkpoint(folder, model, untrained, ancestor=seed.content_hash, tokenizer=tokenizer)
        return Checkpoint.load(folder)
    # A user-supplied checkpoint does not say with which it was trained.
    return seed if seed.tokenizer is not None else replace(seed, tokenizer=tokenizer)


def refuse_without_branches(folder: StudyFolder, why: str) -> None:
    """Refuse a study in whose store there is no branch, before any text is read.

    Raises:
        ConfigError: beginning with ``why``.
    """
    if folder.store.is_file():
        with RunStore(folder.store) as store:
            if store.runs(role=BRANCH):
                return
    raise _untrained(folder, why, "no model of the pool is trained")


def refuse_untrained(runner: Runner, why: str) -> None:
    """Refuse a study whose pool is not trained, or not as the study file says now.

    Raises:
        ConfigError: beginning with ``why``.
    """
    plan = runner.plan
    for one in (*planned_seed(plan), *planned_branches(plan)):
        if not one.run.done:
            what = f"the {one.role} of {one.sources} is not there as planned now"
            raise _untrained(plan.folder, why, what)


def _untrained(folder: StudyFolder, why: str, what: str) -> ConfigError:
    return ConfigError(f"{folder.root}: {why}, and {what}; `cuvee run {folder.root}` trains what is missing")


def ensemble_of(plan: Plan, pool: FlatPool, executor: Executor, progress: Progress) -> Ensemble:
    """Token log-probabilities of all members, made once and kept beside the pool."""
    evaluator, folder = plan.bench.evaluator(), plan.folder.ensembles
    names = pool.roster.names
    unmade = np.zeros((len(names), evaluator.tokens), dtype=np.float32)
    ensemble = Ensemble(pool.roster, evaluator.documents, unmade)
    path = folder / ensemble.key
    if path.exists():
        return Ensemble.open(path)
    progress.stage("scoring members", len(names), "members")
    path, bench = plan.folder.pool(pool.roster.key), replace(plan.bench, model=plan.branch_model)
    tasks = [MemberTask(path, row, bench) for row in range(len(names))]
    for row, log_probs in executor.map(
        score_member, tasks, lambda row, amount, note: progress.advance(amount, names[row])
    ):
        ensemble.log_probs[row] = log_probs
    ensemble.save(folder)
    return ensemble
