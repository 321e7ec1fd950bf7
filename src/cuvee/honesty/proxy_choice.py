"""Which proxy to trust, and whether to trust any (floor 5).

All calibrators are compared by their left-out errors on *differences* between references, since
a decision compares mixtures. One candidate is ``blend per evaluation``: a mean of the proxy
calibrators with weights of its own for every evaluation, w_ce proportional to exp(-score_ce),
where the score is n/4 times the log of the squared leave-one-out error (tempered pseudo-BMA
weights; Yao et al. 2018, Bayesian Analysis 13, section 3.4), half of it averaged over evaluations
so that few references cannot pick freely. Its weights are chosen anew inside every fold.

A choice is *believed* when its left-out error on the target, with the choice itself made without
the reference that is judged, is lower than that of every baseline, and stays so in nine of ten
paired bootstrap resamples of the references. The blend is preferred to any single calibrator that
does not beat it by two standard errors: on few references the best of many is mostly the luckiest.

Cost: a few seconds for 20 references, 12 evaluations and 25 calibrators.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.honesty.bootstrap import DRAWS, bootstrap_counts
from cuvee.honesty.calibration import (
    FittedCalibrator,
    FoldFits,
    Prediction,
    fit_folds,
    leave_one_out_rows,
    left_out,
    left_out_differences,
)
from cuvee.honesty.calibrators import Calibrator, baseline_calibrators, calibrators_for
from cuvee.honesty.evidence import Evidence
from cuvee.honesty.statistics import pair_accuracy, rank_correlation
from cuvee.types import FloatArray, Json

BLEND = "blend per evaluation"
BELIEVED_FROM = 0.9
FEWEST_REFERENCES = 4

_POOLED = 0.5  # part of a blend's score that is averaged over evaluations
_TEMPER = 0.5  # left-out errors of neighbouring folds and of related calibrators are no independent witnesses
_CLEARLY = 2.0  # standard errors by which a single calibrator must beat the blend


@dataclass(frozen=True)
class FittedBlend:
    """Several fitted calibrators, averaged with weights of their own for every evaluation."""

    names: tuple[str, ...]
    """[C] names of the members."""
    members: tuple[FittedCalibrator, ...]
    """[C] the fitted calibrators."""
    weights: FloatArray
    """[C, E] weights; each column sums to one."""

    def predict(self, shares: FloatArray, proxies: Mapping[str, FloatArray]) -> Prediction:
        """Mean and standard deviation of the members' predictions taken as one mixture distribution.

        Arguments and errors are those of ``FittedCalibrator.predict``.
        """
        parts = [member.predict(shares, proxies) for member in self.members]
        means = np.stack([part.mean for part in parts])
        weights = self.weights[:, None, :]
        mean = (weights * means).sum(axis=0)
        squares = np.square([part.spread for part in parts]) + np.square(means - mean)
        return Prediction(mean, np.sqrt((weights * squares).sum(axis=0)))

    def to_json(self) -> Json:
        """All fields as plain JSON."""
        return {
            "names": list(self.names),
            "members": [member.to_json() for member in self.members],
            "weights": self.weights.tolist(),
        }

    @classmethod
    def from_json(cls, data: Json) -> "FittedBlend":
        """The inverse of ``to_json``."""
        members = tuple(FittedCalibrator.from_json(member) for member in data["members"])
        return cls(tuple(data["names"]), members, np.array(data["weights"], dtype=np.float64))


@dataclass(frozen=True)
class CalibratorError:
    """Left-out errors of one calibrator, on differences from the references' mean."""

    name: str
    """Name of the calibrator."""
    is_baseline: bool
    """Whether it reads no proxy."""
    by_evaluation: FloatArray
    """[E] root mean squared errors."""
    target: float
    """Root mean squared error of the target."""
    target_spearman: float
    """Rank correlation of left-out predictions with the truth of the target; NaN if it does not exist."""
    target_pairs: float
    """Share of pairs that the left-out predictions order rightly."""

    def to_json(self) -> Json:
        """All fields as plain JSON, None for NaN."""
        return {
            "name": self.name,
            "is_baseline": self.is_baseline,
            "by_evaluation": self.by_evaluation.tolist(),
            "target": self.target,
            "target_spearman": None if np.isnan(self.target_spearman) else self.target_spearman,
            "target_pairs": None if np.isnan(self.target_pairs) else self.target_pairs,
        }


