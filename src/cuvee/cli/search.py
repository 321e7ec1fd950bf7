"""``cuvee search``: one experiment after another, whichever is most informative for its price."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cuvee.cli.executors import Address, Artifacts, ExecutorName, ExecutorOption, JobMemory, Place
from cuvee.cli.names import METHODS, one_of
from cuvee.cli.options import HERE, AsJson, Study

if TYPE_CHECKING:
    from cuvee.flows.search.outlook import SearchOutlook


def search(
    study: Study = HERE,
    budget: Annotated[
        float | None, typer.Option("--budget", metavar="FLOPS", help="Overrides `search.budget_flops`.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option("--method", metavar="NAME", help=f"Overrides `search.method`. {one_of(METHODS)}"),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print the available experiments and their prices, and exit.")
    ] = False,
    emit: Annotated[
        Path | None,
        typer.Option(
            "--emit",
            metavar="DIR",
            help="Write runs of your own trainer as scripts, batch by batch; the same command goes on.",
        ),
    ] = None,
    executor: ExecutorName = ExecutorOption.local,
    address: Address = None,
    job_memory: JobMemory = 0.0,
    artifacts: Artifacts = None,
    as_json: AsJson = False,
) -> None:
    """Search for the best mixture with merges, short runs and long runs, within a budget of FLOPs."""
    from cuvee.cli.output import print_json
    from cuvee.cli.run import carry_out, look_ahead
    from cuvee.errors import RunsAwaited
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.folder import StudyFolder
    from cuvee.study.trainer_origin import TrainerOrigin

    place = Place(executor, address, job_memory, artifacts).check()
    folder, config = StudyFolder.of(study), StudyConfig.load(study)
    given = {"budget_flops": budget, "method": method}
    config = config.searching({name: value for name, value in given.items() if value is not None})

    from cuvee.flows.search import flow  # torch with it: a study that is wrong is refused before

    if plan:
        look_ahead(config, folder, flow.outlook, _print_outlook, as_json)
        return
    origin = TrainerOrigin.of(config, folder) if config.search.trainer_tokens else None
    try:
        carry_out(config, folder, partial(flow.run, emit=emit), as_json, place=place)
    except RunsAwaited as awaited:
        print_json({"awaited": str(awaited)}) if as_json else print(awaited)
        return
    if origin is not None:
        origin.write(folder, "search")


def _print_outlook(outlook: "SearchOutlook") -> None:
    from cuvee.cli.output import print_table
    from cuvee.execution.tariff import HOUR
    from cuvee.quantities import flops, seconds, short, tally
    from cuvee.report.search_view import kind_named

    tariff = outlook.tariff
    paid = [tariff.currency] if tariff.hour is not None else []
    print_table(
        "What can be asked for",
        ["kind", "parameters", "tokens", "FLOPs", "time of one", *paid, "at most"],
        [
            [
                kind_named(row.kind),
                tally(row.parameters),
                tally(row.tokens),
                flops(row.flops),
                seconds(row.seconds),
                *([tariff.cost(row.seconds / HOUR)] if paid else []),
                short(row.affordable),
            ]
            for row in outlook.rows
        ],
    )
    print(outlook.statement)
