"""Predicted losses of any mixture from its proxies and a few references.

The truth of evaluation e on mixture w is modelled as

    truth = proxy + a_e + c_e (proxy - mean proxy) + sum_f b_ef feature_f(w) + noise,

with coefficients partly shared between evaluations (``hierarchical_ridge``). Before any reference
is seen c and b are expected at zero: the proxy's differences are taken as they are. The
calibrators differ in proxies and features only (``calibrators``).

The spread is the predictive standard deviation of one new training (noise and uncertainty of
the coefficients), made wider where left-out references scatter more than the model expects.

Shapes: F folds, R references, M mixtures, E evaluations, S sources, p features, P = 1 + p.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.honesty.calibrators import FEATURES, Calibrator
from cuvee.honesty.evidence import Evidence
from cuvee.honesty.hierarchical_ridge import Design, fit_hierarchical, left_out_residuals
from cuvee.types import AnyArray, FloatArray, IntArray, Json

_SLOPE_SCALE = 0.5  # plausible size of c: slopes between one half and one and a half
_FEATURE_SCALE = 0.5  # plausible size of b, in standard deviations of truth minus proxy
_DEVIATION_SCALE = 0.5  # plausible size of one evaluation's deviation, relative to the shared part


@dataclass(frozen=True)
class CalibratedLosses:
    """Predicted losses of mixtures."""

    mean: FloatArray
    """[M, E]."""
    spread: FloatArray
    """[M, E] standard deviation of the loss of one new training about ``mean``."""


@dataclass(frozen=True)
class FittedCalibrator:
    """A calibrator with everything learnt from references. Make it with ``fit``."""

    calibrator: Calibrator
    """The row of the table."""
    sources: tuple[str, ...]
    """Names of the columns of shares."""
    evaluations: tuple[str, ...]
    """Names of the columns of losses."""
    own: IntArray
    """[E] own source of each evaluation, or -1."""
    centre: FloatArray
    """[E, p] mean of the features over the references."""
    scale: FloatArray
    """[p] factor on the centred features."""
    coefficients: FloatArray
    """[E, P] intercept and coefficients of the scaled features."""
    covariance: FloatArray
    """[E, P, P] their posterior covariance."""
    noise: FloatArray
    """[E] noise variance."""
    inflation: float
    """Factor (one or more) on predictive variances, from left-out references."""

    def predict(self, shares: FloatArray, proxies: Mapping[str, FloatArray]) -> CalibratedLosses:
        """Predict losses.

        Args:
            shares: [M, S] mixtures.
            proxies: name -> [M, E] losses of the same mixtures; those the calibrator reads must be there.

        Raises:
            ConfigError: a proxy is missing or a shape is wrong.
        """
        shares = np.asarray(shares, dtype=np.float64)
        if shares.ndim != 2 or shares.shape[1] != len(self.sources):
            raise ConfigError(f"calibration: shares have shape {shares.shape}, not [M, {len(self.sources)}]")
        offset, raw, _ = _columns(self.calibrator, shares, proxies, self.own)
        features = (raw - self.centre) * self.scale
        z = np.concatenate([np.ones((*features.shape[:2], 1)), features], axis=2)
        mean = offset + np.einsum("mep,ep->me", z, self.coefficients, optimize=True)
        unsure = np.einsum("mep,epq,meq->me", z, self.covariance, z, optimize=True)
        return CalibratedLosses(mean, np.sqrt(self.inflation * (self.noise + unsure)))

    def to_json(self) -> Json:
        """All fields as plain JSON; ``from_json`` gives the same predictions back, to the last bit."""
        arrays = ("own", "centre", "scale", "coefficients", "covariance", "noise")
        return {
            "calibrator": {
                "proxies": list(self.calibrator.proxies),
                "features": list(self.calibrator.features),
                "anchored": self.calibrator.anchored,
                "fitted": self.calibrator.fitted,
            },
            "sources": list(self.sources),
            "evaluations": list(self.evaluations),
            **{name: getattr(self, name).tolist() for name in arrays},
            "inflation": self.inflation,
        }

    @classmethod
    def from_json(cls, data: Json) -> "FittedCalibrator":
        """The inverse of ``to_json``."""
        row = data["calibrator"]
        evaluations, width = len(data["evaluations"]), len(data["scale"])
        return cls(
            calibrator=Calibrator(
                tuple(row["proxies"]), tuple(row["features"]), row["anchored"], row["fitted"]
            ),
            sources=tuple(data["sources"]),
            evaluations=tuple(data["evaluations"]),
            own=np.array(data["own"], dtype=np.int64),
            centre=np.array(data["centre"], dtype=np.float64).reshape(evaluations, width),
            scale=np.array(data["scale"], dtype=np.float64),
            coefficients=np.array(data["coefficients"], dtype=np.float64),
            covariance=np.array(data["covariance"], dtype=np.float64),
            noise=np.array(data["noise"], dtype=np.float64),
            inflation=float(data["inflation"]),
        )


@dataclass(frozen=True)
class FoldFits:
    """One calibrator fitted on several training sets; no fold saw the truth outside its rows."""

    fits: tuple[FittedCalibrator, ...]
    """One per fold."""
    predictions: FloatArray
    """[F, R, E] what each fold predicts for all references."""
    residuals: FloatArray
    """[F, R, E] closed-form leave-one-out residuals inside each fold; zero outside its rows."""


def fit(calibrator: Calibrator, evidence: Evidence, rows: FloatArray | None = None) -> FittedCalibrator:
    """Learn a calibrator from references. Safe from two of them on.

    Args:
        calibrator: what is learnt.
        evidence: all references.
        rows: [R] which of them it learns from, 1 or 0; None for all.

    Raises:
        ConfigError: fewer than two references, or a proxy or feature that does not exist.
    """
    rows = np.ones(evidence.references) if rows is None else rows
    return fit_folds(calibrator, evidence, rows[None]).fits[0]


def leave_one_out_rows(evidence: Evidence) -> FloatArray:
    """[R, R] training sets of leave-one-out: row r of the mask leaves out reference r."""
    return 1.0 - np.eye(evidence.references)


def left_out(predictions: FloatArray) -> FloatArray:
    """[R, E] of [R, R, E]: what fold r says of reference r."""
    return np.asarray(np.einsum("rre->re", predictions))


def left_out_differences(predictions: FloatArray) -> FloatArray:
    """[R, E] what fold r says of reference r relative to its own mean over all references.

    Decisions compare mixtures, so levels do not matter; and plain left-out predictions of a
    constant rank references backwards, because leaving out a high value lowers the mean.
    """
    return np.asarray(left_out(predictions) - predictions.mean(axis=1))


def fit_folds(calibrator: Calibrator, evidence: Evidence, rows: FloatArray) -> FoldFits:
    """Fit a calibrator on several training sets at once.

    Args:
        calibrator: what to fit.
        evidence: the references.
        rows: [F, R] ones for training rows, else zeros; each fold has two rows or more.

    Raises:
        ConfigError: a fold has too few rows, or a proxy or feature does not exist.
    """
    if rows.sum(axis=1).min() < 2:
        raise ConfigError(
            f"calibration: {evidence.references} references are too few; train two or more, "
            "three or more to cross-validate"
        )
    tables = {**evidence.proxies, **evidence.baselines}
    offset, raw, group = _columns(calibrator, evidence.shares, tables, evidence.own)
    response = evidence.truth - offset
    centre = raw.mean(axis=0)
    natural = calibrator.anchored & (group == 0) if calibrator.proxies else np.zeros(len(group), dtype=bool)
    scale = np.where(natural, 1.0, _unit_scale(raw - centre, group))
    if not calibrator.fitted:
        return _raw_folds(calibrator, evidence, rows, offset)
    features = (raw - centre) * scale
    typical = _pooled_deviation(response, rows)
    count = int(group.max(initial=-1)) + 1
    is_natural = np.array([natural[group == g].any() for g in range(count)], dtype=bool)
    shared = np.where(is_natural, _SLOPE_SCALE, _FEATURE_SCALE * typical[:, None])
    design = Design(features, group, shared, _DEVIATION_SCALE * shared)
    posterior = fit_hierarchical(design, response, rows)
    residuals, variances = left_out_residuals(posterior, design, response, rows)
    ratio = rows[:, :, None] * residuals**2 / variances
    inflation = np.maximum(1.0, ratio.sum(axis=(1, 2)) / (rows.sum(axis=1) * response.shape[1]))
    z = np.concatenate([np.ones((*features.shape[:2], 1)), features], axis=2)
    predictions = offset + np.einsum("rep,fep->fre", z, posterior.mean, optimize=True)
    fits = tuple(
        _fitted(calibrator, evidence, centre, scale, *learnt)
        for learnt in zip(
            posterior.mean,
            posterior.covariance(),
            posterior.variances.noise + posterior.variances.row[:, None],
            inflation,
            strict=True,
        )
    )
    return FoldFits(fits, predictions, residuals)


def _raw_folds(calibrator: Calibrator, evidence: Evidence, rows: FloatArray, offset: FloatArray) -> FoldFits:
    evaluations = len(evidence.evaluations)
    response = evidence.truth - offset
    noise = rows @ np.square(response) / rows.sum(axis=1, keepdims=True)
    learnt = np.zeros((evaluations, 1)), np.zeros((evaluations, 1, 1))
    none, no_scale = np.zeros((evaluations, 0)), np.zeros(0)
    fits = tuple(_fitted(calibrator, evidence, none, no_scale, *learnt, of_fold, 1.0) for of_fold in noise)
    predictions = np.repeat(offset[None], len(rows), axis=0)
    return FoldFits(fits, predictions, response[None] * rows[:, :, None])


def _fitted(
    calibrator: Calibrator,
    evidence: Evidence,
    centre: FloatArray,
    scale: FloatArray,
    coefficients: FloatArray,
    covariance: FloatArray,
    noise: FloatArray,
    inflation: float,
) -> FittedCalibrator:
    """What was learnt, with the names of the evidence that it was learnt from."""
    return FittedCalibrator(
        calibrator=calibrator,
        sources=evidence.sources,
        evaluations=evidence.evaluations,
        own=evidence.own,
        centre=centre,
        scale=scale,
        coefficients=coefficients,
        covariance=covariance,
        noise=noise,
        inflation=float(inflation),
    )


def _columns(
    calibrator: Calibrator, shares: FloatArray, tables: Mapping[str, AnyArray], own: IntArray
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Offset [M, E], unscaled features [M, E, p] and the group [p] of each feature.

    The proxies, if any, are group 0: their mean first, then each later proxy minus the mean, so
    that shrinking leaves the mean. A calibrator that is not fitted has no features.
    """
    mixtures, evaluations = len(shares), len(own)
    offset = np.zeros((mixtures, evaluations))
    columns: list[FloatArray] = []
    groups: list[int] = []
    if calibrator.proxies:
        losses = [_table(tables, name, (mixtures, evaluations)) for name in calibrator.proxies]
        mean = np.mean(losses, axis=0)
        columns.append(np.stack([mean, *(table - mean for table in losses[1:])], axis=2))
        groups += [0] * len(losses)
        if calibrator.anchored or not calibrator.fitted:
            offset = mean
    if not calibrator.fitted:
        return offset, np.zeros((mixtures, evaluations, 0)), np.zeros(0, dtype=np.int64)
    for number, name in enumerate(calibrator.features, start=len(columns)):
        if name not in FEATURES:
            raise ConfigError(f"calibration: no feature {name!r}; there are {sorted(FEATURES)}")
        columns.append(FEATURES[name](shares, own))
        groups += [number] * columns[-1].shape[2]
    empty = np.zeros((mixtures, evaluations, 0))
    return offset, np.concatenate([empty, *columns], axis=2), np.array(groups, dtype=np.int64)