@dataclass(frozen=True)
class Choice:
    """The chosen calibrator and the errors behind the choice."""

    name: str
    """Name of the chosen calibrator; it reads a proxy, believed or not."""
    fitted: FittedCalibrator | FittedBlend
    """It, learnt from all references."""
    errors: tuple[CalibratorError, ...]
    """Every calibrator, best target error first."""
    best_baseline: str
    """The baseline with the lowest target error."""
    believed: bool
    """Whether proxies beat every baseline, see the head of this file."""
    probability: float
    """Share of paired bootstrap resamples in which they do."""
    left_out: FloatArray
    """[R, E] what the chosen calibrator predicts for each reference without having seen it."""

    def to_json(self) -> Json:
        """All fields as plain JSON."""
        return {
            "name": self.name,
            "fitted": self.fitted.to_json(),
            "errors": [error.to_json() for error in self.errors],
            "best_baseline": self.best_baseline,
            "believed": self.believed,
            "probability": self.probability,
            "left_out": self.left_out.tolist(),
        }


def choose_proxy(evidence: Evidence, seed: int, draws: int = DRAWS) -> Choice:
    """Choose among all calibrators that the evidence allows.

    Args:
        evidence: the references; one proxy or more, ``FEWEST_REFERENCES`` references or more.
        seed: seed of the bootstrap.
        draws: bootstrap draws.

    Raises:
        ConfigError: too few references, or no proxy.
    """
    if not evidence.proxies or evidence.references < FEWEST_REFERENCES:
        raise ConfigError(
            f"choose_proxy: {evidence.references} references and {len(evidence.proxies)} proxies; "
            f"{FEWEST_REFERENCES} references and one proxy are the least"
        )
    table = calibrators_for(tuple(evidence.proxies), tuple(evidence.baselines))
    baselines = set(baseline_calibrators(tuple(evidence.baselines)))
    # The last fold is the fit to all references, so that everything is fitted once.
    rows = np.concatenate([leave_one_out_rows(evidence), np.ones((1, evidence.references))])
    folds = {name: fit_folds(row, evidence, rows) for name, row in table.items()}
    predictions = {name: fit.predictions[:-1] for name, fit in folds.items()}
    blended = {name: folds[name] for name in table if name not in baselines}
    weights = blend_weights(blended, rows)
    parts = np.stack([fit.predictions for fit in blended.values()])
    predictions[BLEND] = np.einsum("cfe,cfre->fre", weights, parts)[:-1]

    truth = evidence.truth - evidence.truth.mean(axis=0)
    missed = {name: left_out_differences(values) - truth for name, values in predictions.items()}
    errors = [
        _error(name, name in baselines, values, truth, evidence.target) for name, values in missed.items()
    ]
    ordered = tuple(sorted(errors, key=lambda error: error.target))
    best_baseline = next(error.name for error in ordered if error.is_baseline)
    squares = {key: np.square(values @ evidence.target) for key, values in missed.items()}
    readers = [key for key in squares if key not in baselines]
    ours_of_each = np.stack([squares[key] for key in readers])  # the blend is last
    name = readers[_pick(ours_of_each)]
    everyone = np.arange(evidence.references)
    ours = np.array([ours_of_each[_pick(ours_of_each[:, everyone != r]), r] for r in everyone])
    theirs = np.stack([squares[key] for key in sorted(baselines)])
    counts = bootstrap_counts(np.zeros(evidence.references, dtype=np.int64), seed, draws)
    probability = float(np.mean(counts @ ours < (counts @ theirs.T).min(axis=1)))
    wins = bool(ours.mean() < theirs.mean(axis=1).min())
    fitted: FittedCalibrator | FittedBlend
    if name == BLEND:
        fitted = FittedBlend(tuple(blended), tuple(fit.fits[-1] for fit in blended.values()), weights[:, -1])
    else:
        fitted = folds[name].fits[-1]
    return Choice(
        name=name,
        fitted=fitted,
        errors=ordered,
        best_baseline=best_baseline,
        believed=wins and probability >= BELIEVED_FROM,
        probability=probability,
        left_out=left_out(predictions[name]),
    )


