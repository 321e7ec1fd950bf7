"""Which proxy to go by, and whether to trust any.

The rule: of the rows that read a proxy, the one with the lowest left-out error on the target, among
*differences* between references, since a decision compares mixtures. It is *believed* when that error, with
the choice itself made without the reference that is judged, is lower than that of every row that needs no
proxy, and stays so in nine of ten paired bootstrap resamples of the references. There are five rows
(``calibrators``), fixed on studies that no published figure is measured on: with more, the best on few
references is mostly the luckiest.

Cost: some tenths of a second for 20 references and 12 evaluations.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.honesty.bootstrap import DRAWS, bootstrap_counts
from cuvee.honesty.calibration import (
    FittedCalibrator,
    fit,
    fit_folds,
    leave_one_out_rows,
    left_out_differences,
)
from cuvee.honesty.calibrators import BASELINES, calibrators_for
from cuvee.honesty.evidence import Evidence
from cuvee.honesty.statistics import pair_accuracy, rank_correlation
from cuvee.types import FloatArray, Json

BELIEVED_FROM = 0.9
FEWEST_REFERENCES = 4


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
class ProxyChoice:
    """The chosen calibrator and the errors behind the choice."""

    name: str
    """Name of the chosen calibrator; it reads a proxy, believed or not."""
    fitted: FittedCalibrator
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
    """[R, E] what the chosen calibrator predicts for each reference without having seen it: the difference
    from the mean of all that it predicts then, at the level of what was measured. Its errors are those."""
    error: FloatArray
    """[E + 1] root mean squared left-out errors by evaluation, that of the target last, where the choice of
    the calibrator did not see the reference either: those of the winner alone are too small."""

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
            "error": self.error.tolist(),
        }


def choose_proxy(evidence: Evidence, seed: int, draws: int = DRAWS) -> ProxyChoice:
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
    table = calibrators_for(tuple(evidence.proxies))
    # The last fold is the fit to all references, so that everything is fitted once.
    rows = np.concatenate([leave_one_out_rows(evidence), np.ones((1, evidence.references))])
    folds = {name: fit_folds(row, evidence, rows) for name, row in table.items()}
    predictions = {name: one.predictions[:-1] for name, one in folds.items()}

    truth = evidence.truth - evidence.truth.mean(axis=0)
    missed = {name: left_out_differences(values) - truth for name, values in predictions.items()}
    errors = [
        _error(name, name in BASELINES, values, truth, evidence.target) for name, values in missed.items()
    ]
    ordered = tuple(sorted(errors, key=lambda error: error.target))
    squares = {name: np.square(values @ evidence.target) for name, values in missed.items()}
    readers = [name for name in table if name not in BASELINES]
    of_readers = np.stack([squares[name] for name in readers])
    name = readers[_lowest(of_readers)]
    everyone = np.arange(evidence.references)
    without = [_lowest(of_readers[:, everyone != r]) for r in everyone]
    ours = of_readers[without, everyone]
    unseen = np.stack([missed[readers[one]][r] for one, r in zip(without, everyone, strict=True)])
    theirs = np.stack([squares[name] for name in BASELINES])
    counts = bootstrap_counts(np.zeros(evidence.references, dtype=np.int64), seed, draws)
    probability = float(np.mean(counts @ ours < (counts @ theirs.T).min(axis=1)))
    wins = bool(ours.mean() < theirs.mean(axis=1).min())
    return ProxyChoice(
        name=name,
        fitted=folds[name].fits[-1],
        errors=ordered,
        best_baseline=next(error.name for error in ordered if error.is_baseline),
        believed=wins and probability >= BELIEVED_FROM,
        probability=probability,
        left_out=left_out_differences(predictions[name]) + evidence.truth.mean(axis=0),
        error=np.sqrt(np.append(np.square(unseen).mean(axis=0), ours.mean())),
    )


def refit(name: str, evidence: Evidence, rows: FloatArray) -> FittedCalibrator:
    """The calibrator ``name`` learnt from some of the references.

    Args:
        name: of a calibrator that the evidence allows.
        evidence: all references.
        rows: [R] which of them it learns from, 1 or 0.
    """
    return fit(calibrators_for(tuple(evidence.proxies))[name], evidence, rows)


def _lowest(squares: FloatArray) -> int:
    """Row of the lowest mean squared error, given squared errors [C, R]."""
    return int(np.argmin(squares.mean(axis=1)))


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
