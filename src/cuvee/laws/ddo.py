"""DDO and AutoScale: optimal amounts of every source, and how they grow with scale.

    L(n) = sum_i (n_i + a_i)^-b_i + c_i                                   direct data optimisation
    n_i(s) = n_i(0) (n_i(1) / n_i(0))^s                                   AutoScale

(Kang et al. 2025, https://arxiv.org/abs/2407.20177; their notebooks.) n_i is the amount of source i over its
amount in a base run; the law of a source is fitted to the base run and runs in which only its amount
was changed. Three runs are met exactly by three parameters, as published (``PowerLaw.fit``); where the
noise of a run is known, ``PowerLaw.likeliest`` weighs it against what power laws of data are like, and always
falls. Optimal amounts at two scales lie on a geometric progression for every source, because marginal
gains b_i (n_i + a_i)^(-b_i - 1) stay equal; so two optima give the optimum at any scale.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.polynomial import Polynomial
from scipy.optimize import OptimizeWarning, brentq, curve_fit

from cuvee.errors import ConfigError
from cuvee.laws.least_squares import ParameterPrior, Target, solve
from cuvee.quantities import quantity
from cuvee.types import FloatArray

Method = Literal["published", "likeliest"]

EXPECTED = (0.0, math.log(0.1), 0.0)
"""(log a, log b, c) of a source about which nothing is known: tripling it lowers the loss by some 7 %."""

_PRIOR_DEVIATION = (1.0, 1.5, 1.0)
_REACH = 8.0  # of the prior's deviations
_STEPS = 300
_POINTS = 3
_MET = 1e-6  # of a loss in units of that of the base run, far below what it was measured to


@dataclass(frozen=True, eq=False)
class PowerLaw:
    """(n + a)^-b + c of one source."""

    a: float
    b: float
    c: float
    covariance: FloatArray
    """[3, 3] of (a, b, c); infinite where three runs are met exactly, which says nothing of their noise."""

    def __call__(self, amount: FloatArray) -> FloatArray:
        """The loss over that of the base run, at amounts [M] over those of the base run."""
        result: FloatArray = (np.asarray(amount) + self.a) ** -self.b + self.c
        return result

    def falls_from(self, amount: float) -> bool:
        """More of the source than this lowers the loss."""
        return self.b > 0.0 and amount + self.a > 0.0

    @classmethod
    def likeliest(cls, amounts: Sequence[float], losses: Sequence[float], noise: float) -> "PowerLaw":
        """The most likely law under normal noise and a wide prior (Laplace's approximation for its errors).

        Args:
            amounts: of the source in each run, over that in the base run.
            losses: of each run, over that of the base run; two at least.
            noise: standard deviation of a loss, as a part of it.

        Raises:
            ConfigError: fewer than two different amounts, a loss that is no number, or no noise.
        """
        return likeliest_laws(amounts, np.array([losses], dtype=np.float64), noise, np.array([EXPECTED]))[0]

    @classmethod
    def fit(cls, amounts: Sequence[float], losses: Sequence[float]) -> "PowerLaw":
        """Least squares as published (Levenberg-Marquardt from ones); three runs are met exactly.

        Args:
            amounts: of the source in each run, over that in the base run; the base run is 1.
            losses: of each run, over that of the base run.

        Raises:
            ConfigError: fewer than three different amounts, a loss that is no number, or no fit.
        """
        if not np.isfinite([*amounts, *losses]).all():
            raise ConfigError(f"a power law needs finite losses, found {list(losses)} at {list(amounts)}")
        if len(set(amounts)) < _POINTS or len(amounts) != len(losses):
            raise ConfigError(f"a power law needs {_POINTS} different amounts, found {sorted(set(amounts))}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)  # no covariance from three runs: infinite
            try:
                found, covariance = curve_fit(
                    lambda n, a, b, c: np.power(np.maximum(n + a, 1e-12), -b) + c,
                    np.asarray(amounts, dtype=np.float64),
                    np.asarray(losses, dtype=np.float64),
                    maxfev=20_000,
                )
            except RuntimeError as error:
                raise ConfigError(f"no power law fits the losses {list(losses)}: {error}") from error
        a, b, c = (float(x) for x in found)
        law = cls(a, b, c, np.asarray(covariance, dtype=np.float64))
        missed = float(np.abs(law(np.asarray(amounts)) - losses).max())
        if len(amounts) == _POINTS and missed > _MET:
            raise ConfigError(
                f"no falling power law passes through the losses {list(losses)} at the amounts "
                f"{list(amounts)}; do they fall, and ever more slowly?"
            )
        return law


def likeliest_laws(
    amounts: Sequence[float], losses: FloatArray, noise: float, expected: FloatArray
) -> list[PowerLaw]:
    """``PowerLaw.likeliest`` for many sets of losses [B, R], each with its own prior means [B, 3].

    Cost: some ten milliseconds for hundreds.
    """
    if not np.isfinite(losses).all() or len(set(amounts)) < 2 or not noise > 0.0:
        raise ConfigError(
            f"a power law needs finite losses at two amounts and some noise, found {losses.tolist()} at "
            f"{list(amounts)} with noise {noise}"
        )
    n = np.asarray(amounts, dtype=np.float64)

    def value(theta: FloatArray) -> FloatArray:
        a, b = np.exp(theta[:, :1]), np.exp(theta[:, 1:2])
        result: FloatArray = (n + a) ** -b + theta[:, 2:]
        return result

    def value_and_jacobian(theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        a, b = np.exp(theta[:, :1]), np.exp(theta[:, 1:2])
        power = (n + a) ** -b
        columns = (-b * power / (n + a) * a, -b * np.log(n + a) * power, np.ones_like(power))
        return power + theta[:, 2:], np.stack(columns, axis=2)

    width = np.array(_PRIOR_DEVIATION)
    found = solve(
        value,
        value_and_jacobian,
        np.tile(EXPECTED, (len(losses), 1)),
        Target(losses, np.ones_like(losses), np.full(len(losses), noise**2)),
        ParameterPrior(expected, np.tile(width**-2.0, (len(losses), 1))),
        steps=_STEPS,
        tolerance=1e-12,
        lower=np.array(EXPECTED) - _REACH * width,
        upper=np.array(EXPECTED) + _REACH * width,
    )
    theta = found.parameters
    natural = np.stack([np.exp(theta[:, 0]), np.exp(theta[:, 1]), np.ones(len(theta))], axis=1)
    covariance = np.linalg.inv(found.curvature) * natural[:, :, None] * natural[:, None, :]
    return [
        PowerLaw(float(a), float(b), float(c), spread)
        for a, b, c, spread in zip(natural[:, 0], natural[:, 1], theta[:, 2], covariance, strict=True)
    ]


def power_laws(
    method: Method,
    amounts: Sequence[float],
    losses: FloatArray,
    noise: float,
    rng: np.random.Generator | None = None,
) -> list[PowerLaw | None]:
    """The power law of every set of losses [B, R]; None where none passes through it.

    Args:
        method: see ``PowerLaw.fit`` and ``PowerLaw.likeliest``.
        amounts: of the source in each run [R].
        losses: over that of the base run.
        noise: of a loss.
        rng: where it is given, what is expected of the likeliest laws is drawn, too.
    """
    if method == "published":
        return [_published(amounts, row) for row in losses.tolist()]
    expected = np.tile(np.array(EXPECTED), (len(losses), 1))
    if rng is not None:
        expected += np.array(_PRIOR_DEVIATION) * rng.normal(size=expected.shape)
    return list(likeliest_laws(amounts, losses, noise, expected))


def _published(amounts: Sequence[float], losses: Sequence[float]) -> PowerLaw | None:
    try:
        return PowerLaw.fit(amounts, losses)
    except ConfigError:
        return None


def optimal_amounts(laws: Mapping[str, PowerLaw], total: float, floor: float = 0.0) -> dict[str, float]:
    """Amounts of all sources with the lowest sum of losses.

    Exact: n_i = max(floor, (b_i / v)^(1 / (b_i + 1)) - a_i) with v such that they sum to the total. (The
    paper goes there by projected gradients.)

    Args:
        laws: of every source, in units of its base run.
        total: of all amounts.
        floor: of each.

    Raises:
        ConfigError: no source, no total, floors that exceed it, or a law that does not fall.
    """
    a = np.array([law.a for law in laws.values()])
    b = np.array([law.b for law in laws.values()])
    if not (laws and 0.0 < total < math.inf):
        raise ConfigError(f"{len(laws)} sources and a total of {total}: give both")
    if floor * len(laws) > total * (1 + 1e-12):
        raise ConfigError(f"{len(laws)} sources of at least {floor} exceed the total of {total}")
    if risen := [name for name, law in laws.items() if not law.falls_from(floor)]:
        raise ConfigError(f"the law of {risen[0]!r} does not fall with its amount; make its runs again")

    if floor * len(laws) >= total * (1 - 1e-12):
        return dict.fromkeys(laws, floor)

    def amounts(log_v: float) -> FloatArray:
        result: FloatArray = np.maximum(floor, np.exp((np.log(b) - log_v) / (b + 1.0)) - a)
        return result

    log_v = brentq(lambda x: float(amounts(x).sum()) - total, -200.0, 200.0, xtol=1e-14, rtol=1e-14)
    return dict(zip(laws, amounts(float(log_v)).tolist(), strict=True))


@dataclass(frozen=True)
class AutoScale:
    """Optimal amounts in tokens at two scales, and the progression through them.

    Raises:
        ConfigError: the sources differ, or an amount is not positive.
    """

    small: Mapping[str, float]
    large: Mapping[str, float]

    def __post_init__(self) -> None:
        if set(self.small) != set(self.large):
            raise ConfigError(f"AutoScale: the sources differ: {sorted(set(self.small) ^ set(self.large))}")
        for name in self.small:
            if not (self.small[name] > 0 and self.large[name] > 0):
                raise ConfigError(f"AutoScale: the amounts of {name!r} must be positive")

    @classmethod
    def through(cls, optima: Sequence[Mapping[str, float]]) -> "AutoScale":
        """The progression nearest (least squares of logarithms) to optima at two scales or more.

        Args:
            optima: amounts by source, each scale by one and the same factor above the last.

        Raises:
            ConfigError: fewer than two, or sources that differ.
        """
        if len(optima) < 2 or any(set(one) != set(optima[0]) for one in optima):
            raise ConfigError(
                f"AutoScale needs optima of the same sources at two scales, found {len(optima)}"
            )
        if len(optima) == 2:
            return cls(*optima)
        place = np.linspace(0.0, 1.0, len(optima))
        lines = {name: Polynomial.fit(place, np.log([one[name] for one in optima]), 1) for name in optima[0]}
        few, many = ({name: float(np.exp(line(end))) for name, line in lines.items()} for end in (0.0, 1.0))
        return cls(few, many)

    def at(self, step: float) -> dict[str, float]:
        """Tokens of every source; 0 is the small scale, 1 the large, 2 as far beyond again."""
        return {name: few * (self.large[name] / few) ** step for name, few in self.small.items()}

    def for_tokens(self, total: float) -> dict[str, float]:
        """Tokens of every source for a run of so many.

        Raises:
            ConfigError: no step of the progression within reach gives them.
        """
        if not 0.0 < total < math.inf:
            raise ConfigError(f"AutoScale: {total} tokens; give a positive number")
        ends = (sum(self.small.values()), sum(self.large.values()))
        if not ends[1] > ends[0]:
            raise ConfigError(f"AutoScale: the large scale ({ends[1]:.4g}) is not larger than the small")
        guess = math.log(total / ends[0]) / math.log(ends[1] / ends[0])
        low, high = min(guess, 0.0) - 2.0, max(guess, 1.0) + 2.0

        def excess(step: float) -> float:
            return math.log(sum(self.at(step).values()) / total)

        if excess(low) > 0 or excess(high) < 0:
            raise ConfigError(f"AutoScale: {quantity(total)} tokens are out of reach of the progression")
        return self.at(float(brentq(excess, low, high, xtol=1e-13)))
