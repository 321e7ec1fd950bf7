"""What a study has measured before it concludes.

Everything is kept document by document, so that a conclusion can be drawn again from other documents.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cuvee.evaluation.ensemble import Ensemble
from cuvee.flows.ablation.order import OrderFindings
from cuvee.honesty.evidence import Evidence, single_unit_baselines
from cuvee.merging.pool import FlatPool
from cuvee.mixture.mirror_descent import Optimum
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.runs.observations import Observations
from cuvee.study.scored import Scored
from cuvee.types import AnyArray, BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class References:
    """The really trained mixtures."""

    mixtures: tuple[Mixture, ...]
    """R mixtures."""
    scored: Scored
    """What the proxies say of them, in the same order."""
    observed: Observations
    """A row for every training: the first of each mixture [R], then second ones [A]."""
    nats: FloatArray
    """[R, D] of the first trainings."""
    again: FloatArray
    """[A, D] of second trainings."""
    twice: tuple[int, ...]
    """Which of the mixtures these are of [A]."""
    units: FloatArray
    """[S, D] of the one-source models."""
    own: tuple[int, ...]
    """For each evaluation the place of the source that it was held out from; -1 is out of pool."""
    target: FloatArray
    """[E] weights."""
    trained: tuple[Mixture, ...] = ()
    """What each was trained on, over the sources at that time [R]; empty where all are the mixtures."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "trained", self.trained or self.mixtures)

    @property
    def carried(self) -> tuple[bool, ...]:
        """Which were trained before their sources were split or merged [R]."""
        pairs = zip(self.trained, self.mixtures, strict=True)
        return tuple(trained.key != mixture.key for trained, mixture in pairs)

    def evidence(self, counts: AnyArray | None = None) -> Evidence:
        """What they say; ``counts`` [D] says how often each document counts."""
        documents = self.scored.documents
        losses = documents.means(np.concatenate([self.nats, self.again]), counts)
        baselines = single_unit_baselines(documents.means(self.units, counts), self.scored.shares)
        return Evidence.of(
            self.observed.with_values(documents.evaluations, losses),
            (*range(len(self.nats)), *self.twice),
            self.scored.proxies(counts),
            baselines,
            self.own,
            self.target,
        )

    def select(self, rows: Sequence[int], target: FloatArray) -> "References":
        """Some of them, under another target [E]."""
        kept = [(rows.index(row), place) for place, row in enumerate(self.twice) if row in rows]
        nats = {name: values[list(rows)] for name, values in self.scored.nats.items()}
        mixtures = tuple(self.mixtures[row] for row in rows)
        return replace(
            self,
            mixtures=mixtures,
            scored=replace(self.scored, mixtures=mixtures, nats=nats),
            observed=self.observed.select([*rows, *(len(self.nats) + place for _, place in kept)]),
            nats=self.nats[list(rows)],
            again=self.again[[place for _, place in kept]],
            twice=tuple(row for row, _ in kept),
            target=target,
            trained=tuple(self.trained[row] for row in rows),
        )


@dataclass(frozen=True, eq=False)
class MergeOptimum:
    """The mixture with the lowest merge loss."""

    mixture: Mixture
    loss: float
    """On the target, nats per token, on all windows."""
    gap: float
    """What another mixture could gain to first order; NaN where a candidate is lower than all ends."""
    ends: tuple[float, ...]
    """Target losses of what the descents ended at."""


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything a decision is made from."""

    region: Region
    available: dict[str, int]
    """Tokens of each source at the target run."""
    scored: Scored
    candidates: tuple[bool, ...]
    """Which of the scored mixtures the decision may be [M]."""
    references: References | None
    """None where none were trained."""
    pool: FlatPool
    ensemble: Ensemble
    optimum: Optimum
    """The ensemble's own in the region."""
    merge_optimum: MergeOptimum
    """The merge's own in the region."""
    score: Callable[[Sequence[Mixture], Sequence[str], BoolArray], Scored]
    """Score further mixtures, with their roles, and whether on all tokens."""
    order: OrderFindings | None = None
    """References under other conditions; None where nobody asked."""
