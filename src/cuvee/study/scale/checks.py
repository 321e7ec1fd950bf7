"""What the trainings above the rungs say: of mixtures, and of the laws that foretold them (floor 7)."""

import math

import numpy as np

from cuvee.laws.interface import FittedLaw
from cuvee.runs.metric_names import NATS
from cuvee.runs.mixture_names import UNIFORM
from cuvee.study.law_decision import Interval
from cuvee.study.producers.trained import trained_key
from cuvee.study.runner import Runner
from cuvee.study.scale import decision as d
from cuvee.study.scale.findings import CheckRuns, ScaleFindings
from cuvee.study.scale.law import LAW, law_data
from cuvee.study.scale.optima import LEAST_NOISE
from cuvee.study.speedup import Curve, speedup_of
from cuvee.types import FloatArray

Z = 1.2815515655446004
"""Half width of a central 80 % interval in standard deviations."""


def checked_rows(findings: ScaleFindings, lab: Runner) -> list[d.Checked]:
    """Every mixture with what its trainings ended at, the lowest first; none where none was trained."""
    checks = findings.checks
    if checks is None:
        return []
    curves = [_curve(lab, checks, index, findings.law.weights) for index in range(len(checks.trainings))]
    noise = noise_above(findings)
    rows = []
    for name, mixture in checks.mixtures.items():
        own = checks.of(name)
        losses = [float(curves[i][1][-1]) for i in own]
        mean = float(np.mean(losses))
        half = Z * noise * mean / len(losses) ** 0.5
        speedup = {
            other: _over_seeds(
                [speedup_of(curves[i], curves[j]) for i, j in zip(own, checks.of(other), strict=True)]
            )
            for other in checks.mixtures
            if other != name
        }
        rows.append(
            d.Checked(
                name,
                tuple(mixture.shares.tolist()),
                tuple(losses),
                Interval(mean, mean - half, mean + half),
                checks.foretold[name],
                speedup,
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


def law_checks(findings: ScaleFindings, lab: Runner) -> list[d.LawCheck]:
    """How well the laws of the rungs foretold the trainings above them."""
    checks, law = findings.checks, findings.law
    if checks is None:
        return []
    data = law_data(lab.plan, checks.planned, checks.observed)
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
            told = [
                law.target([one.mixture], data.scale.select(np.array([i])))[0]
                for i, one in enumerate(checks.trainings)
            ]
            inside = float(np.mean([t.low <= m <= t.high for t, m in zip(told, measured, strict=True)]))
        rows.append(
            d.LawCheck(
                name,
                float(np.abs(missed).mean()),
                float(np.abs(apart).mean()) if len(apart) else float("nan"),
                inside,
            )
        )
    return rows


def _curve(lab: Runner, checks: CheckRuns, index: int, weights: FloatArray) -> Curve:
    planned = checks.planned[index]
    run = lab.store.get(trained_key(lab.plan, planned.run))
    assert run is not None  # it was trained, or the flow would have ended
    names = [one.name for one in lab.plan.material.evaluations]
    batch = planned.run.recipe.batch_tokens
    along = [
        (step * batch, float(np.dot([values[name] for name in names], weights)))
        for step, values in run.details.get("along", ())
        if step < planned.run.recipe.steps
    ]
    end = float((checks.observed.values_of(NATS)[index : index + 1] @ weights)[0])
    tokens, losses = zip(*along, (planned.run.recipe.tokens, end), strict=True)
    return np.array(tokens, dtype=np.float64), np.array(losses)


def _over_seeds(values: list[float]) -> Interval:
    return Interval(float(np.mean(values)), min(values), max(values))
