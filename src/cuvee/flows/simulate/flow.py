"""From a table of runs to a comparison of search methods: the flow of ``cuvee simulate``.

The runs stand for an experiment that costs what it cost, or a law fitted to them does. Every method searches
it from the beginning, once for each seed. Deterministic for one table and question.

    OUT/plays/             what each method did, see ``plays.py``
    OUT/simulation.json    the answer (written by ``report``, with the page)
    OUT/simulation.html
"""

from dataclasses import dataclass, replace
from pathlib import Path

from threadpoolctl import threadpool_limits

from cuvee.decisions.document import encode
from cuvee.decisions.provenance import Origin, versions
from cuvee.decisions.simulate.decision import Simulation
from cuvee.decisions.simulate.headline import headline
from cuvee.execution.interface import Executor
from cuvee.execution.local import InProcess
from cuvee.flows.simulate.benchmark import Arena, arena_of
from cuvee.flows.simulate.notes import notes
from cuvee.flows.simulate.question import SimulationQuestion
from cuvee.flows.simulate.scores import comparisons, level_rows, method_row, verdict
from cuvee.flows.simulate.software import LIBRARIES
from cuvee.flows.simulate.trajectories import Plays, played
from cuvee.hashing import digest
from cuvee.progress import Progress, Silent
from cuvee.runs.observations import Observations


@dataclass(frozen=True, eq=False)
class Simulated:
    """The answer, and how long it took, which is no part of it."""

    simulation: Simulation
    seconds: dict[str, float]
    """Method -> seconds for each experiment; NaN where all plays were kept from before."""


def simulate(
    observations: Observations,
    question: SimulationQuestion,
    *,
    table: str,
    folder: Path,
    command: str = "",
    notes_before: tuple[str, ...] = (),
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Simulated:
    """Play methods of search against runs.

    Args:
        observations: runs of any kinds and sizes.
        question: what is asked.
        table: how the runs are called in the answer.
        folder: where plays are kept; those that lie there are not made again.
        command: that asks the same again; kept in the answer.
        notes_before: on the table; kept in the answer.
        executor: where plays are made; default here. It changes no number.
        progress: told of every play.

    Raises:
        ConfigError: the runs cannot be searched (see ``arena_of``), or the budget ends before a method's
            first run at the target.
    """
    progress, executor = progress or Silent(), executor or InProcess()
    # As in ``flows/fit/flow.py``: products are small, and workers have one thread, so numbers are the same.
    with threadpool_limits(limits=1):
        arena = arena_of(observations, question, executor)
        plays = played(arena, question, folder, executor, progress)
        result = _concluded(arena, question, plays, table, len(observations), command)
    result = replace(result, notes=(*notes(question, result), *notes_before))
    seconds = {one.method: one.seconds for one in plays}
    return Simulated(result.with_headline(headline(result)), seconds)


def _concluded(
    arena: Arena, question: SimulationQuestion, plays: tuple[Plays, ...], table: str, runs: int, command: str
) -> Simulation:
    compared = comparisons(plays)
    some = plays[0].plays[0]
    noise = arena.replay.noise
    return Simulation(
        table=table,
        created_from=Origin(arena.content, digest(encode(question)), versions(LIBRARIES), command),
        headline=(),
        runs=runs,
        target=arena.target,
        law=question.law,
        noise={} if noise is None else dict(zip(arena.replay.metrics, noise.tolist(), strict=True)),
        levels=level_rows(arena),
        seeds=question.seeds,
        budget=question.budget,
        batch=question.batch,
        optimum=some.optimum,
        median=some.median,
        methods=tuple(method_row(one, question.budget) for one in plays),
        verdict=verdict(compared),
        comparisons=compared,
    )
