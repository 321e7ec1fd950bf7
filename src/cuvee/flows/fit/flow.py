"""From a table of runs to a decision: the flow of ``cuvee fit``.

Laws are fitted and judged on runs they did not see; one of them is minimised over the region; resamples of
the runs say how sure that is, which mixtures are tied with it, and what further runs would be worth.
Nothing is trained and nothing heavy is loaded. Deterministic for one table, question and seed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from cuvee.decisions.document import encode
from cuvee.decisions.fit.decision import LawDecision
from cuvee.decisions.provenance import Origin, versions
from cuvee.decisions.verdict import UNJUDGED
from cuvee.errors import ConfigError
from cuvee.execution.interface import Executor, Report
from cuvee.execution.local import InProcess
from cuvee.flows.fit.belief import Belief
from cuvee.flows.fit.comparisons import baseline_name, baselines_of, conditions, hardly_seen, objective_of
from cuvee.flows.fit.distance import distance
from cuvee.flows.fit.fitting import fitted_laws
from cuvee.flows.fit.front import front_of
from cuvee.flows.fit.kept import Kept, parameters_of
from cuvee.flows.fit.law_choice import chosen_law
from cuvee.flows.fit.measured_better import measured_better, measured_lower
from cuvee.flows.fit.next_runs import worth_of_more
from cuvee.flows.fit.pick import could_be_picked, pick, spread_of
from cuvee.flows.fit.rivals import Rival, laws_of, rivals_of
from cuvee.flows.fit.rows import candidates_of, held_out_runs, law_row, metrics_of
from cuvee.flows.fit.target_scale import TargetScale
from cuvee.hashing import digest
from cuvee.laws.hierarchical import VERY_MUCH, HierarchicalFit, work
from cuvee.laws.interface import FittedLaw, Law, LawData
from cuvee.laws.registry import law_named
from cuvee.laws.resampling import Resamples
from cuvee.laws.spread import Spread
from cuvee.laws.surrogate import CalibratedLaw
from cuvee.laws.validation import Validated
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.progress import Progress, Silent
from cuvee.quantities import agreeing, counted
from cuvee.question.question import LAW, LAWS_COMPARED, Question
from cuvee.runs.observations import Observations
from cuvee.search.objective import Objective
from cuvee.search.optimum import descend
from cuvee.types import FloatArray

RESAMPLES = 100
FEW_RESAMPLES = 24
"""For laws of which each draw takes a fit from the beginning, and for very large tables."""
PIECES = 4
"""In which the resamples are drawn; the same whatever runs them, so that numbers are."""
_LEAST_RUNS = 3
_RESAMPLE_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class FitResult:
    """The decision and the law behind it."""

    decision: LawDecision
    surrogate: CalibratedLaw
    kept: Kept
    """What another question of the same runs need not fit again."""


def decide(
    observations: Observations,
    question: Question,
    *,
    table: str,
    command: str = "",
    notes: tuple[str, ...] = (),
    warnings: tuple[str, ...] = (),
    compared: Sequence[str] = LAWS_COMPARED,
    kept: Kept | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Answer a question about runs of one scale, or of several where the law named is one of scale.

    Args:
        observations: the runs.
        question: what is asked.
        table: how the runs are called in the answer.
        command: that asks the same again; kept in the answer.
        notes: kept in the answer.
        warnings: kept in the answer, and in its first lines.
        compared: laws that stand beside the one of the question, and from which one is chosen where it names
            none.
        kept: from an earlier answer about the same runs, directions and seed. It changes no number.
        executor: where laws are fitted and runs resampled; default here. It changes no number.
        progress: where laws, resamples and optima are reported.

    Raises:
        ConfigError: too few runs, or all alike; unknown metrics or sources (the message names it).
        InfeasibleRegion: no mixture is allowed.
    """
    progress, executor = progress or Silent(), executor or InProcess()
    target = question.target(observations.metrics)
    region = question.region(observations.sources)
    data = LawData.of(observations, directions=question.directions, transport=question.transport)
    weights = np.array(list(target.values()))
    _check(data, weights)
    # Products here are small; more threads than one cost more in waking than they give. Workers have one.
    with threadpool_limits(limits=1):
        target_scale = TargetScale.of(question, data)
        baselines = baselines_of(target_scale.nearest(data), weights, region, question)
        objective = objective_of(target, question, observations, baselines)
        before = kept or Kept({})
        fitted = fitted_laws(
            data, question.law or LAW, compared, question.seed, executor, progress, before.held_out
        )
        law, reason = (question.law, "") if question.law else chosen_law(fitted.held_out, weights)
        raw, spread = fitted.validated(law), spread_of(target_scale.nearest(data).costs, weights)
        chosen = replace(raw, fitted=target_scale.of_law(raw.fitted))
        names = (*(one.name for one in baselines), *observations.keys)
        beside = np.vstack([*(one.mixture.shares for one in baselines), data.shares])
        best, better = pick(objective, chosen.fitted, region, names, beside, spread, question.seed)
        # A law that is named is taken for given.
        rivals = () if question.law else rivals_of(fitted, law, weights, objective, region)
        surrogate = CalibratedLaw.of(chosen, data, question.directions, laws_of(rivals))
        redraw = _Redraw(
            law_named(law),
            raw.fitted,
            data,
            surrogate.spread.factor,
            objective,
            region,
            best.mixture,
            question.seed,
            target_scale,
            before.draws.get(law),
            rivals,
        )
        belief, draws = _belief(weights, chosen, redraw, question.level, executor, progress)
        worth = worth_of_more(belief)
        candidates = candidates_of(belief, baselines, target_scale.measured(data))
        better_runs: tuple[str, ...] = ()
        lower_runs: tuple[str, ...] = ()
        if question.lowest_mean and not target_scale.known:
            could_be = could_be_picked(data.shares, objective.of(chosen.fitted), region)
            of_target, expected = chosen.held_out.combined(weights), candidates[0].target.mean
            rows, lower = (
                measured_better(of_target, could_be, expected),
                measured_lower(of_target, could_be, expected),
            )
            better_runs = tuple(observations.keys[row] for row in rows.tolist())
            lower_runs = tuple(observations.keys[row] for row in lower.tolist())
        decision = LawDecision(
            table=table,
            created_from=_origin(observations, question, command),
            runs=len(data),
            parameters=_common(observations.params),
            tokens=_common(observations.tokens),
            target_tokens=question.target_tokens,
            headline=(),
            verdict=UNJUDGED,
            law=law,
            laws=tuple(
                law_row(name, one, len(data.sources), weights, name == law)
                for name, one in fitted.held_out.items()
            ),
            mixture=belief.shares(region, question),
            gap=best.gap,
            metrics=metrics_of(surrogate, target, candidates, question),
            candidates=candidates,
            tied=belief.tied(
                [one.name for one in baselines], np.stack([one.mixture.shares for one in baselines])
            ),
            sensitivities=belief.sensitivities(),
            distance=distance(observations, belief.pick),
            next_runs=worth.runs,
            expected_gain=worth.expected_gain,
            likely_gain=worth.likely_gain,
            held_out=held_out_runs(observations.keys, chosen, weights),
            notes=(
                *conditions(question, baseline_name(question, baselines)),
                *hardly_seen(data),
                *target_scale.notes,
                *fitted.notes,
                *notes,
            ),
            warnings=warnings,
            confidence=question.level,
            front_metrics=question.front,
            front=front_of(question.front, objective, chosen.fitted, region, question.directions),
            law_reason=reason,
            spread=spread,
            better=better,
            measured_better=better_runs,
            measured_lower=lower_runs,
            different=len(np.unique(data.shares.round(9), axis=0)),
            target_parameters=question.target_params,
            at_target=target_scale.known,
        )
    return FitResult(
        decision.judged(), surrogate, Kept(before.held_out | fitted.held_out, before.draws | draws)
    )


