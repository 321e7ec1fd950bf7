"""Extrapolation: intervals that widen with the distance in scale from the runs.

A law that is asked for larger or longer trainings than it was fitted to is wrong in ways that no
cross-validation among those runs sees. So it is fitted to smaller and shorter ones and asked for the rest, as
it will be asked: all sizes but the largest, or the early part of all trainings. Each such pair is a chain; a
ladder of two rungs gives one, from the lower rung to the upper. What the law misses there by gives

    deviation^2 = m^2 ((floor^2 + slope^2 x^2) s^2 + trust^2 d^2),    x = |(log N / N_max, log D / D_max)|

with s the spread of a metric among the runs, d what the parameters leave open, N_max and D_max the largest of
the runs (x counts only what lies beyond them). From one rung alone a law predicts far worse than from all of
them, and d shows it: ``trust`` carries over to the fit to all runs where the misses themselves would not.

A chain moves along every axis that all runs span, also where its own first rung does not. Along an axis that
no run has moved along the law is held (``laws/axes.py``), and what it holds back is part of d.

All misses of a metric in one chain share one mistake, so they count as two and not as their number. Floor,
slope and trust are the likeliest ones for all metrics together under a prior; m, how much worse than others a
metric is predicted, is drawn towards one. Quantiles are Student's, with one degree of freedom for each chain
beside those of the prior, so that a single chain makes wide intervals; the more chains and metrics there are,
the more they are those of the misses themselves, which have a sharper peak and longer tails.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.stats import t as student

from cuvee.errors import ConfigError
from cuvee.laws.asked import checked
from cuvee.laws.axes import held_like
from cuvee.laws.interface import Asked, FittedLaw, Law, LawData, Scale
from cuvee.types import BoolArray, FloatArray

EARLY = (0.5, 0.75)
"""Parts of the rows, by tokens, that stand for shorter trainings."""

_LEAST_ROWS = 5  # to learn from, and to be asked for
_MISSES_OF_A_CHAIN = 2.0
_STEPS = np.geomspace(0.005, 0.5, 10)
_TRUSTS = np.geomspace(0.5, 4.0, 7)
_PRIOR = ((0.02, 1.0), (0.07, 1.0), (1.2, 0.5))  # of floor, slope and trust: middle, deviation of logarithm
_NO_SLOPE = 0.003  # what a slope of zero is to its prior
_FREEDOM = 6.0  # of the prior on a metric's own factor
_DOUBT = 12.0  # metrics of chains until the misses' own quantiles count half
_MEDIAN_OF_SQUARES = 0.455  # of a standard normal


@dataclass(frozen=True, eq=False)
class _Chain:
    """Runs that a law was not fitted to, beyond those it was; in units of the metrics' spreads."""

    missed: FloatArray
    """[R, E], NaN where not measured."""
    own: FloatArray
    """What the parameters left open [R, E]."""
    beyond: FloatArray
    """x, [R, 1]."""

    def variance(self, floor: float, slope: float, trust: float) -> FloatArray:
        result: FloatArray = floor**2 + (slope * self.beyond) ** 2 + (trust * self.own) ** 2
        return result


