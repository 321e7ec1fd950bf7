"""The learning curves of a pool: its branches measured on their way."""

from collections.abc import Mapping

import numpy as np

from cuvee.evaluation.learning_curves import LearningCurves
from cuvee.merging.roster import Member
from cuvee.mixture.mixture import Mixture
from cuvee.models.checkpoint import Checkpoint
from cuvee.study.pooling import planned_branches
from cuvee.study.producers.rows import documents_of
from cuvee.study.producers.snapshot import Snapshot, Snapshots
from cuvee.study.producers.trained import Trainings
from cuvee.study.runner import Nats, Runner
from cuvee.training.run import TrainingRun
from cuvee.types import FloatArray


def learning_curves(runner: Runner) -> LearningCurves | None:
    """How far each source brings its own evaluations; None without snapshots, or where runs are united."""
    plan, config = runner.plan, runner.plan.config
    members = plan.branches()
    recipe = next(iter(members.values())).recipe
    if not recipe.snapshots or config.estimand == "union":
        return None
    along = {step: _own_nats(runner, members, nats) for step, nats in _snapshots(runner, members).items()}
    along[recipe.steps] = _own_nats(runner, members, _ends(runner, members))
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
    runner: Runner, members: Mapping[Member, TrainingRun], nats: Mapping[Member, Nats]
) -> FloatArray:
    """[D] of every document under the branches of its own source, the mean over its units; 0 out of pool."""
    documents = runner.documents
    result = np.zeros(len(documents.tokens))
    for position, (evaluation, source) in enumerate(runner.plan.config.own_sources.items()):
        if source is not None:
            of_units = [nats[member][evaluation] for member in members if member.source == source]
            result[documents.evaluation == position] = np.mean(of_units, axis=0)
    return result


def _ends(runner: Runner, members: Mapping[Member, TrainingRun]) -> dict[Member, Nats]:
    """Losses of every branch at its end; the branches of the first replica stand first."""
    branches = planned_branches(runner.plan)[: len(members)]
    ends = runner.scores(Trainings(runner.plan, "training the pool"), branches)
    return {member: documents_of(ends[row]) for row, member in enumerate(members)}


def _snapshots(runner: Runner, members: Mapping[Member, TrainingRun]) -> dict[int, dict[Member, Nats]]:
    """Step -> losses of every branch after that step on its own evaluations alone; measured once."""
    steps = next(iter(members.values())).recipe.snapshots
    found: dict[int, dict[Member, Nats]] = {step: {member: {} for member in members} for step in steps}
    asked = [(step, member) for member in members for step in steps if _own(runner, member)]
    requests = [Snapshot(members[one], one.source, step, _own(runner, one)) for step, one in asked]
    for (step, member), nats in zip(
        asked, runner.documents_of(Snapshots(runner.plan), requests), strict=True
    ):
        found[step][member] = nats
    return found


def _own(runner: Runner, member: Member) -> tuple[str, ...]:
    """The evaluations that were held out from its source."""
    return tuple(name for name, source in runner.plan.config.own_sources.items() if source == member.source)
