"""What the trainings above the rungs say: of mixtures, and of the laws that predicted them."""

import math

import numpy as np

from cuvee.decisions.interval import Interval
from cuvee.decisions.scale import result as d
from cuvee.evaluation.paired import compare
from cuvee.evaluation.scores import Scores
from cuvee.flows.scale.findings import FOUND, CheckRuns, ScaleFindings
from cuvee.flows.scale.law import LAW, law_data
from cuvee.flows.scale.optima import LEAST_NOISE
from cuvee.laws.interface import FittedLaw
from cuvee.runs.metric_names import NATS
from cuvee.runs.mixture_names import UNIFORM
from cuvee.study.evaluation_rows import of_known_error
from cuvee.study.producers.trained import Trainings
from cuvee.study.runner import Runner
from cuvee.study.speedup import first_reaches, speedup_of
from cuvee.study.training_curve import curve_of, measured_along

Z = 1.2815515655446004
"""Half width of a central 80 % interval in standard deviations."""


def checked_rows(findings: ScaleFindings, runner: Runner) -> list[d.Checked]:
    """Every mixture with what its trainings ended at, the lowest first; none where none was trained."""
    checks = findings.checks
    if checks is None:
        return []
    target = runner.documents.target(runner.plan.config.target_weights)
    noise = noise_above(findings)
    curves = [
        curve_of(runner, one, target) if measured_along(runner, one) else None for one in checks.planned
    ]
    ends = checks.observed.values_of(NATS) @ target
    rows = []
    for name, mixture in checks.mixtures.items():
        own = checks.of(name)
        losses = [float(ends[i]) for i in own]
        mean = float(np.mean(losses))
        half = Z * noise * mean / len(losses) ** 0.5
        others = [other for other in checks.mixtures if other != name]
        pairs = {
            other: [
                (one, two)
                for i, j in zip(own, checks.of(other), strict=True)
                if (one := curves[i]) is not None and (two := curves[j]) is not None
            ]
            for other in others
        }
        rows.append(
            d.Checked(
                name,
                tuple(mixture.shares.tolist()),
                tuple(losses),
                Interval(mean, mean - half, mean + half),
                checks.predicted[name],
                {other: _over_seeds([speedup_of(*pair) for pair in of]) for other, of in pairs.items() if of},
                tuple(other for other, of in pairs.items() if any(first_reaches(*pair) for pair in of)),
                {other: _document_error(runner, checks, name, other) for other in others},
            )
        )
    return sorted(rows, key=lambda row: row.loss.mean)


def noise_above(findings: ScaleFindings) -> float:
    """How far trainings of one mixture differ above the rungs, as a part of the loss.

    Pooled over mixtures; that of the top rung where each was trained once, or none was.
    """
    checks = findings.checks
    if checks is None or len(checks.trainings) == len({one.mixture.key for one in checks.trainings}):
        return findings.optima.noise[-1]
    ends = checks.observed.values_of(NATS) @ findings.law.weights
    groups: dict[str, list[float]] = {one.mixture.key: [] for one in checks.trainings}
    for training, end in zip(checks.trainings, ends.tolist(), strict=True):
        groups[training.mixture.key].append(end)
    relative = [np.array(group) / np.mean(group) - 1.0 for group in groups.values()]
    squares = sum(float((one**2).sum()) for one in relative)
    return max(LEAST_NOISE, math.sqrt(squares / sum(len(one) - 1 for one in relative)))


def law_checks(findings: ScaleFindings, runner: Runner) -> list[d.LawCheck]:
    """How well the laws of the rungs predicted the trainings above them."""
    checks, law = findings.checks, findings.law
    if checks is None:
        return []
    data = law_data(runner.plan, checks.planned, checks.observed)
    measured = data.costs @ law.weights
    even = checks.of(UNIFORM)
    laws: dict[str, FittedLaw] = {LAW: law.fitted} | law.others
    rows = []
    for name, fitted in laws.items():
        predicted = fitted.costs(data.shares, data.scale) @ law.weights
        missed = predicted - measured
        relative = missed - missed[even].mean()
        apart = np.delete(relative, even)
        inside = float("nan")
        if name == LAW and law.extrapolation is not None:
            intervals = [
                law.target([one.mixture], data.scale.select(np.array([i])))[0]
                for i, one in enumerate(checks.trainings)
            ]
            inside = float(np.mean([t.low <= m <= t.high for t, m in zip(intervals, measured, strict=True)]))
        rows.append(
            d.LawCheck(
                name,
                float(np.abs(missed).mean()),
                float(np.abs(apart).mean()) if len(apart) else float("nan"),
                inside,
            )
        )
    return rows


def _document_error(runner: Runner, checks: CheckRuns, name: str, other: str) -> float:
    """Standard error, by the choice of documents, of the target loss of one mixture less that of another; NaN
    where a single document of an evaluation says nothing of it."""
    if checks.mixtures[name].key == checks.mixtures[other].key:
        return 0.0
    trainings = Trainings(runner.plan, FOUND)
    first, second = (
        Scores(
            runner.documents,
            runner.scores(trainings, [checks.planned[i] for i in checks.of(one)]).nats.mean(axis=0),
        )
        for one in (name, other)
    )
    target = runner.documents.target(runner.plan.config.target_weights)
    _, error = compare(first, second).weighted(of_known_error(runner.documents, target))
    return float(error) if np.isfinite(error) else math.nan


def _over_seeds(values: list[float]) -> Interval:
    return Interval(float(np.mean(values)), min(values), max(values))
