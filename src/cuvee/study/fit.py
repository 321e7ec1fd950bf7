"""From a table of runs to a decision: the flow of ``cuvee fit`` (floor 7).

Laws are fitted and judged on runs they did not see; one of them is minimised over the region; resamples of
the runs say how sure that is, which mixtures are tied with it, and what further runs would be worth.
Nothing is trained and nothing heavy is loaded. Deterministic for one table, question and seed.
"""

import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from threadpoolctl import threadpool_limits

from cuvee.errors import ConfigError
from cuvee.execution.interface import Executor, Report
from cuvee.execution.local import InProcess
from cuvee.hashing import digest
from cuvee.laws.ensemble import Ensemble, combine
from cuvee.laws.hierarchical import HierarchicalFit
from cuvee.laws.interface import FittedLaw, Law, LawData
from cuvee.laws.registry import law_named
from cuvee.laws.resampling import Resamples
from cuvee.laws.spread import Spread
from cuvee.laws.surrogate import Surrogate
from cuvee.laws.validation import Validated, validate
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.progress import Progress, Silent
from cuvee.runs.observations import Observations
from cuvee.search.objective import Objective
from cuvee.search.optimum import descend, minimise
from cuvee.study import law_decision as d
from cuvee.study.belief import Belief
from cuvee.study.comparisons import baseline_name, conditions, objective_of, rivals_of
from cuvee.study.decision_json import encode
from cuvee.study.distance import distance
from cuvee.study.front import front_of
from cuvee.study.law_rows import candidates_of, held_out_runs, law_row, metrics_of
from cuvee.study.next_runs import worth_of_more
from cuvee.study.question import Question
from cuvee.study.verdict import UNJUDGED
from cuvee.types import FloatArray

LAWS_COMPARED = ("linear", "log_linear", "effective_data", "gp_sqrt", "gp_log", "ensemble")
RESAMPLES = 100
FEW_RESAMPLES = 24
"""For laws of which each draw takes a fit from the beginning."""
PIECES = 4
"""In which the resamples are drawn; the same whatever runs them, so that numbers are."""
_LEAST_RUNS = 3
_RESAMPLE_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class Answer:
    """The decision and the law behind it."""

    decision: d.LawDecision
    surrogate: Surrogate


