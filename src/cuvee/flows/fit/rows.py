"""The rows of a decision by laws: candidates, metrics, laws and left-out runs as they are shown."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from cuvee.decisions.fit import result as d
from cuvee.decisions.interval import Interval
from cuvee.flows.fit.belief import Belief
from cuvee.laws.interface import LawData
from cuvee.laws.registry import law_named
from cuvee.laws.spread import coverage
from cuvee.laws.surrogate import CalibratedLaw
from cuvee.laws.validation import HeldOut, Validated
from cuvee.mixture.mixture import Mixture
from cuvee.question.question import Question
from cuvee.search.baselines import Baseline
from cuvee.types import FloatArray

_SHOWN = 500  # left-out runs in a decision


def candidates_of(belief: Belief, baselines: Sequence[Baseline], runs: LawData) -> tuple[d.Candidate, ...]:
    """The pick and its baselines, with the target that is expected of each and what runs measured of it."""
    named = [(d.PICK, belief.pick, ""), *((one.name, one.mixture.shares, one.note) for one in baselines)]
    return tuple(
        d.Candidate(
            name,
            tuple(shares.tolist()),
            belief.interval(shares),
            _measured(runs, belief.weights, shares),
            note,
        )
        for name, shares, note in named
    )


def _measured(data: LawData, weights: FloatArray, shares: FloatArray) -> float:
    """The mean target of the runs of exactly this mixture; NaN for none."""
    complete = np.isfinite(data.costs[:, weights > 0]).all(axis=1)
    same = complete & (np.abs(data.shares - shares).max(axis=1) < 1e-12)
    return float((np.nan_to_num(data.costs[same]) @ weights).mean()) if same.any() else math.nan


def metrics_of(
    surrogate: CalibratedLaw,
    target: Mapping[str, float],
    candidates: Sequence[d.Candidate],
    question: Question,
) -> tuple[d.Metric, ...]:
    """Every metric under every candidate, in its own unit."""
    sources = surrogate.data.sources
    mixtures = [Mixture(sources, np.array(one.shares)) for one in candidates]
    predicted = surrogate.predict(mixtures, level=question.level)
    ends = (predicted.mean, predicted.low, predicted.high)
    return tuple(
        d.Metric(
            name,
            question.directions.get(name, "lower"),
            target[name],
            {one.name: Interval(*(float(end[i, e]) for end in ends)) for i, one in enumerate(candidates)},
        )
        for e, name in enumerate(surrogate.data.metrics)
    )


def law_row(name: str, held_out: HeldOut, sources: int, weights: FloatArray, chosen: bool) -> d.LawRow:
    """How well a law predicted the target of runs it had not seen."""
    target = held_out.combined(weights)
    inside = coverage(target, (0.8, 0.95))
    return d.LawRow(
        law=name,
        parameters=law_named(name).parameters(sources),
        spearman=float(target.spearman()[0]),
        r_squared=float(target.r_squared()[0]),
        mean_absolute_error=float(target.mean_absolute_error()[0]),
        coverage_80=float(inside[0]),
        coverage_95=float(inside[1]),
        chosen=chosen,
    )


def held_out_runs(keys: Sequence[str], validated: Validated, weights: FloatArray) -> tuple[d.HeldOutRun, ...]:
    """Left-out runs that have the whole target; of very many every so many."""
    target = validated.held_out.combined(weights)
    there = np.flatnonzero(np.isfinite(target.costs[:, 0]))
    shown = there[:: math.ceil(len(there) / _SHOWN)]
    return tuple(
        d.HeldOutRun(keys[row], float(target.predicted[row, 0]), float(target.costs[row, 0]))
        for row in shown.tolist()
    )