def _table(tables: Mapping[str, AnyArray], name: str, shape: tuple[int, int]) -> FloatArray:
    if name not in tables:
        raise ConfigError(f"calibration: losses of proxy {name!r} are missing; there are {sorted(tables)}")
    losses = np.asarray(tables[name], dtype=np.float64)
    if losses.shape != shape:
        raise ConfigError(f"calibration: proxy {name!r} has shape {losses.shape}, expected {shape}")
    return losses


def _unit_scale(features: FloatArray, group: IntArray) -> FloatArray:
    """[p] one over the root mean square of each group where it is not zero; 0 for constant groups."""
    square = np.square(features)
    live = np.maximum((square > 0).any(axis=0).sum(axis=0) * len(features), 1)  # [p] values that can move
    scale = np.zeros(len(group))
    for number in range(int(group.max(initial=-1)) + 1):
        inside = group == number
        size = np.sqrt(square[:, :, inside].sum() / live[inside].sum())
        scale[inside] = 1.0 / size if size > 1e-12 else 0.0
    return scale


def _pooled_deviation(response: FloatArray, rows: FloatArray) -> FloatArray:
    """[F] standard deviation of the response within evaluations, over training rows."""
    count = rows.sum(axis=1)
    mean = rows @ response / count[:, None]
    square = np.maximum(rows @ np.square(response) - count[:, None] * mean**2, 0.0).sum(axis=1)
    return np.asarray(np.maximum(np.sqrt(square / ((count - 1) * response.shape[1])), 1e-9))