def decide(
    observations: Observations,
    question: Question,
    *,
    table: str,
    command: str = "",
    notes: tuple[str, ...] = (),
    warnings: tuple[str, ...] = (),
    compared: Sequence[str] = LAWS_COMPARED,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Answer:
    """Answer a question about runs of one scale.

    Args:
        observations: the runs.
        question: what is asked.
        table: how the runs are called in the answer.
        command: that asks the same again; kept in the answer.
        notes: kept in the answer.
        warnings: kept in the answer, and in its first lines.
        compared: laws that stand beside the one of the question.
        executor: where laws are fitted and runs resampled; default here. It changes no number.
        progress: told of laws, resamples and optima.

    Raises:
        ConfigError: too few runs, or all alike; unknown metrics or sources (told).
        InfeasibleRegion: no mixture is allowed.
    """
    progress, executor = progress or Silent(), executor or InProcess()
    target = question.target(observations.metrics)
    region = question.region(observations.sources)
    data = LawData.of(observations, directions=question.directions)
    weights = np.array(list(target.values()))
    _check(data, weights)
    # Products here are small; more threads than one cost more in waking than they give. Workers have one.
    with threadpool_limits(limits=1):
        rivals = rivals_of(data, weights, region, question)
        objective = objective_of(target, question, observations, rivals)
        validated = _validated(data, question, compared, executor, progress)
        chosen = validated[question.law]
        best = minimise(objective, chosen.fitted, region, seed=question.seed)
        surrogate = Surrogate.of(chosen, data, question.directions)
        redraw = _Redraw(
            law_named(question.law),
            chosen.fitted,
            data,
            surrogate.spread.factor,
            objective,
            region,
            best.mixture,
            question.seed,
        )
        belief = _belief(weights, chosen, redraw, question.level, executor, progress)
        worth = worth_of_more(belief)
        candidates = candidates_of(belief, rivals)
        decision = d.LawDecision(
            table=table,
            created_from=_origin(observations, question, command),
            runs=len(data),
            params=_common(observations.params),
            tokens=_common(observations.tokens),
            target_tokens=question.target_tokens,
            headline=(),
            verdict=UNJUDGED,
            law=question.law,
            laws=tuple(law_row(name, one, weights, question) for name, one in validated.items()),
            mixture=belief.shares(region.upper, question),
            gap=best.gap,
            metrics=metrics_of(surrogate, target, candidates, question),
            candidates=candidates,
            tied=belief.tied([one.name for one in rivals], np.stack([one.mixture.shares for one in rivals])),
            sensitivities=belief.sensitivities(),
            distance=distance(observations, belief.pick),
            next_runs=worth.runs,
            expected_gain=worth.expected_gain,
            likely_gain=worth.likely_gain,
            held_out=held_out_runs(observations.keys, chosen, weights),
            notes=(*conditions(question, baseline_name(question, rivals)), *notes),
            warnings=warnings,
            level=question.level,
            front_metrics=question.front,
            front=front_of(question.front, objective, chosen.fitted, region, question.directions),
        )
    return Answer(decision.judged(), surrogate)


def _check(data: LawData, weights: FloatArray) -> None:
    measured = np.isfinite(data.costs[:, weights > 0]).all(axis=1)
    if measured.sum() < _LEAST_RUNS:
        raise ConfigError(
            f"{int(measured.sum())} of {len(data)} runs have all metrics of the target; a law that can be "
            f"checked needs {_LEAST_RUNS}, and to be of use as many as sources ({len(data.sources)})"
        )
    if np.ptp(data.shares[measured], axis=0).max() < 1e-9:
        raise ConfigError("all runs have the same mixture: nothing can be learnt about shares from them")
    if np.ptp(data.costs[measured][:, weights > 0] @ weights[weights > 0]) == 0:
        raise ConfigError("the target is the same in all runs: nothing can be learnt about shares from them")


def _validated(
    data: LawData, question: Question, compared: Sequence[str], executor: Executor, progress: Progress
) -> dict[str, Validated]:
    """Every law fitted and cross-validated; an ensemble is made of its members, which stand beside it."""
    names: dict[str, None] = {}
    for name in (*compared, question.law):
        law = law_named(name)
        names |= dict.fromkeys(member.name for member in law.members) if isinstance(law, Ensemble) else {}
        names[name] = None
    single = [name for name in names if not isinstance(law_named(name), Ensemble)]
    progress.stage("fitting laws", len(single), "laws")
    found: dict[str, Validated] = {}
    for index, one in executor.map(partial(_fitted, data, question.seed), single):
        found[single[index]] = one
        progress.advance(1, single[index])
    for name in names:
        law = law_named(name)
        if isinstance(law, Ensemble):
            found[name] = combine([found[member.name] for member in law.members])
    return {name: found[name] for name in names}


def _fitted(data: LawData, seed: int, name: str, report: Report) -> Validated:
    return validate(law_named(name), data, seed=seed)


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

    def __call__(self, piece: int, report: Report) -> tuple[tuple[FittedLaw, ...], FloatArray]:
        rng = np.random.default_rng([self.seed, piece])
        count = RESAMPLES if isinstance(self.fitted, HierarchicalFit) else FEW_RESAMPLES
        drawn = Resamples.draw(self.law, self.fitted, self.data, count // PIECES, rng, self.factor)
        optima = [
            descend(self.objective, law, self.region, self.pick, tolerance=_RESAMPLE_TOLERANCE).mixture.shares
            for law in drawn.laws
        ]
        return drawn.laws, np.stack(optima)


def _belief(
    weights: FloatArray,
    chosen: Validated,
    redraw: _Redraw,
    level: float,
    executor: Executor,
    progress: Progress,
) -> Belief:
    progress.stage("resampling runs", PIECES, "pieces")
    pieces: dict[int, tuple[tuple[FittedLaw, ...], FloatArray]] = {}
    for index, piece in executor.map(redraw, range(PIECES)):
        pieces[index] = piece
        progress.advance(1)
    laws = tuple(law for index in range(PIECES) for law in pieces[index][0])
    optima = np.concatenate([pieces[index][1] for index in range(PIECES)])
    spread = Spread.of(chosen.held_out.combined(weights))
    return Belief(redraw.data, weights, chosen, spread, Resamples(laws), redraw.pick.shares, optima, level)


def _common(values: FloatArray) -> float:
    """The one value of a column; NaN where it is unknown or there are several."""
    found = np.unique(values[np.isfinite(values)])
    return float(found[0]) if len(found) == 1 and np.isfinite(values).all() else math.nan


def _origin(observations: Observations, question: Question, command: str) -> d.Origin:
    versions = {"python": platform.python_version()}
    for name in ("cuvee", "numpy", "scipy"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # a development tree without metadata
            continue
    runs = {
        "keys": list(observations.keys),
        "sources": list(observations.sources),
        "metrics": list(observations.metrics),
        "shares": observations.shares.tobytes().hex(),
        "values": observations.values.tobytes().hex(),
    }
    return d.Origin(digest(runs), digest(encode(question)), versions, command)
