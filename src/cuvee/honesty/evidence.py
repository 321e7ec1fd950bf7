"""What a study knows about its reference mixtures: real losses, proxies, baselines.

A *reference* is a mixture on which a model was really trained. Its *truth* is the loss of that
training; a *proxy* is a cheap estimate of the same loss (a merge, an ensemble); a *baseline* is
a number that needs no proxy at all, and that a proxy must beat to be worth its cost.

Shapes: ``R`` references, ``E`` evaluations, ``S`` sources.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cuvee.errors import ConfigError
from cuvee.runs.observations import Observations
from cuvee.types import AnyArray, BoolArray, FloatArray, IntArray

WEIGHTED_SINGLE = "weighted single-unit loss"
BEST_SINGLE = "best single unit"
NEGATIVE_LOG_PARTS = "-log n_eff"

_SUM_TOLERANCE = 1e-6
_DECIMALS = 12


@dataclass(frozen=True)
class Evidence:
    """References with their real losses, and what every proxy says of the same mixtures.

    Losses are nats per token or bits per byte, the same unit everywhere; lower is better. All
    arrays are copied and made read-only. Values must be finite: leave out references that lack one.
    """

    sources: tuple[str, ...]
    """Names of the sources, in the order of the columns of ``shares``."""
    evaluations: tuple[str, ...]
    """Names of the evaluations, in the order of the columns of all losses."""
    shares: FloatArray
    """[R, S] token shares of the references; each row sums to one."""
    truth: FloatArray
    """[R, E] losses of the really trained references (mean over their replicates)."""
    proxies: Mapping[str, FloatArray]
    """Name -> [R, E] proxy losses of the same mixtures."""
    baselines: Mapping[str, FloatArray]
    """Name -> [R, E] numbers that cost nothing; lower must mean a lower predicted loss."""
    own: IntArray
    """[E] column of the source an evaluation was held out from; -1 for out-of-pool evaluations."""
    replicates: tuple[tuple[int, FloatArray], ...]
    """(row, [n, E] losses of all runs of that reference, which differ by seed only)."""
    target: FloatArray
    """[E] weights of the target metric; they sum to one."""

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        set_field(self, "sources", tuple(self.sources))
        set_field(self, "evaluations", tuple(self.evaluations))
        for field in ("sources", "evaluations"):
            names = getattr(self, field)
            if not names or len(set(names)) != len(names):
                raise ConfigError(f"evidence: {field} must be distinct and not empty, got {names}")
        sources, evaluations = len(self.sources), len(self.evaluations)
        references = np.asarray(self.shares).shape[0] if np.ndim(self.shares) == 2 else 0
        if references == 0:
            raise ConfigError("evidence: shares must be an array [references, sources] with a row or more")
        shares = _losses(self.shares, (references, sources), "shares")
        off = np.flatnonzero((shares < 0).any(axis=1) | (np.abs(shares.sum(axis=1) - 1) > _SUM_TOLERANCE))
        if off.size:
            raise ConfigError(f"evidence: shares of row {off[0]} are no mixture: {shares[off[0]].tolist()}")
        set_field(self, "shares", shares)
        set_field(self, "truth", _losses(self.truth, (references, evaluations), "truth"))
        for field in ("proxies", "baselines"):
            table = getattr(self, field)
            shape = (references, evaluations)
            set_field(self, field, {name: _losses(v, shape, f"{field}[{name}]") for name, v in table.items()})
        if both := sorted(set(self.proxies) & set(self.baselines)):
            raise ConfigError(f"evidence: {both} are named both as proxies and as baselines")
        own = np.array(self.own, dtype=np.int64)
        if own.shape != (evaluations,) or (own < -1).any() or (own >= sources).any():
            raise ConfigError(f"evidence: own must be {evaluations} source columns or -1, got {own.tolist()}")
        own.flags.writeable = False
        set_field(self, "own", own)
        set_field(self, "replicates", tuple(_replicate(r, references, evaluations) for r in self.replicates))
        target = _losses(self.target, (evaluations,), "target")
        if abs(target.sum() - 1) > _SUM_TOLERANCE:
            raise ConfigError(f"evidence: target weights must sum to one, got {target.sum():.6g}")
        set_field(self, "target", target)

    @classmethod
    def of(
        cls,
        trained: Observations,
        reference: Sequence[int],
        proxies: Mapping[str, FloatArray],
        baselines: Mapping[str, FloatArray],
        own: Sequence[int],
        target: FloatArray,
    ) -> "Evidence":
        """From the rows of trainings.

        Args:
            trained: a row for every training; the metrics are the evaluations [E].
            reference: of each row the place of its reference. First trainings stand first, in order.
            proxies: see the field; so are the others.
        """
        rows: dict[int, list[int]] = {}
        for row, place in enumerate(reference):
            rows.setdefault(place, []).append(row)
        again = dict.fromkeys(place for place in reference[len(rows) :])
        return cls(
            sources=trained.sources,
            evaluations=trained.metrics,
            shares=trained.shares[: len(rows)],
            truth=np.stack([trained.values[rows[place]].mean(axis=0) for place in range(len(rows))]),
            proxies=proxies,
            baselines=baselines,
            own=np.array(own),
            replicates=tuple((place, trained.values[rows[place]]) for place in again),
            target=target,
        )

    @property
    def references(self) -> int:
        """R, the number of references."""
        return int(self.shares.shape[0])

    @property
    def in_pool(self) -> BoolArray:
        """[E] whether an evaluation was held out from one of the sources."""
        return np.asarray(self.own >= 0)

    @property
    def effective_number(self) -> FloatArray:
        """[R] 1 / sum of squared shares."""
        return effective_number(self.shares)

    def select(self, rows: IntArray) -> "Evidence":
        """Some of the references, in the order of ``rows``; replicates of the others are left out."""
        wanted = [int(row) for row in rows]
        return replace(
            self,
            shares=self.shares[wanted],
            truth=self.truth[wanted],
            proxies={name: losses[wanted] for name, losses in self.proxies.items()},
            baselines={name: losses[wanted] for name, losses in self.baselines.items()},
            replicates=tuple((wanted.index(row), losses) for row, losses in self.replicates if row in wanted),
        )

    def losses(self, name: str) -> FloatArray:
        """[R, E] of the proxy or baseline ``name``.

        Raises:
            ConfigError: neither a proxy nor a baseline has that name.
        """
        for table in (self.proxies, self.baselines):
            if name in table:
                return table[name]
        known = sorted([*self.proxies, *self.baselines])
        raise ConfigError(f"evidence: no proxy or baseline {name!r}; there are {known}")


def effective_number(shares: FloatArray) -> FloatArray:
    """[M] the effective number of parts, 1 / sum of squared shares, of shares [M, S]."""
    return np.asarray(1.0 / np.square(shares).sum(axis=-1))


def single_unit_baselines(unit_losses: FloatArray, shares: FloatArray) -> dict[str, FloatArray]:
    """What can be said of mixtures from the losses of single-source models alone.

    Args:
        unit_losses: [S, E] loss of the model trained on each source alone.
        shares: [R, S] mixtures.

    Returns:
        Three baselines [R, E], each the lower the better the mixture is predicted to be: the mean
        of the single losses weighted by share, the best single loss among the sources with a
        positive share, and minus the logarithm of the effective number of parts.

    Raises:
        ConfigError: the number of sources differs between the two arrays.
    """
    shares = np.asarray(shares, dtype=np.float64)
    unit_losses = np.asarray(unit_losses, dtype=np.float64)
    if shares.ndim != 2 or unit_losses.ndim != 2 or shares.shape[1] != unit_losses.shape[0]:
        raise ConfigError(
            f"single_unit_baselines: unit losses {unit_losses.shape} and shares {shares.shape} disagree "
            "on the number of sources; give [sources, evaluations] and [mixtures, sources]"
        )
    inside = np.where(shares[:, :, None] > 0, unit_losses[None], np.inf)
    # Rounded, so that mixtures of one size tie exactly whatever the order of their sums.
    parts = -np.round(np.log(effective_number(shares)), _DECIMALS)
    return {
        WEIGHTED_SINGLE: shares @ unit_losses,
        BEST_SINGLE: inside.min(axis=1),
        NEGATIVE_LOG_PARTS: np.repeat(parts[:, None], unit_losses.shape[1], axis=1),
    }


def _losses(values: AnyArray, shape: tuple[int, ...], what: str) -> FloatArray:
    array = np.array(values, dtype=np.float64)
    if array.shape != shape:
        raise ConfigError(f"evidence: {what} has shape {array.shape}, expected {shape}")
    if not np.isfinite(array).all():
        place = np.argwhere(~np.isfinite(array))[0].tolist()
        raise ConfigError(f"evidence: {what} is not finite at {place}; leave that reference out")
    array.flags.writeable = False
    return array


def _replicate(
    entry: tuple[int, AnyArray] | Sequence[AnyArray], references: int, evaluations: int
) -> tuple[int, FloatArray]:
    row, losses = int(entry[0]), np.asarray(entry[1])
    if not 0 <= row < references:
        raise ConfigError(f"evidence: replicates name row {row}, but there are {references} references")
    count = losses.shape[0] if losses.ndim == 2 else 1
    return row, _losses(losses, (count, evaluations), f"replicates of row {row}")