def _check(data: LawData, weights: FloatArray) -> None:
    measured = np.isfinite(data.costs[:, weights > 0]).all(axis=1)
    if measured.sum() < _LEAST_RUNS:
        raise ConfigError(
            f"{int(measured.sum())} of {counted(len(data), 'run')} "
            f"{agreeing(int(measured.sum()), 'has', 'have')} all "
            "metrics of the target; a law that can be "
            f"checked needs {_LEAST_RUNS}, and to be of use as many as sources ({len(data.sources)})"
        )
    if np.ptp(data.shares[measured], axis=0).max() < 1e-9:
        raise ConfigError("all runs have the same mixture: nothing can be learnt about shares from them")
    if np.ptp(data.costs[measured][:, weights > 0] @ weights[weights > 0]) == 0:
        raise ConfigError("the target is the same in all runs: nothing can be learnt about shares from them")


@dataclass(frozen=True, eq=False)
class _Redraw:
    """Some draws of the runs, the laws they give, and the mixtures these choose: one piece of work."""

    law: Law
    fitted: FittedLaw
    data: LawData
    factor: FloatArray
    objective: Objective
    region: Region
    pick: Mixture
    seed: int
    scale: TargetScale
    known: FloatArray | None
    """Parameters [draws, E, P] of an earlier answer."""
    rivals: tuple[Rival, ...] = ()

    def __call__(self, piece: int, report: Report) -> "_DrawnLaws":
        rng = np.random.default_rng([self.seed, piece])
        count = _draws(self.fitted, self.data) // PIECES
        if self.known is not None and isinstance(self.fitted, HierarchicalFit):
            some = self.known[piece * count : (piece + 1) * count]
            drawn = Resamples.of_parameters(self.fitted, some, self.factor, len(self.data))
        else:
            drawn = Resamples.draw(self.law, self.fitted, self.data, count, rng, self.factor)
        kept = max(1, round(count * laws_of(self.rivals).chosen_weight)) if self.rivals else count
        laws = [(self.scale.of_law(law), self.pick) for law in drawn.laws[:kept]]
        for one in self.rivals:
            laws += [(law, one.best) for law in one.drawn(self.data, round(count * one.weight), rng)]
        optima = [
            descend(self.objective, law, self.region, begin, tolerance=_RESAMPLE_TOLERANCE).mixture.shares
            for law, begin in laws
        ]
        return _DrawnLaws(drawn.laws, tuple(law for law, _ in laws), np.stack(optima))


