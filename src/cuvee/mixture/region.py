"""Region: the mixtures that are allowed, by bounds, epoch caps and fixed ratios.

    lower_i <= w_i <= upper_i,   sum w = 1,   w_i / w_j = r_i / r_j within a group of fixed ratio

The members of a group move together: w_i = r_i v_b with sum r_i = 1 over the group and v_b its total.
A source in no group is a group of one. So a region is a `CappedSimplex` over the totals v [B], and
everything here is the translation between sources [S] and totals [B].
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from cuvee.errors import InfeasibleRegion, MixtureError
from cuvee.mixture.capped_draws import dirichlet_draws, uniform_draws
from cuvee.mixture.capped_simplex import CappedSimplex, settle
from cuvee.mixture.mixture import Mixture, checked_names
from cuvee.quantities import not_percent
from cuvee.types import FloatArray, IntArray

TOLERANCE = 1e-9
"""Bounds that miss each other by less than this are taken to meet: they were computed with rounding."""

_NAMES_SHOWN = 12


@dataclass(frozen=True, eq=False)
class Region:
    """A closed convex set of mixtures, never empty.

    Every mixture it gives lies within ``lower`` and ``upper`` exactly, and within the ratios up to
    rounding; where the bounds themselves meet only by `TOLERANCE`, within that tolerance.

    Raises:
        InfeasibleRegion: no mixture satisfies all conditions; the message names sources and numbers.
        MixtureError: names, bounds or ratios that make no sense by themselves.
    """

    names: tuple[str, ...]
    """Source names [S]."""
    lower: FloatArray
    """Smallest share [S] of each source, read-only."""
    upper: FloatArray
    """Largest share [S] of each source, read-only, at most one."""
    ratios: tuple[Mapping[str, float], ...] = ()
    """Groups of sources whose shares keep the ratio of the given positive weights."""
    totals: CappedSimplex = field(init=False, repr=False)
    """The same set over the totals [B] of the groups."""
    _group: IntArray = field(init=False, repr=False)
    """Index [S] of the group of each source."""
    _part: FloatArray = field(init=False, repr=False)
    """Share [S] of each source in its group."""

    def __post_init__(self) -> None:
        names = checked_names(self.names)
        lower = _checked_bound(names, self.lower, "minimum")
        upper = np.minimum(_checked_bound(names, self.upper, "maximum"), 1.0)
        ratios = _checked_ratios(names, self.ratios)
        for name, low, high in zip(names, lower.tolist(), upper.tolist(), strict=True):
            if low > high + TOLERANCE:
                raise InfeasibleRegion(f"source {name}: minimum {low:.10g} is above its maximum {high:.10g}")
        group, part = _grouping(names, ratios)
        for array in (lower, upper, group, part):
            array.setflags(write=False)
        values: dict[str, Any] = {"names": names, "lower": lower, "upper": upper, "ratios": ratios}
        values |= {"_group": group, "_part": part}
        values["totals"] = _totals(names, lower, upper, group, part)
        for key, value in values.items():
            object.__setattr__(self, key, value)

    # Making one

    @classmethod
    def simplex(cls, names: Iterable[str]) -> Self:
        """All mixtures of these sources."""
        names = checked_names(names)
        return cls(names, np.zeros(len(names)), np.ones(len(names)))

    @classmethod
    def bounded(
        cls,
        names: Iterable[str],
        minimum: Mapping[str, float] | None = None,
        maximum: Mapping[str, float] | None = None,
    ) -> Self:
        """All mixtures within the given bounds; a source not named in one is not bounded by it.

        Raises:
            MixtureError: an unknown source, or a bound that is no share from 0 to 1.
            InfeasibleRegion: no mixture keeps the bounds.
        """
        names = checked_names(names)
        low, high = dict(minimum or {}), dict(maximum or {})
        for bounds, what in ((low, "minimum"), (high, "maximum")):
            _check_known(names, bounds, what)
            _check_shares(bounds, what)
        return cls(
            names,
            np.array([low.get(name, 0.0) for name in names], dtype=np.float64),
            np.array([high.get(name, 1.0) for name in names], dtype=np.float64),
        )

    def with_epoch_caps(
        self,
        available: Mapping[str, int],
        total_tokens: float,
        max_epochs: float | Mapping[str, float],
    ) -> Self:
        """This region, with no source read more than ``max_epochs`` times.

        Args:
            available: tokens of each source; must name every source of the region.
            total_tokens: tokens of the run.
            max_epochs: one cap for all, or a cap per source (a source not named has none).

        Raises:
            InfeasibleRegion: the sources do not hold enough tokens for the run.
        """
        if not (math.isfinite(total_tokens) and total_tokens > 0):
            raise MixtureError(f"total_tokens is {total_tokens}; it must be finite and positive")
        _check_known(tuple(available), self.names, "available tokens")
        if isinstance(max_epochs, Mapping):
            _check_known(self.names, max_epochs, "max_epochs")
            caps = dict(max_epochs)
        else:
            caps = dict.fromkeys(self.names, float(max_epochs))
        upper = self.upper.copy()
        for name, cap in caps.items():
            if not (cap >= 0.0 and available[name] >= 0):
                raise MixtureError(f"source {name}: {cap} epochs of {available[name]} tokens is no cap")
            index = self.names.index(name)
            # An unlimited cap leaves the bound alone, also for a source without tokens.
            share = cap * available[name] / total_tokens if math.isfinite(cap) else 1.0
            upper[index] = min(upper[index], share)
        try:
            return type(self)(self.names, self.lower, upper, self.ratios)
        except InfeasibleRegion as error:
            raise InfeasibleRegion(
                f"under the epoch caps for {total_tokens:.10g} tokens: {error};"
                " train on fewer tokens or allow more epochs"
            ) from error

    def with_ratio(self, weights: Mapping[str, float]) -> Self:
        """This region, with the shares of the named sources in the ratio of ``weights``."""
        return type(self)(self.names, self.lower, self.upper, (*self.ratios, weights))

    # Asking it

    def contains(self, mixture: Mixture, tolerance: float = TOLERANCE) -> bool:
        """Whether all conditions hold to within ``tolerance`` in each share; names in any order."""
        if not set(mixture.support) <= set(self.names):
            return False
        shares = mixture.reindexed(self.names).shares
        bounded = (shares >= self.lower - tolerance) & (shares <= self.upper + tolerance)
        parts = self._part * self._sum_by_group(shares)[self._group]
        return bool(bounded.all() and (np.abs(shares - parts) <= tolerance).all())

    def expand(self, totals: FloatArray) -> Mixture:
        """The mixture with these group totals [B] (a point of ``totals``, up to rounding)."""
        totals = settle(totals, self.totals.lower, self.totals.upper)
        return Mixture(self.names, settle(self._part * totals[self._group], self.lower, self.upper))

    # Nearest and best points

    def project(self, point: FloatArray) -> Mixture:
        """The nearest mixture to ``point`` [S] in Euclidean distance over the sources, exactly.

        In a group, sum_i (r_i v - y_i)^2 = q (v - c)^2 + constant with q = sum r_i^2 and
        c = sum r_i y_i / q. Cost O(S log S).

        Raises:
            MixtureError: ``point`` has another length or numbers that are not finite.
        """
        point = self._checked_vector(point, "point")
        # The sum is fixed, so a constant added to the point changes nothing; this one saves precision.
        with np.errstate(over="ignore"):
            point = self._checked_vector(point - point.max(), "point less its largest value")
        curvature = self._sum_by_group(np.square(self._part))
        centre = self._sum_by_group(self._part * point) / curvature
        return self.expand(self.totals.project(centre, curvature))

    def kl_project(self, weights: FloatArray) -> Mixture:
        """The mixture w that minimises KL(w || weights) = sum w log(w / weights), exactly.

        This is the Bregman projection of mirror descent with the entropy. ``weights`` [S] need not sum to
        one. In a group, sum_i r_i v log(r_i v / y_i) = v log(v / m) with log m = sum r_i log(y_i / r_i).
        A weight of zero is the limit of a small one: its source (or group) stays at its lower bound.
        Cost O(S log S).

        Raises:
            MixtureError: a weight is negative or not finite, or the sources of positive weight cannot
                reach a sum of one under their maxima.
        """
        weights = self._checked_vector(weights, "weights")
        if (weights < 0.0).any():
            name = self.names[int(np.flatnonzero(weights < 0.0)[0])]
            raise MixtureError(f"weight of {name!r} is negative; KL projection needs weights of at least 0")
        with np.errstate(divide="ignore"):
            logs = self._sum_by_group(self._part * (np.log(weights) - np.log(self._part)))
        self._check_reach(np.isfinite(logs), "weight")
        return self.expand(self.totals.scale(logs))

    def linear_minimum(self, cost: FloatArray) -> Mixture:
        """A mixture that minimises ``cost`` [S] @ w, exactly: a vertex of the region (for Frank-Wolfe).

        Among equal costs the source that is named first is filled first. Cost O(S log S).

        Raises:
            MixtureError: ``cost`` has another length or numbers that are not finite.
        """
        cost = self._checked_vector(cost, "cost")
        return self.expand(self.totals.cheapest(self._sum_by_group(self._part * cost)))

    # Drawing from it

    def sample(self, n: int, rng: np.random.Generator, alpha: FloatArray | None = None) -> list[Mixture]:
        """``n`` independent random mixtures of the region.

        Args:
            n: how many.
            rng: the randomness; equal states give equal mixtures.
            alpha: Dirichlet parameters, [S] or one row per mixture [n, S]. The draws follow that
                distribution cut to the region (in a group, its total has the sum of their parameters).
                A source of parameter zero stays at its lower bound. None: uniform over the region.

        Cost: O(n S) while at least about one draw in 64 falls inside; else 64 sweeps of a Gibbs sampler,
        some tenths of a millisecond per mixture of 20 sources.
        """
        if n < 0:
            raise MixtureError(f"cannot sample {n} mixtures")
        if alpha is None:
            return [self.expand(row) for row in uniform_draws(self.totals, n, rng)]
        rows = np.asarray(alpha, dtype=np.float64)
        if rows.shape not in {(len(self.names),), (n, len(self.names))}:
            raise MixtureError(f"alpha has shape {rows.shape}; {(n, len(self.names))} is needed")
        if not (np.isfinite(rows) & (rows >= 0.0)).all():
            raise MixtureError("alpha must be finite and not negative")
        rows = np.broadcast_to(rows, (n, len(self.names)))
        if ((rows > 0.0) != (rows[:1] > 0.0)).any():
            raise MixtureError("alpha must be positive for the same sources in every row")
        if n == 0:
            return []
        grouped = np.stack([self._sum_by_group(row) for row in rows])
        self._check_reach(grouped[0] > 0.0, "alpha")
        return [self.expand(row) for row in dirichlet_draws(self.totals, grouped, rng)]

    # As a value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Region):
            return NotImplemented
        return (
            self.names == other.names
            and np.array_equal(self.lower, other.lower)
            and np.array_equal(self.upper, other.upper)
            and self.ratios == other.ratios
        )

    def __hash__(self) -> int:
        ratios = tuple(frozenset(ratio.items()) for ratio in self.ratios)
        return hash((self.names, self.lower.tobytes(), self.upper.tobytes(), ratios))

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        # Through the constructor: arrays come back read-only, and read-only mappings cannot be pickled.
        return type(self), (self.names, self.lower, self.upper, tuple(dict(ratio) for ratio in self.ratios))

    def _sum_by_group(self, values: FloatArray) -> FloatArray:
        sums = np.bincount(self._group, weights=values, minlength=self.totals.lower.size)
        return sums.astype(np.float64, copy=False)

    def _checked_vector(self, values: FloatArray, what: str) -> FloatArray:
        result = np.asarray(values, dtype=np.float64)
        if result.shape != (len(self.names),) or not np.isfinite(result).all():
            raise MixtureError(f"{what} must be {len(self.names)} finite numbers, one per source")
        return result

    def _check_reach(self, positive: Any, what: str) -> None:
        """Refuse when groups without a positive number would have to leave their lower bound."""
        reach = math.fsum(np.where(positive, self.totals.upper, self.totals.lower))
        if reach < 1.0 - TOLERANCE:
            stuck = [n for n, ok in zip(self.names, positive[self._group], strict=True) if not ok]
            raise MixtureError(
                f"with {what} zero for {_shortened(stuck)}, the region reaches only {reach:.10g} of 1"
            )


def _checked_bound(names: tuple[str, ...], values: FloatArray, what: str) -> FloatArray:
    result = np.array(values, dtype=np.float64)
    if result.shape != (len(names),):
        raise MixtureError(f"{len(names)} sources need {len(names)} {what} shares; got shape {result.shape}")
    bad = np.flatnonzero(~(result >= 0.0))
    if bad.size:
        first = int(bad[0])
        raise MixtureError(f"source {names[first]}: {what} share {result[first]} must not be negative")
    return result + 0.0  # no negative zeros


def _checked_ratios(
    names: tuple[str, ...], ratios: Iterable[Mapping[str, float]]
) -> tuple[Mapping[str, float], ...]:
    result: list[Mapping[str, float]] = []
    taken: set[str] = set()
    for ratio in ratios:
        _check_known(names, ratio, "a fixed ratio")
        if not ratio:
            raise MixtureError("a fixed ratio needs at least one source")
        for name, weight in ratio.items():
            if not (math.isfinite(weight) and weight > 0.0):
                raise MixtureError(
                    f"source {name}: ratio weight {weight} must be positive; use maximum 0 to leave it out"
                )
            if name in taken:
                raise MixtureError(f"source {name} is in two fixed ratios; give all its partners in one")
            taken.add(name)
        result.append(MappingProxyType({name: float(weight) for name, weight in ratio.items()}))
    return tuple(result)


def _check_shares(bounds: Mapping[str, float], what: str) -> None:
    for name, share in bounds.items():
        if not 0.0 <= share <= 1.0 + TOLERANCE:
            raise MixtureError(
                f"source {name}: {what} share {share:.10g} is not between 0 and 1; {not_percent(share)}"
            )


def _check_known(known: tuple[str, ...], names: Iterable[str], what: str) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise MixtureError(f"{what}: unknown source {_shortened(unknown)}; known are {_shortened(known)}")


def _grouping(names: tuple[str, ...], ratios: tuple[Mapping[str, float], ...]) -> tuple[IntArray, FloatArray]:
    """Group index [S], in order of first member, and share [S] of each source in its group."""
    owner = {name: ratio for ratio in ratios for name in ratio}
    indices: dict[str, int] = {}
    group, part = np.zeros(len(names), dtype=np.int64), np.ones(len(names))
    for position, name in enumerate(names):
        ratio = owner.get(name)
        first = name if ratio is None else next(iter(ratio))
        group[position] = indices.setdefault(first, len(indices))
        if ratio is not None:
            largest = max(ratio.values())
            part[position] = ratio[name] / largest / math.fsum(w / largest for w in ratio.values())
    return group, part


def _totals(
    names: tuple[str, ...], lower: FloatArray, upper: FloatArray, group: IntArray, part: FloatArray
) -> CappedSimplex:
    """The bounds of the group totals, with bounds that miss by rounding made to meet.

    Raises:
        InfeasibleRegion: no totals satisfy them.
    """
    size = int(group.max()) + 1
    low, high = np.zeros(size), np.ones(size)
    np.maximum.at(low, group, lower / part)
    np.minimum.at(high, group, upper / part)
    labels = [_label(names, group, part, index) for index in range(size)]
    for label, least, most in zip(labels, low.tolist(), high.tolist(), strict=True):
        if least > most + TOLERANCE:
            raise InfeasibleRegion(
                f"sources {label}: the minima need {least:.10g} in total, the maxima allow {most:.10g}"
            )
    need, reach = math.fsum(low), math.fsum(high)
    if need > 1.0 + TOLERANCE:
        bounds = [f"{label} (min {v:.10g})" for label, v in zip(labels, low.tolist(), strict=True) if v > 0.0]
        raise InfeasibleRegion(f"sources {_shortened(bounds)} need {need:.10g}, more than 1")
    if reach < 1.0 - TOLERANCE:
        bounds = [f"{label} (max {v:.10g})" for label, v in zip(labels, high.tolist(), strict=True)]
        raise InfeasibleRegion(f"sources {_shortened(bounds)} reach only {reach:.10g} of 1")
    low = np.minimum(low, high) / max(1.0, need)
    high = high / min(1.0, reach)
    low.setflags(write=False)
    high.setflags(write=False)
    return CappedSimplex(low, high)


def _label(names: tuple[str, ...], group: IntArray, part: FloatArray, index: int) -> str:
    members = np.flatnonzero(group == index)
    if members.size == 1:
        return names[int(members[0])]
    smallest = float(part[members].min())
    ratio = ":".join(f"{weight / smallest:.4g}" for weight in part[members].tolist())
    return "+".join(names[int(i)] for i in members) + f" in ratio {ratio}"


def _shortened(parts: Iterable[str]) -> str:
    listed = list(parts)
    rest = len(listed) - _NAMES_SHOWN
    return ", ".join(listed[:_NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
