"""The proxies of a study: what its pool says of any mixture, without training it (floor 7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cuvee.evaluation.averaging_bonus import averaging_bonus, noise_penalty
from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.learning_curves import LearningCurves
from cuvee.merging.pool import FlatPool
from cuvee.mixture.mixture import Mixture
from cuvee.models.checkpoint import Checkpoint
from cuvee.study.config import StudyConfig
from cuvee.study.findings import Scored
from cuvee.study.laboratory import Laboratory, Planned
from cuvee.study.plan import Plan
from cuvee.types import FloatArray, IntArray

MERGE = "merge"
ENSEMBLE = "ensemble"


@dataclass(frozen=True, eq=False)
class Proxies:
    """Merges and ensembles of a trained pool. Made by ``of``."""

    lab: Laboratory
    pool: FlatPool
    ensemble: Ensemble

    @classmethod
    def of(cls, lab: Laboratory) -> "Proxies":
        """Of the branches, which must be trained."""
        pool = lab.pool(lab.plan.config.branch_training.seeds)
        return cls(lab, pool, lab.ensemble(pool))

    def ready(self) -> None:
        """Measure what every score rests on, unless the store has it: snapshots, and averages of replicas."""
        _ = self._curves, self._noise_cost

    def score(self, mixtures: Sequence[Mixture], roles: Sequence[str]) -> Scored:
        """Proxy losses [M, E] of mixtures over the sources of the pool."""
        proxies = {
            MERGE: self._merged(mixtures, roles),
            ENSEMBLE: self.lab.score_ensembles(self.ensemble, self._weights(mixtures), mixtures, roles),
        }
        if self._curves is not None:
            proxies |= {
                f"{name}, own curve": self._with_curve(mixtures, losses)
                for name, losses in list(proxies.items())
            }
        return Scored(tuple(mixtures), proxies)

    def merges(self, mixtures: Sequence[Mixture], role: str) -> FloatArray:
        """Losses [M, E] of merges alone, with the own curve where there is one."""
        return self._with_curve(mixtures, self._merged(mixtures, [role] * len(mixtures)))

    def ensembles(self, mixtures: Sequence[Mixture], role: str) -> FloatArray:
        """Losses [M, E] of ensembles alone, with the own curve where there is one."""
        roles = [role] * len(mixtures)
        losses = self.lab.score_ensembles(self.ensemble, self._weights(mixtures), mixtures, roles)
        return self._with_curve(mixtures, losses)

    def unit_losses(self) -> FloatArray:
        """Losses of one-source models [S, E], the mean over their units and replicas."""
        members = self.ensemble.members().nats_per_token
        spread = self._spread
        return np.asarray((spread / spread.sum(axis=1, keepdims=True)) @ members)

    @cached_property
    def _spread(self) -> FloatArray:
        return self.pool.roster.spread(self.lab.plan.config.pool_sources)

    @cached_property
    def _curves(self) -> LearningCurves | None:
        return _curves(self.lab)

    def _weights(self, mixtures: Sequence[Mixture]) -> FloatArray:
        result: FloatArray = np.stack([mixture.shares for mixture in mixtures]) @ self._spread
        return result

    def _merged(self, mixtures: Sequence[Mixture], roles: Sequence[str]) -> FloatArray:
        weights = self._weights(mixtures)
        losses = self.lab.score_merges(MERGE, self.pool, weights, mixtures, roles)
        return losses if self._noise_cost is None else losses - noise_penalty(weights, self._noise_cost)

    def _with_curve(self, mixtures: Sequence[Mixture], losses: FloatArray) -> FloatArray:
        if self._curves is None:
            return losses
        return self._curves.substituted(np.stack([mixture.shares for mixture in mixtures]), losses)

    @cached_property
    def _noise_cost(self) -> FloatArray | None:
        """What the training noise of one branch costs a merge [E], from replicas; None without them."""
        config = self.lab.plan.config
        replicas = config.branch_training.seeds
        if replicas < 2 or not config.averaging_bonus:
            return None
        members = self.ensemble.members().nats_per_token  # (replica x unit, E)
        units = len(members) // replicas
        averages = np.tile(np.eye(units), replicas) / replicas  # (unit, replica x unit)
        names = [member.source for member in self.pool.roster.members[:units]]
        mixtures = [Mixture.vertex(config.pool_sources, name) for name in names]
        losses = self.lab.score_merges(MERGE, self.pool, averages, mixtures, ["branch"] * units)
        each = members.reshape(replicas, units, -1).swapaxes(0, 1)
        return np.asarray(np.maximum(averaging_bonus(each, losses).mean(axis=0), 0.0))


def planned_branches(plan: Plan) -> list[Planned]:
    """The runs of which a pool is made."""
    names = plan.config.pool_sources
    return [
        Planned(branch, "branch", Mixture.vertex(names, member.source))
        for replica in range(plan.config.branch_training.seeds)
        for member, branch in plan.branches(replica).items()
    ]


def own_sources_of(config: StudyConfig) -> IntArray:
    """For each evaluation the place of the source that it was held out of [E]; -1 where none."""
    names = config.pool_sources
    return np.array([names.index(s) if s is not None else -1 for s in config.own_sources.values()])


def _curves(lab: Laboratory) -> LearningCurves | None:
    """How far each source brings its own evaluation; None without snapshots, or where runs are united."""
    plan, config = lab.plan, lab.plan.config
    members = plan.branches()
    recipe = next(iter(members.values())).recipe
    if not recipe.snapshots or config.estimand == "union":
        return None
    names = config.pool_sources
    along = lab.snapshots(members) | {
        recipe.steps: lab.losses([lab.trained_key(r) for r in members.values()])
    }
    steps = sorted(along)
    whole = plan.reference(Mixture.uniform(names)).recipe.tokens
    by_source = [[i for i, member in enumerate(members) if member.source == name] for name in names]
    losses = np.stack([along[step] for step in steps], axis=1)  # (K, P, E)
    evaluator = plan.bench.evaluator()
    seed = Checkpoint.load(plan.start.folder).read_flat(evaluator.model)
    return LearningCurves(
        positions=np.array([step * recipe.batch_tokens / whole for step in steps]),
        start=evaluator.score(seed.to(plan.model.device)).nats_per_token,
        losses=np.stack([losses[rows].mean(axis=0) for rows in by_source]),
        own=own_sources_of(config),
    )
