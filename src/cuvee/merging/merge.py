"""A merge of a pool as a value: which members, in which ratio, how far from the seed (floor 3).

    theta = theta_seed + scale * sum_k w_k (theta_k - theta_seed)

``weights`` is the ratio and lies on the simplex; ``scale`` is the length. Task arithmetic (Ilharco et al.,
https://arxiv.org/abs/2212.04089) with its two meanings kept apart. Micro and macro merges are the names of Na
et al. (https://arxiv.org/abs/2410.15661), there averages of averages; both are one linear merge, so here they
are two constructors of one vector. Which mixture a merge stands for is its estimand: a merge of equally
long branches stands for a mixture of the *same* number of tokens, not for the union of its parts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.errors import MixtureError
from cuvee.hashing import digest
from cuvee.merging.roster import Roster
from cuvee.mixture.mixture import Mixture
from cuvee.types import FloatArray

_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Merge:
    """One linear merge. Two merges are the same if their ``key`` is the same.

    Raises:
        MixtureError: the weights are not on the simplex (negative, not finite, or a sum that is not one
            within 1e-6; they are then divided by their sum), or the scale is not finite.
    """

    roster: Roster
    weights: FloatArray
    """[K], non-negative, sum one, in the order of ``roster.members``; read-only."""
    scale: float = 1.0
    """Length along the weighted mean of the deltas; one is the weighted mean of the members."""

    def __post_init__(self) -> None:
        weights = np.array(self.weights, dtype=np.float64)
        if weights.shape != (len(self.roster.members),):
            raise MixtureError(f"merge: weights {weights.shape} for {len(self.roster.members)} members")
        if not np.isfinite(weights).all() or (weights < 0).any():
            worst = self.roster.names[int(np.argmin(np.where(np.isfinite(weights), weights, -np.inf)))]
            raise MixtureError(
                f"merge: the weight of {worst!r} is {weights.min()}; must be 0 or more and finite"
            )
        if abs(weights.sum() - 1) > _SUM_TOLERANCE:
            raise MixtureError(
                f"merge: weights sum to {weights.sum():.9g}, not to 1; use scale for the length"
            )
        if not np.isfinite(self.scale):
            raise MixtureError(f"merge: scale is {self.scale}; must be finite")
        weights /= weights.sum()
        weights.flags.writeable = False
        object.__setattr__(self, "weights", weights)

    def __reduce__(self) -> "tuple[type[Merge], tuple[Roster, FloatArray, float]]":
        # Through the constructor: a plain pickle would give back writable weights.
        return type(self), (self.roster, self.weights, self.scale)

    @classmethod
    def one(cls, roster: Roster, member: str) -> "Merge":
        """A single member, bit for bit."""
        weights = np.zeros(len(roster.members))
        weights[roster.index(member)] = 1.0
        return cls(roster, weights)

    @classmethod
    def micro(cls, roster: Roster, sources: Sequence[str] | None = None, scale: float = 1.0) -> "Merge":
        """Each member of ``sources`` (default all) by its tokens: sources in proportion to size."""
        tokens = _chosen(roster, sources) * [float(member.tokens) for member in roster.members]
        return cls(roster, tokens / tokens.sum(), scale)

    @classmethod
    def macro(cls, roster: Roster, sources: Sequence[str] | None = None, scale: float = 1.0) -> "Merge":
        """Each of ``sources`` (default all) equally, its members by their tokens."""
        names = roster.sources if sources is None else tuple(sources)
        return cls(roster, roster.spread(names).mean(axis=0), scale)

    @classmethod
    def subset(cls, roster: Roster, sources: Sequence[str], scale: float = 1.0) -> "Merge":
        """The micro merge of some sources."""
        return cls.micro(roster, sources, scale)

    @classmethod
    def leave_one_out(cls, roster: Roster, source: str, scale: float = 1.0) -> "Merge":
        """The micro merge of all sources but one.

        Raises:
            ConfigError: there is no such source.
            MixtureError: it is the only one.
        """
        roster.spread([source])
        rest = [name for name in roster.sources if name != source]
        if not rest:
            raise MixtureError(f"merge: without {source!r} no source is left")
        return cls.micro(roster, rest, scale)

    @classmethod
    def weighted(cls, roster: Roster, mixture: Mixture, scale: float = 1.0) -> "Merge":
        """The merge that stands for ``mixture``: each source by its share, its members by their tokens.

        Raises:
            ConfigError: a source with a positive share has no member.
        """
        present = [i for i, share in enumerate(mixture.shares) if share > 0]
        spread = roster.spread([mixture.names[i] for i in present])
        return cls(roster, mixture.shares[present] @ spread, scale)

    @classmethod
    def combine(cls, parts: Iterable[tuple[float, "Merge"]]) -> "Merge":
        """A merge of merges, sum_i c_i merge_i with sum c = 1, as the one linear merge that it is.

        Raises:
            MixtureError: the pools differ, or a scaled weight or the sum is negative.
        """
        parts = list(parts)
        roster = parts[0][1].roster
        if any(merge.roster != roster for _, merge in parts):
            raise MixtureError("merge: only merges of one pool can be combined")
        if abs(sum(c for c, _ in parts) - 1) > _SUM_TOLERANCE:
            raise MixtureError(f"merge: coefficients sum to {sum(c for c, _ in parts):.9g}, not to 1")
        scaled = np.sum([c * merge.scale * merge.weights for c, merge in parts], axis=0)
        scale = float(scaled.sum())
        if scale <= 0:
            raise MixtureError(f"merge: the combined scale is {scale:.9g}; must be positive")
        return cls(roster, scaled / scale, scale)

    @property
    def mixture(self) -> Mixture:
        """The source mixture that the merge stands for."""
        return Mixture.normalised(
            {
                source: float(
                    sum(
                        w
                        for w, m in zip(self.weights, self.roster.members, strict=True)
                        if m.source == source
                    )
                )
                for source in self.roster.sources
            }
        )

    @property
    def effective_number(self) -> float:
        """1 / sum w^2, the number of equally weighted members with the same averaging of noise."""
        return float(1.0 / np.square(self.weights).sum())

    @property
    def key(self) -> str:
        """Hash of seed, members with positive weight, weights and scale; the order of members is no part."""
        members = sorted(
            [member.content_hash, member.name, repr(float(weight))]
            for member, weight in zip(self.roster.members, self.weights, strict=True)
            if weight > 0
        )
        return digest({"seed": self.roster.seed, "members": members, "scale": repr(float(self.scale))})


def _chosen(roster: Roster, sources: Sequence[str] | None) -> FloatArray:
    """One for members of ``sources``, zero for the others [K]."""
    roster.spread(sources)  # refuses a source without members
    wanted = set(roster.sources if sources is None else sources)
    return np.array([float(member.source in wanted) for member in roster.members])
