"""Mixture: the shares of the sources in the tokens of one training run.

A mixture is a point of the simplex: one non-negative share per source, summing to one. A source
that is not named has share zero, so mixtures over different sources can be compared and combined.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from cuvee.errors import MixtureError
from cuvee.hashing import digest
from cuvee.types import FloatArray

SUM_TOLERANCE = 1e-6
"""How far from one the given shares may sum; beyond it they are taken for weights by mistake."""

# One division leaves at most 1.5 eps, so that normalising a second time changes no bit.
_NORMALISED = 2 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False, repr=False)
class Mixture:
    """Shares of named sources. Equal when names, their order and all shares are equal exactly.

    Raises:
        MixtureError: names are empty or repeated, a share is negative or not finite, or the shares
            do not sum to one within 1e-6.
    """

    names: tuple[str, ...]
    """Source names [S], unique and not empty."""
    shares: FloatArray
    """Shares [S] of the tokens, read-only, normalised to sum to one within two units of rounding."""

    def __post_init__(self) -> None:
        names = checked_names(self.names)
        shares = np.array(self.shares, dtype=np.float64)
        if shares.shape != (len(names),):
            raise MixtureError(f"{len(names)} sources need {len(names)} shares; got shape {shares.shape}")
        _check_weights(names, shares, "share")
        # Of what is far off, a sum that does not raise where it overflows.
        total = math.fsum(shares) if shares.max(initial=0.0) <= 2.0 else sum(shares.tolist())
        if abs(total - 1.0) > SUM_TOLERANCE:
            raise MixtureError(
                f"shares sum to {total:.10g}, not to 1; use Mixture.normalised for weights of any sum"
            )
        if abs(total - 1.0) > _NORMALISED:
            shares = shares / total
        shares = shares + 0.0  # a negative zero would be written differently from zero
        shares.setflags(write=False)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "shares", shares)

    # Making one

    @classmethod
    def of(cls, shares: Mapping[str, float]) -> Self:
        """The mixture ``{name: share}``; the shares must sum to one."""
        try:
            values = np.array(list(shares.values()), dtype=np.float64)
        except (OverflowError, TypeError, ValueError) as error:
            raise MixtureError(f"shares must be numbers from 0 to 1: {error}") from error
        return cls(tuple(shares), values)

    @classmethod
    def normalised(cls, weights: Mapping[str, float]) -> Self:
        """The mixture with shares in proportion to ``{name: weight}``, of any positive sum."""
        names = checked_names(weights)
        values = np.array(list(weights.values()), dtype=np.float64)
        _check_weights(names, values, "weight")
        largest = float(values.max())
        if largest <= 0.0:
            raise MixtureError(f"all weights are zero ({_listed(names)}); at least one must be positive")
        values = values / largest  # so that no sum of finite weights overflows
        return cls(names, values / math.fsum(values))

    @classmethod
    def uniform(cls, names: Iterable[str]) -> Self:
        """Equal shares."""
        return cls.normalised(dict.fromkeys(checked_names(names), 1.0))

    @classmethod
    def vertex(cls, names: Iterable[str], name: str) -> Self:
        """All tokens from one source."""
        names = checked_names(names)
        _check_known(names, [name])
        return cls.of({other: float(other == name) for other in names})

    @classmethod
    def proportional(cls, tokens: Mapping[str, int]) -> Self:
        """Shares in proportion to the tokens each source has: one epoch of everything."""
        return cls.normalised(tokens)

    @classmethod
    def combine(cls, terms: Sequence[tuple[float, "Mixture"]]) -> Self:
        """The convex combination of ``(coefficient, mixture)`` terms, over the union of their sources.

        The shares of training on the parts of each term one after the other; also those of a weighted
        average of models.

        Raises:
            MixtureError: no terms, a negative coefficient, or coefficients that do not sum to one.
        """
        coefficients = np.array([coefficient for coefficient, _ in terms], dtype=np.float64)
        if not ((coefficients >= 0.0).all() and abs(math.fsum(coefficients) - 1.0) <= SUM_TOLERANCE):
            raise MixtureError(
                f"coefficients {coefficients.tolist()} must be at least one, none negative, and sum to 1"
            )
        names = tuple(dict.fromkeys(name for _, mixture in terms for name in mixture.names))
        parts = np.array([mixture.reindexed(names).shares for _, mixture in terms])
        return cls(names, coefficients / math.fsum(coefficients) @ parts)

    # Reading it

    def share(self, name: str) -> float:
        """The share of one source."""
        _check_known(self.names, [name])
        return float(self.shares[self.names.index(name)])

    def as_dict(self) -> dict[str, float]:
        """``{name: share}`` in the order of the names; ``Mixture.of`` gives the same mixture back."""
        return dict(zip(self.names, self.shares.tolist(), strict=True))

    @property
    def support(self) -> tuple[str, ...]:
        """The sources with a positive share, in order."""
        return tuple(name for name, share in self.as_dict().items() if share > 0.0)

    @property
    def effective_number(self) -> float:
        """1 / sum of squared shares (inverse Simpson index): S for equal shares, 1 for one source."""
        return 1.0 / math.fsum(np.square(self.shares))

    @property
    def entropy(self) -> float:
        """Shannon entropy in nats, from 0 to log S."""
        positive = self.shares[self.shares > 0.0]
        return max(0.0, -math.fsum(positive * np.log(positive)))

    @property
    def key(self) -> str:
        """16 hexadecimal digits; the same for any order of the names and any sources of share zero."""
        return digest(sorted([name, repr(share)] for name, share in self.as_dict().items() if share > 0.0))

    def total_variation(self, other: "Mixture") -> float:
        """Half the sum of absolute differences: the share of tokens that changes source, in [0, 1]."""
        names = tuple(dict.fromkeys(self.names + other.names))
        difference = self.reindexed(names).shares - other.reindexed(names).shares
        return 0.5 * math.fsum(np.abs(difference))

    def epochs(self, total_tokens: float, available: Mapping[str, int]) -> dict[str, float]:
        """How often each source is read when ``total_tokens`` are drawn.

        Args:
            total_tokens: tokens of the run.
            available: tokens of each source; sources of share zero may be absent or empty.

        Raises:
            MixtureError: a source with a positive share has no tokens, or the budget is negative.
        """
        if not (math.isfinite(total_tokens) and total_tokens >= 0):
            raise MixtureError(f"total_tokens is {total_tokens}; it must be finite and not negative")
        _check_known(tuple(available), self.support)
        result = dict.fromkeys(self.names, 0.0)
        for name in self.support:
            if not available[name] > 0:
                raise MixtureError(f"source {name!r} has share {self.share(name):.10g} but no tokens")
            result[name] = self.share(name) * total_tokens / available[name]
        return result

    # Changing it (each gives a new mixture)

    def restrict(self, names: Iterable[str]) -> Self:
        """Only these sources, in this order, renormalised."""
        names = checked_names(names)
        _check_known(self.names, names)
        shares = self.as_dict()
        return self.normalised({name: shares[name] for name in names})

    def without(self, name: str) -> Self:
        """All sources but one, renormalised."""
        _check_known(self.names, [name])
        return self.restrict(other for other in self.names if other != name)

    def reindexed(self, names: Iterable[str]) -> Self:
        """The same mixture over ``names``: reordered, extended by sources of share zero.

        Raises:
            MixtureError: a source with a positive share is not in ``names``.
        """
        names = checked_names(names)
        dropped = [name for name in self.support if name not in set(names)]
        if dropped:
            raise MixtureError(
                f"{_listed(dropped)} would be dropped with a positive share; use restrict to renormalise"
            )
        shares = self.as_dict()
        return type(self).of({name: shares.get(name, 0.0) for name in names})

    def scaled(self, name: str, factor: float) -> Self:
        """One share multiplied by ``factor``, then all renormalised (2 doubles its odds, 0 removes it)."""
        _check_known(self.names, [name])
        if not (math.isfinite(factor) and factor >= 0.0):
            raise MixtureError(f"factor is {factor}; it must be finite and not negative")
        return self.normalised(self.as_dict() | {name: self.share(name) * factor})

    def blend(self, other: "Mixture", t: float) -> Self:
        """(1 - t) of this mixture and t of the other, t in [0, 1], over the union of their sources."""
        if not 0.0 <= t <= 1.0:
            raise MixtureError(f"t is {t}; it must lie in [0, 1]")
        return self.combine([(1.0 - t, self), (t, other)])

    # As a value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mixture):
            return NotImplemented
        return self.names == other.names and np.array_equal(self.shares, other.shares)

    def __hash__(self) -> int:
        return hash((self.names, self.shares.tobytes()))

    def __repr__(self) -> str:
        return "Mixture({" + ", ".join(f"{n!r}: {share:.4g}" for n, share in self.as_dict().items()) + "})"

    def __reduce__(self) -> tuple[type[Self], tuple[tuple[str, ...], FloatArray]]:
        # Through the constructor: a plain pickle would give back writable shares.
        return type(self), (self.names, self.shares)


def checked_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names as a tuple, or a MixtureError when they are none, empty, repeated or not strings."""
    if isinstance(names, str):
        raise MixtureError(f"names must be a sequence of source names, not the one string {names!r}")
    result = tuple(names)
    if not result:
        raise MixtureError("a mixture needs at least one source")
    for position, name in enumerate(result):
        if not isinstance(name, str) or not name:
            raise MixtureError(f"source name {position + 1} is {name!r}; names are non-empty strings")
    if len(set(result)) < len(result):
        repeated = sorted(name for name, count in Counter(result).items() if count > 1)
        raise MixtureError(f"source names must be unique; repeated: {_listed(repeated)}")
    return result


def _check_known(known: Sequence[str], names: Iterable[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise MixtureError(f"unknown source {_listed(unknown)}; known are {_listed(known)}")


def _check_weights(names: Sequence[str], values: FloatArray, what: str) -> None:
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0.0)))
    if bad.size:
        first = int(bad[0])
        raise MixtureError(
            f"{what} of {names[first]!r} is {values[first]}; {what}s must be finite and not negative"
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