def fit_blend(calibrators: Mapping[str, Calibrator], evidence: Evidence) -> FittedBlend:
    """Fit several calibrators on all references and weigh them for every evaluation.

    Raises:
        ConfigError: as ``cuvee.honesty.calibration.fit``.
    """
    rows = np.ones((1, evidence.references))
    folds = {name: fit_folds(row, evidence, rows) for name, row in calibrators.items()}
    members = tuple(fit.fits[0] for fit in folds.values())
    return FittedBlend(tuple(folds), members, blend_weights(folds, rows)[:, 0])


def refit(name: str, evidence: Evidence, rows: FloatArray) -> list[FittedCalibrator | FittedBlend]:
    """The calibrator ``name``, or the blend, learnt from each of several sets of references at once.

    Args:
        name: of a calibrator that the evidence allows, or ``BLEND``.
        evidence: all references.
        rows: [F, R] which references each fit learns from, 1 or 0.
    """
    table = calibrators_for(tuple(evidence.proxies), tuple(evidence.baselines))
    if name != BLEND:
        return list(fit_folds(table[name], evidence, rows).fits)
    baselines = baseline_calibrators(tuple(evidence.baselines))
    folds = {key: fit_folds(row, evidence, rows) for key, row in table.items() if key not in baselines}
    weights = blend_weights(folds, rows)
    return [
        FittedBlend(tuple(folds), tuple(fit.fits[index] for fit in folds.values()), weights[:, index])
        for index in range(len(rows))
    ]


def blend_weights(folds: Mapping[str, FoldFits], rows: FloatArray) -> FloatArray:
    """[C, F, E] weights of C calibrators in each fold, from the closed-form residuals inside it.

    Args:
        folds: the fitted calibrators; all on the same folds.
        rows: [F, R] the training rows of the folds.
    """
    count = rows.sum(axis=1)[:, None]
    squares = []
    for fit in folds.values():
        mean = fit.residuals.sum(axis=1) / count
        centred = (fit.residuals - mean[:, None]) * rows[:, :, None]
        squares.append(np.square(centred).sum(axis=1) / count)
    logarithm = np.log(np.maximum(np.stack(squares), 1e-18))
    everywhere = logarithm.mean(axis=2, keepdims=True)
    score = 0.5 * _TEMPER * count * ((1 - _POOLED) * logarithm + _POOLED * everywhere)
    weights = np.exp(score.min(axis=0) - score)
    return np.asarray(weights / weights.sum(axis=0))


def _pick(squares: FloatArray) -> int:
    """Row of the calibrator to use, given squared errors [C, R] with those of the blend last."""
    best = int(np.argmin(squares.mean(axis=1)))
    gain = squares[-1] - squares[best]
    clear = gain.mean() > _CLEARLY * gain.std(ddof=1) / np.sqrt(len(gain))
    return best if clear else len(squares) - 1


def _error(
    name: str, is_baseline: bool, missed: FloatArray, truth: FloatArray, target: FloatArray
) -> CalibratorError:
    wanted = truth @ target
    predicted = np.round((missed + truth) @ target, 12)  # no difference is no difference, not rounding noise
    group, ones = np.zeros(len(wanted), dtype=np.int64), np.ones(len(wanted))
    return CalibratorError(
        name=name,
        is_baseline=is_baseline,
        by_evaluation=np.sqrt(np.square(missed).mean(axis=0)),
        target=float(np.sqrt(np.square(missed @ target).mean())),
        target_spearman=float(rank_correlation(predicted, wanted, group, ones)),
        target_pairs=float(pair_accuracy(predicted, wanted, group, ones, 0.0)),
    )
