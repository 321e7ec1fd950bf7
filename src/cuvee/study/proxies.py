"""The proxies of a study: what its pool says of any mixture, without training it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cuvee.evaluation.averaging_bonus import averaging_bonus, noise_penalty
from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.learning_curves import LearningCurves
from cuvee.evaluation.race import survivors
from cuvee.merging.pool import FlatPool
from cuvee.mixture.mixture import Mixture
from cuvee.runs.roles import BRANCH
from cuvee.study.curves import learning_curves
from cuvee.study.file.settings import MergingSettings
from cuvee.study.pooling import ensemble_of, pool_of
from cuvee.study.producers.ensembled import Ensembles
from cuvee.study.producers.merged import Merges
from cuvee.study.producers.weighted import Weighted
from cuvee.study.runner import Runner
from cuvee.study.scored import Scored
from cuvee.types import BoolArray, FloatArray

MERGE = "merge"
"""By the study's method of merging."""
ENSEMBLE = "ensemble"
LINEAR_MERGE = "linear merge"
"""Stands beside where the study merges by another method."""


@dataclass(frozen=True, eq=False)
class Proxies:
    """Merges and ensembles of a trained pool. Made by ``of``."""

    runner: Runner
    pool: FlatPool
    ensemble: Ensemble

    @classmethod
    def of(cls, runner: Runner) -> "Proxies":
        """Of the branches, which must be trained."""
        pool = pool_of(runner.plan, runner.plan.config.branch_training.seeds)
        return cls(runner, pool, ensemble_of(runner.plan, pool, runner.executor, runner.progress))

    def ready(self) -> None:
        """Measure what every score rests on, unless the store has it: snapshots, and averages of replicas."""
        _ = self._curves, self.noise_cost

    @cached_property
    def _linear(self) -> "Proxies | None":
        """The same pool merged linearly; None where the study does so anyway."""
        plan, linear = self.runner.plan, MergingSettings()
        if plan.config.merging == linear:
            return None
        config = plan.config.model_copy(update={"merging": linear})
        return replace(self, runner=replace(self.runner, plan=replace(plan, config=config)))

    def score(
        self,
        mixtures: Sequence[Mixture],
        roles: Sequence[str],
        whole: BoolArray | bool = True,
        by: Collection[str] = (MERGE, LINEAR_MERGE, ENSEMBLE),
    ) -> Scored:
        """What the proxies say of mixtures over the sources of the pool.

        Args:
            mixtures: M mixtures. roles: what each is scored for. whole: which merges are scored on all tokens
            [M]; the others on a part (``cuvee.evaluation.race``). by: which of the proxies.
        """
        nats = {}
        chosen = np.broadcast_to(np.asarray(whole), len(mixtures))
        if MERGE in by:
            nats[MERGE] = self._merged(mixtures, roles, chosen)
        if LINEAR_MERGE in by and self._linear is not None:
            nats[LINEAR_MERGE] = self._linear._merged(mixtures, roles, chosen)
        if ENSEMBLE in by:
            nats[ENSEMBLE] = self._ensembled(mixtures, roles)
        if self._curves is not None:
            nats |= {
                f"{name}, own curve": self._with_curve(mixtures, one) for name, one in list(nats.items())
            }
        return Scored(tuple(mixtures), self.runner.documents, nats)

    def race(
        self, mixtures: Sequence[Mixture], roles: Sequence[str], whole: BoolArray, target: FloatArray
    ) -> Scored:
        """The same; of the mixtures that are not scored on all tokens anyway, those that look best are too.

        How good they look is the mean of all proxies on the target [E].
        """
        first = self.score(mixtures, roles, whole)
        rest = np.flatnonzero(~whole)
        if not len(rest):
            return first
        looks = np.mean([first.losses(name)[rest] @ target for name in first.nats], axis=0)
        whole = whole.copy()
        whole[rest[survivors(looks)]] = True
        return self.score(mixtures, roles, whole)

    def whole_merges(self, mixtures: Sequence[Mixture], role: str) -> FloatArray:
        """Losses [M, E] of merges alone, scored on all tokens, without the own curve."""
        nats = self._merged(mixtures, [role] * len(mixtures), np.ones(len(mixtures), dtype=bool))
        return self.runner.documents.means(nats)

    def merges(self, mixtures: Sequence[Mixture], role: str) -> FloatArray:
        """Losses [M, E] of merges alone, scored on a part, with the own curve where there is one."""
        nats = self._merged(mixtures, [role] * len(mixtures), np.zeros(len(mixtures), dtype=bool))
        return self.runner.documents.means(self._with_curve(mixtures, nats))

    def ensembles(self, mixtures: Sequence[Mixture], role: str) -> FloatArray:
        """Losses [M, E] of ensembles alone, with the own curve where there is one."""
        nats = self._ensembled(mixtures, [role] * len(mixtures))
        return self.runner.documents.means(self._with_curve(mixtures, nats))

    def unit_nats(self) -> FloatArray:
        """Nats of every document under one-source models [S, D], the mean over their units and replicas."""
        spread = self._spread
        return np.asarray((spread / spread.sum(axis=1, keepdims=True)) @ self.ensemble.members().nats)

    @cached_property
    def _spread(self) -> FloatArray:
        return self.pool.roster.spread(self.runner.plan.config.pool_sources)

    @cached_property
    def _curves(self) -> LearningCurves | None:
        return learning_curves(self.runner)

    def _weights(self, mixtures: Sequence[Mixture]) -> FloatArray:
        result: FloatArray = np.stack([mixture.shares for mixture in mixtures]) @ self._spread
        return result

    def _ensembled(self, mixtures: Sequence[Mixture], roles: Sequence[str]) -> FloatArray:
        requests = Weighted.of(self._weights(mixtures), mixtures, roles)
        return self.runner.scores(Ensembles(self.runner.plan, self.ensemble), requests).nats

    def _merged(self, mixtures: Sequence[Mixture], roles: Sequence[str], whole: BoolArray) -> FloatArray:
        weights = self._weights(mixtures)
        requests = Weighted.of(weights, mixtures, roles)
        nats = np.empty((len(mixtures), len(self.runner.documents.tokens)))
        for chosen, control in ((whole, None), (~whole, self.ensemble)):
            rows = np.flatnonzero(chosen).tolist()
            if rows:
                nats[rows] = self.runner.scores(self._merges(control), [requests[row] for row in rows]).nats
        if self.noise_cost is None:
            return nats
        documents = self.runner.documents
        penalty = noise_penalty(weights, self.noise_cost)
        return nats - penalty[:, documents.evaluation] * documents.tokens

    def _merges(self, control: Ensemble | None = None) -> Merges:
        return Merges(self.runner.plan, MERGE, self.pool, control)

    def _with_curve(self, mixtures: Sequence[Mixture], nats: FloatArray) -> FloatArray:
        if self._curves is None:
            return nats
        return self._curves.substituted(np.stack([mixture.shares for mixture in mixtures]), nats)

    @cached_property
    def noise_cost(self) -> FloatArray | None:
        """What the training noise of one branch costs a merge [E], from replicas; None without them."""
        config = self.runner.plan.config
        replicas = config.branch_training.seeds
        if replicas < 2 or not config.averaging_bonus:
            return None
        members = self.ensemble.members().nats_per_token  # (replica x unit, E)
        units = len(members) // replicas
        averages = np.tile(np.eye(units), replicas) / replicas  # (unit, replica x unit)
        names = [member.source for member in self.pool.roster.members[:units]]
        mixtures = [Mixture.vertex(config.pool_sources, name) for name in names]
        requests = Weighted.of(averages, mixtures, [BRANCH] * units)
        losses = self.runner.scores(self._merges(), requests).nats_per_token
        each = members.reshape(replicas, units, -1).swapaxes(0, 1)
        return np.asarray(np.maximum(averaging_bonus(each, losses).mean(axis=0), 0.0))
