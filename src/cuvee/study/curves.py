"""The learning curves of a pool: its branches measured on their way."""

from collections.abc import Mapping

import numpy as np

from cuvee.errors import CheckpointError
from cuvee.evaluation.learning_curves import LearningCurves
from cuvee.evaluation.scores import Scores
from cuvee.merging.roster import Member
from cuvee.mixture.mixture import Mixture
from cuvee.models.checkpoint import Checkpoint
from cuvee.runs.key import RunKey
from cuvee.runs.run import Run
from cuvee.study.job import SnapshotTask, score_snapshots
from cuvee.study.laboratory import Laboratory, documents_of, metrics_of
from cuvee.training.run import SNAPSHOTS, TrainingRun
from cuvee.types import FloatArray

Nats = dict[str, FloatArray]
"""Evaluation -> nats of each of its documents."""


def learning_curves(lab: Laboratory) -> LearningCurves | None:
    """How far each source brings its own evaluations; None without snapshots, or where runs are united."""
    plan, config = lab.plan, lab.plan.config
    members = plan.branches()
    recipe = next(iter(members.values())).recipe
    if not recipe.snapshots or config.estimand == "union":
        return None
    along = {step: _own_nats(lab, members, nats) for step, nats in _snapshots(lab, members).items()}
    ends = lab.scores([lab.trained_key(run) for run in members.values()])
    along[recipe.steps] = _own_nats(
        lab, members, {member: documents_of(ends[row]) for row, member in enumerate(members)}
    )
    steps = sorted(along)
    whole = plan.reference(Mixture.uniform(config.pool_sources)).recipe.tokens
    evaluator = plan.bench.evaluator()
    seed = Checkpoint.load(plan.start.folder).read_flat(evaluator.model)
    return LearningCurves(
        documents=evaluator.documents,
        own=np.array(config.own_columns),
        positions=np.array([step * recipe.batch_tokens / whole for step in steps]),
        start=evaluator.score(seed.to(plan.model.device)).nats,
        nats=np.stack([along[step] for step in steps]),
    )


def _own_nats(
    lab: Laboratory, members: Mapping[Member, TrainingRun], nats: Mapping[Member, Nats]
) -> FloatArray:
    """[D] of every document under the branches of its own source, the mean over its units; 0 out of pool."""
    documents = lab.documents
    result = np.zeros(len(documents.tokens))
    for position, (evaluation, source) in enumerate(lab.plan.config.own_sources.items()):
        if source is not None:
            of_units = [nats[member][evaluation] for member in members if member.source == source]
            result[documents.evaluation == position] = np.mean(of_units, axis=0)
    return result


def _snapshots(lab: Laboratory, members: Mapping[Member, TrainingRun]) -> dict[int, dict[Member, Nats]]:
    """Step -> losses of every branch after that step on its own evaluations alone; measured once."""
    steps = next(iter(members.values())).recipe.snapshots
    own = {
        member: [e for e, source in lab.plan.config.own_sources.items() if source == member.source]
        for member in members
    }
    keys = {(m, step): _key(lab, run, step, own[m]) for m, run in members.items() for step in steps if own[m]}
    known = lab.store.keys(set(keys.values()))
    missing = list(dict.fromkeys(member for (member, _), key in keys.items() if key not in known))
    if missing:
        lab.progress.stage("measuring snapshots", len(missing) * len(steps), "snapshots")
        tasks = [SnapshotTask(members[m].folder, lab.plan.bench.of(own[m])) for m in missing]
        for index, found in lab.executor.map(
            score_snapshots, tasks, lambda _, n, note: lab.progress.advance(n)
        ):
            member = missing[index]
            if lost := sorted(set(steps) - set(found)):
                raise CheckpointError(
                    f"{members[member].folder}: the parameters after step {lost[0]} are not in {SNAPSHOTS}; "
                    "delete the folder to have it made again"
                )
            lab.store.add_many(
                _snapshot(lab, member, members[member], step, keys[member, step], scores)
                for step, scores in found.items()
                if step in steps
            )
    nats = lab.store.documents(keys.values())
    return {step: {m: nats[keys[m, step]] if own[m] else {} for m in members} for step in steps}


def _key(lab: Laboratory, run: TrainingRun, step: int, own: list[str]) -> str:
    evaluations = {name: lab.evaluations[name] for name in own}
    return RunKey("snapshot", {"run": run.key, "step": step, "evaluations": evaluations}).digest


def _snapshot(lab: Laboratory, member: Member, run: TrainingRun, step: int, key: str, scores: Scores) -> Run:
    return Run(
        key=key,
        kind="trained",
        role="snapshot",
        estimand=lab.plan.config.estimand,
        mixture=Mixture.vertex(lab.plan.config.pool_sources, member.source),
        params=lab.plan.parameters,
        tokens=step * run.recipe.batch_tokens,
        seed=run.recipe.seed,
        metrics=metrics_of(scores),
        documents=documents_of(scores),
        flops=run.model.build().flops_per_token * float(scores.documents.tokens.sum()),
        details={"run": run.key},
    )