@dataclass(frozen=True, eq=False)
class _DrawnLaws:
    """A part of the laws that the runs leave possible."""

    of_chosen: tuple[FittedLaw, ...]
    """All draws of the law that is minimised."""
    laws: tuple[FittedLaw, ...]
    """Some of these, and draws of its rivals, as many of each as are plausible [K]."""
    optima: FloatArray
    """What each would choose [K, S]."""


def _draws(fitted: FittedLaw, data: LawData) -> int:
    """How many draws of the runs are worth their price."""
    if not isinstance(fitted, HierarchicalFit) or work(data, fitted.theta.shape[1]) > VERY_MUCH:
        return FEW_RESAMPLES
    return RESAMPLES


def _belief(
    weights: FloatArray,
    chosen: Validated,
    redraw: _Redraw,
    level: float,
    executor: Executor,
    progress: Progress,
) -> tuple[Belief, dict[str, FloatArray]]:
    progress.stage("resampling runs", PIECES, "pieces")
    pieces: dict[int, _DrawnLaws] = {}
    for index, piece in executor.map(redraw, range(PIECES)):
        pieces[index] = piece
        progress.advance(1)
    drawn = [pieces[index] for index in range(PIECES)]
    belief = Belief(
        redraw.data,
        weights,
        chosen,
        Spread.of(chosen.held_out.combined(weights)),
        Resamples(tuple(law for one in drawn for law in one.laws)),
        redraw.pick.shares,
        np.concatenate([one.optima for one in drawn]),
        level,
    )
    return belief, parameters_of(redraw.law.name, [law for one in drawn for law in one.of_chosen])


def _common(values: FloatArray) -> float:
    """The one value of a column; NaN where it is unknown or there are several."""
    found = np.unique(values[np.isfinite(values)])
    return float(found[0]) if len(found) == 1 and np.isfinite(values).all() else math.nan


def _origin(observations: Observations, question: Question, command: str) -> Origin:
    runs = {
        "keys": list(observations.keys),
        "sources": list(observations.sources),
        "metrics": list(observations.metrics),
        "shares": observations.shares.tobytes().hex(),
        "values": observations.values.tobytes().hex(),
    }
    return Origin(digest(runs), digest(encode(question)), versions(("numpy", "scipy")), command)
