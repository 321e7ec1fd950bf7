"""Benchmark: a table of runs made ready to be searched in.

Fidelities are the kinds and sizes of the runs. A fidelity costs the mean of what the table says that its runs
cost, and 6 x parameters x tokens where it says nothing. A table without sizes is one fidelity.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cuvee.errors import ConfigError
from cuvee.execution.interface import Executor
from cuvee.flows.simulate.names import fidelity_named, fidelity_names
from cuvee.flows.simulate.question import SimulationQuestion
from cuvee.hashing import digest
from cuvee.laws.interface import LawData, Scale
from cuvee.laws.registry import law_named
from cuvee.laws.validation import validate
from cuvee.mixture.region import Region
from cuvee.quantities import agreeing, counted
from cuvee.question.question import Question
from cuvee.runs.formats.part import listed
from cuvee.runs.observations import Observations
from cuvee.search.objective import Objective
from cuvee.search.optimum import minimise
from cuvee.search.replay import FidelityKey, Replay
from cuvee.search.space import Space
from cuvee.types import FloatArray

_LEAST_MIXTURES = 2
_FIDELITIES_SHOWN = 8


@dataclass(frozen=True, eq=False)
class Benchmark:
    """A replay, and what is to be minimised in it."""

    replay: Replay
    target: dict[str, float]
    """Metric -> weight, those that weigh; they sum to one."""
    content: str
    """Digest of the runs: mixtures, sizes, costs and metrics."""
    unknown: tuple[str, ...]
    """Of ``params`` and ``tokens`` those that no run has: they are 1 here, and FLOPs mean nothing."""
    counts: tuple[int, ...]
    """Different mixtures that were run at each fidelity."""

    @property
    def weights(self) -> FloatArray:
        """Of the metrics of the replay [E]."""
        return np.array(list(self.target.values()))


def benchmark_of(observations: Observations, question: SimulationQuestion, executor: Executor) -> Benchmark:
    """Make the replay that is asked for.

    Args:
        observations: runs of any kinds and sizes.
        question: metrics, target fidelity, and whether a law answers.
        executor: where the law is cross-validated.

    Raises:
        ConfigError: a metric is unknown or not measured in some run, sizes are known of some runs only, the
            target fidelity is none of the table, or holds nothing to choose between, or the law cannot be
            fitted, or says the same of all fidelities.
    """
    weights = Question(weights=question.weights).target(observations.metrics)
    target = {name: weight for name, weight in weights.items() if weight > 0}
    runs = replace(
        observations,
        metrics=tuple(target),
        values=np.stack([observations.metric(name) for name in target], axis=1),
    )
    _check_measured(runs)
    runs, unknown = _with_sizes(runs)
    directions = {name: way for name, way in question.directions.items() if name in target}
    replay = Replay.of_tables(runs, directions=directions, flops=_prices(runs))
    space = replay.space
    if question.target_fidelity:
        space = replace(space, target=fidelity_named(space.fidelities, question.target_fidelity))
        replay = replace(replay, space=space)
    counts = tuple(len(space.rows(fidelity)) for fidelity in range(len(space.fidelities)))
    _check_choice(replay, np.array(list(target.values())), counts)
    if question.law:
        data = LawData.of(runs, directions=directions)
        replay = _predicted(data, target, space, question, executor)
    return Benchmark(replay, target, _content(runs), unknown, counts)


def _check_measured(runs: Observations) -> None:
    missing = np.isnan(runs.values)
    if not missing.any():
        return
    row, column = np.argwhere(missing)[0]
    short = int(missing.any(axis=1).sum())
    raise ConfigError(
        f"metric {runs.metrics[column]!r} was not measured in run {runs.keys[row]!r} "
        f"({short} of {counted(len(runs), 'run')} {agreeing(short, 'misses', 'miss')} a metric of the "
        "target); choose metrics "
        "with --target METRIC, or rows with --where COLUMN=VALUE"
    )


def _with_sizes(runs: Observations) -> tuple[Observations, tuple[str, ...]]:
    """With ones for the sizes that no run has, and which these are."""
    unknown = tuple(name for name in ("params", "tokens") if np.isnan(getattr(runs, name)).all())
    filled: dict[str, Any] = {name: np.ones(len(runs)) for name in unknown}
    return replace(runs, **filled), unknown


def _prices(runs: Observations) -> dict[FidelityKey, float]:
    """FLOPs of the fidelities of which every run has them."""
    by_fidelity: dict[FidelityKey, list[float]] = {}
    sizes = zip(runs.kind, runs.params.tolist(), runs.tokens.tolist(), strict=True)
    for key, flops in zip(sizes, runs.flops.tolist(), strict=True):
        by_fidelity.setdefault(key, []).append(flops)
    return {key: float(np.mean(flops)) for key, flops in by_fidelity.items() if all(one > 0 for one in flops)}


def _check_choice(replay: Replay, weights: FloatArray, counts: tuple[int, ...]) -> None:
    space = replay.space
    names = fidelity_names(space.fidelities)
    if counts[space.target] < _LEAST_MIXTURES:
        order = sorted(range(len(counts)), key=lambda fidelity: -counts[fidelity])
        listing = listed([f"{names[fidelity]} ({counts[fidelity]})" for fidelity in order], _FIDELITIES_SHOWN)
        raise ConfigError(
            f"only {counts[space.target]} mixture was run at the target fidelity {names[space.target]}: "
            f"there is nothing to search; choose another with --target-fidelity. Fidelities and their "
            f"mixtures: {listing}."
        )
    if np.ptp(replay.truth(replay.reference()) @ weights) == 0:
        raise ConfigError(
            f"the target is the same for all {counts[space.target]} mixtures at {names[space.target]}: there "
            "is nothing to search"
        )


def _predicted(
    data: LawData, weights: dict[str, float], space: Space, question: SimulationQuestion, executor: Executor
) -> Replay:
    validated = validate(law_named(question.law), data, executor=executor)
    error = np.sqrt(np.nanmean(validated.held_out.residuals**2, axis=0))
    noise = error if np.isnan(question.noise) else np.full(len(data.metrics), question.noise)
    free = Space(Region.simplex(space.sources), space.fidelities, space.target)
    fidelity = space.fidelities[space.target]
    lowest = minimise(
        Objective(weights, scale=Scale(fidelity.params, fidelity.tokens)), validated.fitted, free.region
    )
    replay = replace(Replay.of_law(validated.fitted, free, noise), best=lowest.mixture.shares)
    pool = space.pool
    assert pool is not None  # it is of tables
    first = replay.truth(pool)
    if len(space.fidelities) > 1 and all(
        np.array_equal(first, replay.answers(pool, fidelity)) for fidelity in range(len(space.fidelities))
    ):
        raise ConfigError(
            f"the law {question.law!r} knows nothing of scale and says the same of all "
            f"{len(space.fidelities)} fidelities; choose one that does, such as "
            "effective_data_scaling, or one fidelity with --where "
            "params=... or tokens=..."
        )
    return replay


def _content(runs: Observations) -> str:
    arrays = {name: getattr(runs, name) for name in ("shares", "params", "tokens", "values", "flops")}
    names = {name: list(getattr(runs, name)) for name in ("sources", "metrics", "keys", "kind")}
    return digest(names | {name: array.tobytes().hex() for name, array in arrays.items()})
