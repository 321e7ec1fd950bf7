"""Belief: what a fitted law and its resamples say of the target at any mixture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.decisions.ablation.result import TiedMixture
from cuvee.decisions.fit.result import Sensitivity
from cuvee.decisions.interval import Interval
from cuvee.decisions.shares import SourceShare
from cuvee.flows.fit.labels import labels
from cuvee.laws.at_scale import AtScale
from cuvee.laws.hierarchical import HierarchicalFit
from cuvee.laws.interface import LawData
from cuvee.laws.resampling import Resamples, seldom
from cuvee.laws.spread import Spread
from cuvee.laws.validation import FEW_RUNS, Validated
from cuvee.mixture.distance import total_variation
from cuvee.mixture.region import Region
from cuvee.question.question import Question
from cuvee.types import FloatArray

_TIED_SHOWN = 6
_APART = 0.02  # total variation below which two mixtures are one for the reader
_POINT = 0.01
BELIEVABLE = 0.95
"""Part of the drawn laws beyond which they count as if they lay no farther: some lie absurdly far."""


@dataclass(frozen=True, eq=False)
class Belief:
    """Laws that the runs leave possible, the mixture chosen, and the mixtures each law would choose.

    The target is the weighted sum of the costs, lower is better.
    """

    data: LawData
    weights: FloatArray
    """Of the costs in the target [E]."""
    validated: Validated
    spread: Spread
    """Of the target."""
    resamples: Resamples
    pick: FloatArray
    """Chosen shares [S]."""
    optima: FloatArray
    """[K, S], one for each resampled law."""
    level: float
    """Of intervals."""

    def target(self, shares: FloatArray) -> FloatArray:
        """[M] as fitted."""
        result: FloatArray = self.validated.fitted.costs(shares) @ self.weights
        return result

    def resampled(self, shares: FloatArray) -> FloatArray:
        """[K, M]."""
        result: FloatArray = self.resamples.costs(shares) @ self.weights
        return result

    def interval(self, shares: FloatArray) -> Interval:
        """In which the target of one run on a mixture [S] is expected."""
        mean = float(self.target(shares[None])[0])
        own = np.sqrt((self.validated.fitted.uncertainty(shares[None]) ** 2) @ self.weights**2)
        away = np.abs(self.resampled(shares[None])[:, 0] - mean)
        drawn = float(np.sqrt(np.square(np.minimum(away, np.quantile(away, BELIEVABLE))).mean()))
        # What the law believes of itself is too little where other laws are as good, or its scale unsure.
        deviation = np.hypot(self.spread.floor[0], max(float(self.spread.factor[0] * own[0]), drawn))
        half = self.spread.quantile(self.level) * float(deviation)
        return Interval(mean, mean - half, mean + half)

    def between(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Ends of the central interval over the first axis."""
        tail = (1.0 - self.level) / 2.0
        low, high = np.quantile(values, [tail, 1.0 - tail], axis=0)
        return low, high

    def shares(self, region: Region, question: Question) -> tuple[SourceShare, ...]:
        """The chosen mixture with the intervals in which resamples put each share.

        Of a source that hardly any run has, laws without a posterior know nothing: all that is allowed.
        """
        low, high = self.between(self.optima)
        upper = region.upper
        fitted = self.validated.fitted
        if not isinstance(fitted.fitted if isinstance(fitted, AtScale) else fitted, HierarchicalFit):
            unknown = seldom(self.data.shares)
            low[unknown], high[unknown] = region.lower[unknown], upper[unknown]
        low, high = np.minimum(low, self.pick), np.maximum(high, self.pick)
        return tuple(
            SourceShare.of(
                name,
                float(self.pick[index]),
                (float(low[index]), float(high[index])),
                unique_tokens=question.tokens.get(name, 0),
                target_tokens=question.target_tokens,
                epoch_cap=question.max_epochs,
                largest=upper[index],
            )
            for index, name in enumerate(self.data.sources)
        )

    def sensitivities(self) -> tuple[Sensitivity, ...]:
        """What one point more of each source does, and what leaving it out does."""
        room = np.maximum(1.0 - self.pick, _POINT)[:, None]
        towards = np.eye(len(self.pick)) - self.pick
        more = self._changes(self.pick + _POINT / room * towards)
        left_out = np.maximum(self.pick - self.pick[:, None] / room * towards, 0.0)
        possible = (self.pick < 1.0 - _POINT)[:, None]
        without = self._changes(np.where(possible, left_out, self.pick))
        return tuple(
            Sensitivity(name, more[i], without[i] if possible[i, 0] else Interval())
            for i, name in enumerate(self.data.sources)
        )

    def _changes(self, shares: FloatArray) -> list[Interval]:
        """Of the target, from the pick to mixtures [M, S]."""
        fitted, low, high = self._from_pick(shares)
        return [Interval(*(float(part[i]) for part in (fitted, low, high))) for i in range(len(shares))]

    def _from_pick(self, shares: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The target of mixtures [M, S] minus that of the pick [M], and the ends of its interval."""
        fitted = self.target(shares) - self.target(self.pick[None])
        low, high = self.between(self.resampled(shares) - self.resampled(self.pick[None]))
        missed = self.spread.quantile(self.level) * self._missed(shares)
        below, above = np.abs(fitted - low), np.abs(high - fitted)
        return fitted, low - (np.hypot(below, missed) - below), high + (np.hypot(above, missed) - above)

    def _missed(self, shares: FloatArray) -> FloatArray:
        """What every law here may miss of the difference of mixtures [M, S] to the pick: a linear variogram,
        full where they lie as far apart as runs do.

        Few runs do not tell a law's error from the noise of runs, so both count; many runs are predicted to
        their noise, which is no error of a difference.
        """
        if len(self.data) >= FEW_RUNS:
            return np.zeros(len(shares))
        apart = np.array([np.sort(total_variation(self.data.shares, one))[1] for one in self.data.shares])
        part = np.minimum(total_variation(shares, self.pick) / max(float(np.median(apart)), 1e-9), 1.0)
        result: FloatArray = self.spread.floor[0] * np.sqrt(2.0 * part)
        return result

    def tied(self, names: Sequence[str], baselines: FloatArray) -> tuple[TiedMixture, ...]:
        """Mixtures tied with the pick: baselines [M, S], then the most different optima."""
        shares = np.vstack([baselines, self.optima])
        fitted, low, high = self._from_pick(shares)
        undecided = np.flatnonzero(low <= 0.0).tolist()
        kept = [i for i in undecided if i < len(baselines)]
        rest = [i for i in undecided if i >= len(baselines)]
        chosen = [self.pick, *(shares[i] for i in kept)]
        while rest and len(kept) < _TIED_SHOWN:
            apart = [float(total_variation(shares[i], np.stack(chosen)).min()) for i in rest]
            if max(apart) < _APART:
                break
            index = rest.pop(int(np.argmax(apart)))
            kept.append(index)
            chosen.append(shares[index])
        of_rivals = [name for i, name in enumerate(names) if i in kept]
        called = (*of_rivals, *labels(self.data.sources, shares[kept[len(of_rivals) :]]))
        return tuple(
            TiedMixture(name, tuple(shares[i].tolist()), float(fitted[i]), float(low[i]), float(high[i]))
            for name, i in zip(called, kept, strict=True)
        )
