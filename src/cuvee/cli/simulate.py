"""``cuvee simulate``: methods of search played against runs that are already there."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from cuvee.cli.fit import Higher, Lower, Tables, Targets
from cuvee.cli.names import LAWS, METHODS, METHODS_COMPARED, one_of
from cuvee.cli.options import AsJson


def simulate(
    tables: Tables,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help=f"A method of search; once for each. {one_of(METHODS)} "
            f"Default: {', '.join(METHODS_COMPARED)}.",
        ),
    ] = None,
    target: Targets = None,
    lower: Lower = None,
    higher: Higher = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="COLUMN=VALUE", help="Use only these rows, such as split=test."),
    ] = None,
    target_fidelity: Annotated[
        str | None,
        typer.Option(
            "--target-fidelity",
            "--target-level",
            metavar="PARAMS/TOKENS",
            help="Target fidelity, such as 60M/1B. Default: the most expensive one.",
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option("--budget", help="Budget of each search, in runs at the target fidelity. Default: 20."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", help="Number of searches for each method. Default: 20.")
    ] = None,
    batch: Annotated[int | None, typer.Option("--batch", help="Parallel experiments. Default: 1.")] = None,
    law: Annotated[
        str | None,
        typer.Option(
            "--law",
            metavar="NAME",
            help=f"Take this law, fitted to the runs, for the truth. {one_of(LAWS)}",
        ),
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(
            "--noise", help="Noise of a run around the law (standard deviation). Default: its held-out error."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Output folder.")] = Path("simulation"),
    as_json: AsJson = False,
) -> None:
    """Compare search methods on existing runs: what finding the best mixture would have cost."""
    from dataclasses import replace

    from cuvee.cli.given import pairs, weights
    from cuvee.cli.output import print_json, show
    from cuvee.cli.progress_display import progress_display
    from cuvee.execution.local import LocalProcesses
    from cuvee.flows.simulate.flow import simulate as play
    from cuvee.flows.simulate.question import SimulationQuestion
    from cuvee.flows.simulate.table import read_table
    from cuvee.question.question import Question
    from cuvee.question.runs import checked_directions
    from cuvee.report.reports import Beside, printout_of, write_reports

    given: dict[str, Any] = {
        "methods": tuple(method) if method else None,
        "target_fidelity": target_fidelity,
        "budget": budget,
        "seeds": seeds,
        "batch": batch,
        "law": law,
        "noise": noise,
    }
    named = {name: value for name, value in given.items() if value is not None}
    question = SimulationQuestion(weights=weights(target, "--target"), **named)
    runs = read_table(tables, pairs(where, "--where"), lower or (), higher or ())
    known = checked_directions(runs, Question(weights=question.weights)).directions
    question = replace(question, directions=known)
    lists = {"--method": method, "--target": target, "--lower": lower, "--higher": higher, "--where": where}
    single = {f"--{name.replace('_', '-')}": value for name, value in named.items() if name != "methods"}
    with progress_display() as progress:
        simulated = play(
            runs.observations,
            question,
            table=runs.name,
            folder=out,
            command=_command(tables, lists, single),
            notes_before=runs.notes,
            executor=LocalProcesses(),
            progress=progress,
        )
    page, *_ = write_reports(simulated.simulation, out)
    if as_json:
        print_json(simulated.simulation.as_json())
    else:
        show(printout_of(simulated.simulation, Beside(seconds=simulated.seconds)))
        print(f"report: {page}, answer: {out / 'simulation.json'}")


def _command(tables: list[Path], lists: dict[str, list[str] | None], single: dict[str, object]) -> str:
    words = ["cuvee", "simulate", *map(str, tables)]
    for option, values in lists.items():
        for value in values or ():
            words += [option, value]
    for option, one in single.items():
        words += [option, str(one)]
    return shlex.join(words)
