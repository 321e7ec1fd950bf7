"""Extrapolation: intervals that widen with the distance in scale from the runs (floor 4).

A law that is asked for larger or longer trainings than it was fitted to is wrong in ways that no
cross-validation among those runs sees. So it is fitted to smaller and shorter ones and asked for the rest, as
it will be asked: all sizes but the largest, or the early part of all trainings. What it misses by there gives

    deviation^2 = m^2 (floor^2 + slope^2 x^2) s^2 + d^2,    x = |(log N / N_max, log D / D_max)|

with s the spread of a metric among the runs, d what the parameters leave open, N_max and D_max the largest of
the runs (x counts only what lies beyond them), floor and slope the most likely ones for all metrics together,
and m how much worse than others the metric is foretold. Quantiles are those of the misses.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.interface import FittedLaw, Law, LawData, Scale
from cuvee.types import BoolArray, FloatArray

EARLY = (0.5, 0.75)
"""Parts of the rows, by tokens, that stand for shorter trainings."""

_LEAST_ROWS = 20
_LEAST_ASKED = 5
_STEPS = np.geomspace(0.005, 0.5, 15)
_MEDIAN_OF_SQUARES = 0.455  # of a standard normal
_TRUST = 0.7  # in a metric's own factor, on the scale of logarithms


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
    factor: FloatArray
    """[E]."""
    scores: FloatArray
    """Sizes of the standardised misses, ascending."""

    @classmethod
    def of(cls, law: Law, data: LawData) -> "Extrapolation":
        """Fit a law to all runs, and to smaller and shorter ones to see how far it can be believed.

        Raises:
            ConfigError: the runs are of one scale, or too few of them are small enough to be learnt from.

        Cost: up to five fits.
        """
        spread = np.nanstd(data.costs, axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        misses, own, beyond = [], [], []
        for learnt, asked in _chains(data):
            part, rest = data.select(learnt), data.select(asked)
            fitted = law.fit(part)
            misses.append((rest.costs - fitted.predict(rest.shares, rest.scale)) / spread)
            own.append(fitted.deviation(rest.shares, rest.scale) / spread)
            beyond.append(_beyond(rest.scale, _largest(part), len(rest)))
        if not misses:
            raise ConfigError(
                f"{len(data)} rows of too few sizes and lengths to learn how far {law.name} can be believed "
                f"beyond them; {_LEAST_ROWS} rows at smaller sizes or fewer tokens are needed"
            )
        missed, left, away = (np.concatenate(parts) for parts in (misses, own, beyond))
        floor, slope = _likeliest(missed, left, away)
        size = np.sqrt(floor**2 + (slope * away[:, None]) ** 2 + left**2)
        ratio = missed / size
        factor = np.sqrt(np.nanmedian(ratio**2, axis=0) / _MEDIAN_OF_SQUARES) ** _TRUST
        scores = np.abs(ratio / factor)
        return cls(
            law.fit(data), _largest(data), spread, floor, slope, factor, np.sort(scores[np.isfinite(scores)])
        )

    def deviation(self, shares: FloatArray, scale: Scale) -> FloatArray:
        """Calibrated standard deviations [M, E] at a scale."""
        away = _beyond(scale, self.largest, len(shares))[:, None]
        law = (self.floor**2 + (self.slope * away) ** 2) * (self.factor * self.spread) ** 2
        result: FloatArray = np.sqrt(law + self.fitted.deviation(shares, scale) ** 2)
        return result

    def half_width(self, shares: FloatArray, scale: Scale, level: float) -> FloatArray:
        """Of the central interval of a run, [M, E]."""
        return float(np.quantile(self.scores, level, method="higher")) * self.deviation(shares, scale)


def _chains(data: LawData) -> list[tuple[BoolArray, BoolArray]]:
    """Rows to learn from, and larger or later rows to be asked for."""
    params, tokens = (
        np.broadcast_to(np.asarray(x), (len(data),)) for x in (data.scale.params, data.scale.tokens)
    )
    sizes = np.unique(params)
    found: list[tuple[BoolArray, BoolArray]] = []
    for below in (params < sizes[-1], np.ones(len(data), dtype=np.bool_)):
        if not below.any():
            continue
        for part in EARLY:
            learnt: BoolArray = below & (tokens <= np.quantile(tokens[below], part))
            asked: BoolArray = ~learnt
            enough = learnt.sum() >= _LEAST_ROWS and asked.sum() >= _LEAST_ASKED
            if enough and not any(np.array_equal(learnt, known) for known, _ in found):
                found.append((learnt, asked))
    return found


def _largest(data: LawData) -> tuple[float, float]:
    return float(np.max(data.scale.params)), float(np.max(data.scale.tokens))


def _beyond(scale: Scale, largest: tuple[float, float], count: int) -> FloatArray:
    """Distance [M] in logarithms from the largest runs; zero among them."""
    away = [
        np.maximum(0.0, np.log(np.broadcast_to(np.asarray(size, dtype=np.float64), (count,)) / most))
        for size, most in zip((scale.params, scale.tokens), largest, strict=True)
    ]
    result: FloatArray = np.hypot(*away)
    return result


def _likeliest(missed: FloatArray, own: FloatArray, away: FloatArray) -> tuple[float, float]:
    """Floor and slope under which the misses [M, E] are most likely, if they are normal."""
    best = (np.inf, 0.0, 0.0)
    for floor in _STEPS:
        for slope in (0.0, *_STEPS):
            variance = floor**2 + (slope * away[:, None]) ** 2 + own**2
            cost = float(np.nansum(np.log(variance) + missed**2 / variance))
            best = min(best, (cost, float(floor), float(slope)))
    return best[1], best[2]
