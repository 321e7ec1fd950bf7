"""Predicted losses of mixtures, how sure they are, and which mixture to take.

Three errors are added up: what the calibration would be on other references and all losses on other documents
(``halves``), and what the calibrated proxy still misses of each mixture (its left-out error, less the noise
of single trainings).

The pick is the mean of the mixtures that halves of the evidence would pick. The mixture that looks best on
all of it looks better than it is, and lies where errors happen to point; the mean follows no single error
(bagging; Breiman 1996, Machine Learning 24). By how much a choice still flatters itself is measured by
choosing on one half and judging on the other.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import stdtrit

from cuvee.decisions.ablation.result import Loss
from cuvee.flows.ablation.findings import Findings
from cuvee.flows.ablation.halves import PAIRS, Halves
from cuvee.honesty.calibration import CalibratedLosses, FittedCalibrator
from cuvee.honesty.evidence import Evidence
from cuvee.honesty.proxy_choice import ProxyChoice, refit
from cuvee.honesty.scopes import replicate_noise
from cuvee.mixture.mixture import Mixture
from cuvee.search.product_process import expected_fall
from cuvee.study.scored import Scored
from cuvee.types import FloatArray

CONFIDENCE = 0.95
UNCHECKED = "ensemble"
"""The proxy that is reported, without being believed, where too few references were trained."""


@dataclass(frozen=True, eq=False)
class Judge:
    """Predicted losses of all scored mixtures, with their uncertainty."""

    findings: Findings
    evidence: Evidence | None
    """What the references say on all documents."""
    choice: ProxyChoice | None
    weights: dict[str, float]
    seed: int
    further: Scored | None = None
    averaged: bool = True
    """Whether a mean of mixtures is a mixture that can be picked."""
    pairs: int = PAIRS
    known: tuple[FittedCalibrator, ...] | None = None
    """What was learnt from the halves already."""

    def with_more(self, further: Scored) -> "Judge":
        """The same with more mixtures behind those of the findings."""
        return replace(self, further=further, known=self.learnt)

    @cached_property
    def scored(self) -> Scored:
        first = self.findings.scored
        return first if self.further is None else first.with_more(self.further)

    @property
    def target(self) -> FloatArray:
        """Weight of each evaluation [E]."""
        return np.array(list(self.weights.values()))

    @cached_property
    def _prediction(self) -> CalibratedLosses:
        """From all evidence [M, E]; the proxy as it is, its spread NaN, without references."""
        if self.choice is None:
            losses = self.scored.losses(UNCHECKED)
            return CalibratedLosses(losses, np.full(losses.shape, np.nan))
        return self.choice.fitted.predict(self.scored.shares, self.scored.proxies())

    @property
    def mean(self) -> FloatArray:
        """Predicted nats per token [M, E]."""
        return self._prediction.mean

    @property
    def spread(self) -> FloatArray:
        """Standard deviation of one training about ``mean`` [M, E]; NaN without references."""
        return self._prediction.spread

    @property
    def of_references(self) -> FloatArray:
        """``mean`` of the references [R, E]; none where nothing was calibrated."""
        references = self.findings.references
        if self.choice is None or references is None:
            return np.empty((0, len(self.target)))
        scored = references.scored
        return self.choice.fitted.predict(scored.shares, scored.proxies()).mean

    @cached_property
    def drawn(self) -> Halves:
        """The halves of references and documents."""
        count = self.evidence.references if self.evidence is not None else 0
        return Halves.draw(count, self.scored.documents, self.pairs, self.seed)

    @cached_property
    def learnt(self) -> tuple[FittedCalibrator, ...]:
        """The calibrator of each half [B]; none where too few references were trained."""
        references = self.findings.references
        if self.choice is None or references is None:
            return ()
        if self.known is not None:
            return self.known
        return tuple(
            refit(self.choice.name, references.evidence(counts), rows)
            for rows, counts in zip(self.drawn.references, self.drawn.documents, strict=True)
        )

    @cached_property
    def halves(self) -> FloatArray:
        """Predictions [B, M, E] learnt from, and measured on, halves of references and documents."""
        if not self.learnt:
            return np.stack([self.scored.losses(UNCHECKED, counts) for counts in self.drawn.documents])
        shares = self.scored.shares
        return np.stack(
            [
                fitted.predict(shares, self.scored.proxies(counts)).mean
                for fitted, counts in zip(self.learnt, self.drawn.documents, strict=True)
            ]
        )

    @cached_property
    def others(self) -> FloatArray:
        """[B, M, E] what other references and documents would have said: as far from ``mean`` as ``mean``
        from the truth.

        About ``mean``, not about their own: where halves agree on something else than the whole says, a
        calibration hangs on how many references it has, and neither is known to be right.
        """
        return np.asarray(self.mean + self.drawn.overlap * (self.halves - self.mean))

    @cached_property
    def missed(self) -> FloatArray:
        """What the calibrated proxy misses of a mixture's expected loss [E + 1], the target last.

        The squared left-out error less the variance of a training, or what may be left of that: both are
        known from a few numbers, so the mean of a normal's positive part stands for their difference.
        """
        if self.choice is None or self.evidence is None:
            return np.full(len(self.target) + 1, np.nan)
        rows = [*np.eye(len(self.target)), self.target]
        noises = [replicate_noise(self.evidence, row) for row in rows]
        noise = np.nan_to_num(np.square([one.deviation for one in noises]))
        squares = np.square(self.choice.error)
        # The variance of a sample variance with k degrees of freedom is 2 / k of its square.
        unsure = 2 * (squares**2 / self.evidence.references + noise**2 / max(noises[0].freedom, 1))
        return np.sqrt(expected_fall(squares - noise, np.sqrt(unsure)))

    def difference(self, row: int, base: int) -> tuple[FloatArray, FloatArray]:
        """Predicted loss of one mixture minus another's, and its standard error [E + 1], target last."""
        value = self._with_target(self.mean[row] - self.mean[base])
        samples = self._with_target(self.others[:, row] - self.others[:, base])
        missed = 2 * np.square(self.missed) * self._apart(row, base)
        return value, np.sqrt(np.square(samples - value).mean(axis=0) + missed)

    def _with_target(self, losses: FloatArray) -> FloatArray:
        """[..., E + 1] losses by evaluation with that of the target behind."""
        return np.concatenate([losses, (losses @ self.target)[..., None]], axis=-1)

    def _apart(self, row: int, base: int) -> float:
        """How much of what the proxy misses two mixtures do not share: a linear variogram.

        All of it where they lie as far apart as references do, less or more in proportion elsewhere.
        """
        shares = self.scored.shares
        return float(np.abs(shares[row] - shares[base]).sum()) / self._typical_distance

    @cached_property
    def _typical_distance(self) -> float:
        """Mean distance of two references, as a sum of absolute differences of shares."""
        shares = self.evidence.shares if self.evidence is not None else self.scored.shares
        count = len(shares)
        total = float(np.abs(shares[:, None] - shares[None]).sum())
        return total / (count * (count - 1)) if total > 0 else 1.0

    @cached_property
    def allowed(self) -> list[int]:
        """Rows that the decision may be."""
        return [row for row, allowed in enumerate(self.findings.candidates) if allowed]

    @cached_property
    def order(self) -> list[int]:
        """Rows that the decision may be, lowest predicted target first."""
        losses = (self.mean @ self.target)[self.allowed]
        return [self.allowed[place] for place in np.argsort(losses, kind="stable")]

    @cached_property
    def picks(self) -> FloatArray:
        """[B, S] what each half would pick."""
        best = np.argmin(self.halves[:, self.allowed] @ self.target, axis=1)
        return np.asarray(self.scored.shares[np.array(self.allowed)[best]])

    @cached_property
    def pick(self) -> Mixture:
        """The mean of what the halves would pick; the limits are convex, so it keeps them.

        Where mixtures are unions of whole units there is no mean of them: then the one that looks best.
        """
        if not self.averaged:
            return self.scored.mixtures[self.order[0]]
        return Mixture.normalised(
            dict(zip(self.scored.mixtures[0].names, self.picks.mean(axis=0), strict=True))
        )

    @cached_property
    def optimism(self) -> float:
        """By how much the predicted target loss of a choice is too low, in nats, because it was chosen for
        it.

        Choosing on a half and predicting on its complement shows twice as much as there is on the whole: the
        errors that a choice exploits have twice the variance there.
        """
        losses = self.halves[:, self.allowed] @ self.target
        best = np.argmin(losses, axis=1)
        draws = np.arange(len(losses))
        # Relative to the mean of all candidates, so that only differences between mixtures count.
        relative = losses - losses.mean(axis=1, keepdims=True)
        return float(max(0.0, 0.5 * (relative[draws ^ 1, best] - relative[draws, best]).mean()))

    @cached_property
    def reach(self) -> float:
        """Half the width of an interval in standard errors: Student's t, as those are known from as many
        errors as there are references."""
        count = self.evidence.references if self.evidence is not None else 0
        return float(stdtrit(max(count - 1, 1), 0.5 + CONFIDENCE / 2))

    @property
    def even(self) -> Mixture:
        """Equal shares."""
        return Mixture.uniform(self.scored.mixtures[0].names)

    @property
    def at_the_edge(self) -> list[str]:
        """Sources whose share in the pick lies outside the middle four fifths of what would be picked."""
        low, high = np.quantile(self._other_picks, (0.1, 0.9), axis=0)
        here = self.pick.shares
        outside = (here < low - 1e-9) | (here > high + 1e-9)
        return [name for name, out in zip(self.pick.names, outside, strict=True) if out]

    def share_bounds(self) -> tuple[FloatArray, FloatArray]:
        """Interval of every share [S]: what would be picked on other references and documents, with other
        errors.

        Each draw takes a half of the evidence and adds to every candidate an error as large as what the
        calibrated proxy misses.
        """
        low, high = np.quantile(self._other_picks, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
        here = self.pick.shares
        return np.minimum(low, here), np.maximum(high, here)

    @cached_property
    def _other_picks(self) -> FloatArray:
        """[B x errors, S] what would be picked on other references and documents, with other errors."""
        losses = np.repeat(self.others[:, self.allowed] @ self.target, ERRORS_A_HALF, axis=0)
        if np.isfinite(self.missed[-1]):
            losses += np.random.default_rng(self.seed).normal(0.0, self.missed[-1], losses.shape)
        return np.asarray(self.scored.shares[np.array(self.allowed)[np.argmin(losses, axis=1)]])

    def loss(self, row: int, factors: FloatArray) -> list[Loss]:
        """Predictions of one mixture: every evaluation, the target last."""
        mean = self._with_target(self.mean[row])
        samples = self._with_target(self.others[:, row])
        together = np.sqrt(np.square(self.spread[row] * self.target).sum())
        spread = np.append(self.spread[row], max(together, self._target_error))
        spread = np.sqrt(np.square(spread) + np.square(samples - mean).mean(axis=0))
        bits = self._with_target(self.mean[row] * factors)
        return [
            Loss(float(m), float(m - self.reach * s), float(m + self.reach * s), float(b))
            for m, s, b in zip(mean, spread, bits, strict=True)
        ]

    @property
    def _target_error(self) -> float:
        return float(self.choice.error[-1]) if self.choice else float("nan")


ERRORS_A_HALF = 10
