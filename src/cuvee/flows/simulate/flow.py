"""From a table of runs to a comparison of search methods: the flow of ``cuvee simulate``.

The runs stand for an experiment that costs what it cost, or a law fitted to them does. Every method searches
it from the beginning, once for each seed. Deterministic for one table and question.

    OUT/plays/             what each method did, see ``trajectories.py``
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
from cuvee.flows.simulate.benchmark import Benchmark, benchmark_of
from cuvee.flows.simulate.notes import notes
from cuvee.flows.simulate.question import SimulationQuestion
from cuvee.flows.simulate.scores import comparisons, fidelity_rows, method_row, verdict
from cuvee.flows.simulate.software import LIBRARIES
from cuvee.flows.simulate.trajectories import Trajectories, trajectories_of
from cuvee.hashing import digest
from cuvee.progress import Progress, Silent
from cuvee.runs.observations import Observations


@dataclass(frozen=True, eq=False)
class Simulated:
    """The answer, and how long it took, which is no part of it."""

    simulation: Simulation
    seconds: dict[str, float]
    """Method -> seconds for each experiment; NaN where all trajectories were kept from before."""


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
        folder: where trajectories are kept; those that lie there are not made again.
        command: that asks the same again; kept in the answer.
        notes_before: on the table; kept in the answer.
        executor: where trajectories are made; default here. It changes no number.
        progress: where every trajectory is reported.

    Raises:
        ConfigError: the runs cannot be searched (see ``benchmark_of``), or the budget ends before a method's
            first run at the target.
    """
    progress, executor = progress or Silent(), executor or InProcess()
    # As in ``flows/fit/flow.py``: products are small, and workers have one thread, so numbers are the same.
    with threadpool_limits(limits=1):
        benchmark = benchmark_of(observations, question, executor)
        trajectories = trajectories_of(benchmark, question, folder, executor, progress)
        result = _concluded(benchmark, question, trajectories, table, len(observations), command)
    result = replace(result, notes=(*notes(question, result), *notes_before))
    seconds = {one.method: one.seconds for one in trajectories}
    return Simulated(result.with_headline(headline(result)), seconds)


def _concluded(
    benchmark: Benchmark,
    question: SimulationQuestion,
    trajectories: tuple[Trajectories, ...],
    table: str,
    runs: int,
    command: str,
) -> Simulation:
    compared = comparisons(trajectories)
    some = trajectories[0].trajectories[0]
    noise = benchmark.replay.noise
    return Simulation(
        table=table,
        created_from=Origin(benchmark.content, digest(encode(question)), versions(LIBRARIES), command),
        headline=(),
        runs=runs,
        target=benchmark.target,
        law=question.law,
        noise={} if noise is None else dict(zip(benchmark.replay.metrics, noise.tolist(), strict=True)),
        fidelities=fidelity_rows(benchmark),
        seeds=question.seeds,
        budget=question.budget,
        batch=question.batch,
        optimum=some.optimum,
        median=some.median,
        methods=tuple(method_row(one, question.budget) for one in trajectories),
        verdict=verdict(compared),
        comparisons=compared,
    )