@dataclass(frozen=True, eq=False)
class Extrapolation:
    """What a law is off by, beyond the scale of its runs. Made by ``of``."""

    fitted: FittedLaw
    """To all runs."""
    largest: tuple[float, float]
    """Parameters and tokens of the largest runs."""
    spread: FloatArray
    """Standard deviation [E] of each metric among the runs."""
    floor: float
    slope: float
    trust: float
    factor: FloatArray
    """m, [E]."""
    freedom: FloatArray
    """Degrees of freedom [E] of Student's quantiles."""
    scores: FloatArray
    """Sizes of the standardised misses, ascending."""
    believed: float
    """Weight of their quantiles against Student's."""

    @classmethod
    def of(cls, law: Law, data: LawData) -> "Extrapolation":
        """Fit a law to all runs, and to smaller and shorter ones to see how far it can be believed.

        Raises:
            ConfigError: the runs are of one scale, or too few of them are small enough to be learnt from.

        Cost: up to five fits, and a second for a thousand rows of twenty metrics.
        """
        spread = np.nanstd(data.costs, axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        fitted = law.fit(data)
        chains = [
            _asked(held_like(law.fit(data.select(few)), fitted), data.select(few), data.select(rest), spread)
            for few, rest in _parts(data)
        ]
        if not chains:
            raise ConfigError(
                f"{len(data)} rows of too few sizes and lengths to learn how far {law.name} can be believed "
                f"beyond them; {_LEAST_ROWS} rows at smaller sizes or fewer tokens are needed, and as many "
                "beyond those"
            )
        floor, slope, trust = _likeliest(chains)
        squares, looks = np.zeros(len(spread)), np.zeros(len(spread))
        for chain in chains:
            ratio = chain.missed**2 / chain.variance(floor, slope, trust)
            seen = np.isfinite(ratio).any(axis=0)
            squares[seen] += np.nanmedian(ratio[:, seen], axis=0) / _MEDIAN_OF_SQUARES
            looks += seen
        factor = np.sqrt((_FREEDOM + squares) / (_FREEDOM + looks))
        scores = np.concatenate(
            [(np.abs(c.missed) / np.sqrt(c.variance(floor, slope, trust)) / factor).ravel() for c in chains]
        )
        return cls(
            fitted,
            _largest(data),
            spread,
            floor,
            slope,
            trust,
            factor,
            _FREEDOM + looks,
            np.sort(scores[np.isfinite(scores)]),
            float(looks.sum() / (looks.sum() + _DOUBT)),
        )

    def deviation(self, mixtures: Asked, scale: Scale) -> FloatArray:
        """Calibrated standard deviations [M, E] at a scale; refuses what ``FittedLaw.predict`` does."""
        shares, scale = checked(mixtures, scale, self.fitted.sources)
        own = self.fitted.uncertainty(shares, scale) / self.spread
        away = _beyond(scale, self.largest, len(shares))
        variance = _Chain(own, own, away).variance(self.floor, self.slope, self.trust)
        result: FloatArray = self.factor * self.spread * np.sqrt(variance)
        return result

    def half_width(self, mixtures: Asked, scale: Scale, level: float) -> FloatArray:
        """Of the central interval of a run, [M, E]; see ``deviation``."""
        drawn = float(np.quantile(self.scores, level, method="higher"))
        times = (1.0 - self.believed) * student.ppf(0.5 + level / 2.0, self.freedom) + self.believed * drawn
        result: FloatArray = times * self.deviation(mixtures, scale)
        return result


def _parts(data: LawData) -> list[tuple[BoolArray, BoolArray]]:
    """Rows to learn from, and larger or later rows to be asked for."""
    params, tokens = (
        np.broadcast_to(np.asarray(x), (len(data),)) for x in (data.scale.params, data.scale.tokens)
    )
    shorter = tokens[tokens < tokens.max()]
    found: list[tuple[BoolArray, BoolArray]] = []
    for below in (params < params.max(), np.ones(len(data), dtype=np.bool_)):
        # Of all sizes the longest trainings are asked for, also where most rows are of those.
        most = np.inf if not below.all() else shorter.max(initial=-np.inf)
        for part in EARLY if below.any() else ():
            learnt: BoolArray = below & (tokens <= min(np.quantile(tokens[below], part), most))
            asked: BoolArray = ~learnt
            enough = min(learnt.sum(), asked.sum()) >= _LEAST_ROWS
            if enough and not any(np.array_equal(learnt, known) for known, _ in found):
                found.append((learnt, asked))
    return found


def _asked(fitted: FittedLaw, learnt: LawData, asked: LawData, spread: FloatArray) -> _Chain:
    return _Chain(
        (asked.costs - fitted.costs(asked.shares, asked.scale)) / spread,
        fitted.uncertainty(asked.shares, asked.scale) / spread,
        _beyond(asked.scale, _largest(learnt), len(asked)),
    )


def _largest(data: LawData) -> tuple[float, float]:
    return float(np.max(data.scale.params)), float(np.max(data.scale.tokens))


def _beyond(scale: Scale, largest: tuple[float, float], count: int) -> FloatArray:
    """Distance [M, 1] in logarithms from the largest runs; zero among them."""
    away = [
        np.maximum(0.0, np.log(np.broadcast_to(np.asarray(size, dtype=np.float64), (count,)) / most))
        for size, most in zip((scale.params, scale.tokens), largest, strict=True)
    ]
    result: FloatArray = np.hypot(*away)[:, None]
    return result


def _likeliest(chains: list[_Chain]) -> tuple[float, float, float]:
    """Floor, slope and trust under which the misses are most likely, if they are normal."""
    best = (np.inf, 0.0, 0.0, 0.0)
    for found in product(_STEPS.tolist(), (0.0, *_STEPS.tolist()), _TRUSTS.tolist()):
        cost = sum(
            (np.log(max(value, _NO_SLOPE) / middle) / deviation) ** 2
            for value, (middle, deviation) in zip(found, _PRIOR, strict=True)
        )
        for chain in chains:
            variance = chain.variance(*found)
            surprise = np.log(variance) + chain.missed**2 / variance
            known = np.isfinite(chain.missed)
            mean = np.where(known, surprise, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
            cost += _MISSES_OF_A_CHAIN * float(mean.sum())
        best = min(best, (float(cost), *found))
    return best[1], best[2], best[3]
