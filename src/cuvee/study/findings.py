"""What a study has measured before it concludes (floor 7)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.evaluation.ensemble import Ensemble
from cuvee.honesty.evidence import Evidence
from cuvee.merging.pool import FlatPool
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.types import FloatArray


@dataclass(frozen=True, eq=False)
class Scored:
    """Mixtures with what every proxy says of them."""

    mixtures: tuple[Mixture, ...]
    proxies: Mapping[str, FloatArray]
    """Name -> losses [M, E], nats per token."""

    @property
    def shares(self) -> FloatArray:
        """[M, S]"""
        return np.stack([mixture.shares for mixture in self.mixtures])

    def row(self, mixture: Mixture) -> int:
        """Where a mixture stands."""
        return [one.key for one in self.mixtures].index(mixture.key)


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything a decision is made from."""

    region: Region
    available: dict[str, int]
    """Tokens of each source at the target run."""
    scored: Scored
    candidates: tuple[bool, ...]
    """Which of the scored mixtures the decision may be [M]."""
    evidence: Evidence | None
    """The really trained references; None where there are none."""
    pool: FlatPool
    ensemble: Ensemble
    optimum: Mixture
    """The ensemble's own optimum in the region."""
    score: Callable[[Sequence[Mixture], Sequence[str]], Scored]
    """Score further mixtures, told with their roles."""
