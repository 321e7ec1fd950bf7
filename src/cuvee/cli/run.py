"""``cuvee run``: answer a study, or go on where it stopped."""

import os
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar

import typer

from cuvee.cli.executors import (
    HERE_AND_NOW,
    Address,
    Artifacts,
    ExecutorName,
    ExecutorOption,
    JobMemory,
    Place,
)
from cuvee.cli.options import HERE, AsJson, Study

if TYPE_CHECKING:
    from collections.abc import Callable

    from cuvee.decisions.answers.answers import Answers
    from cuvee.execution.interface import Executor
    from cuvee.progress import Progress
    from cuvee.report.printout import Printout
    from cuvee.study.answers import AnyDecision
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.folder import StudyFolder
    from cuvee.study.outlook import Outlook
    from cuvee.types import Json


class _Shown(Protocol):
    def as_json(self) -> "Json": ...


Shown = TypeVar("Shown", bound=_Shown)


def run(
    study: Study = HERE,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print runs, FLOPs and time of every stage, and exit.")
    ] = False,
    executor: ExecutorName = ExecutorOption.local,
    address: Address = None,
    job_memory: JobMemory = 0.0,
    artifacts: Artifacts = None,
    as_json: AsJson = False,
) -> None:
    """Run a study, or resume it: train, merge, calibrate, decide, check."""
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.folder import StudyFolder

    place = Place(executor, address, job_memory, artifacts).check()
    folder, config = StudyFolder.of(study), StudyConfig.load(study)
    if plan:
        from cuvee.flows.ablation import flow as ablation

        look_ahead(config, folder, ablation.outlook, print_outlook, as_json)
    else:
        decide(config, folder, as_json, place)


def decide(config: "StudyConfig", folder: "StudyFolder", as_json: bool, place: Place = HERE_AND_NOW) -> None:
    """Run the flow, write its reports, and print the decision."""
    from cuvee.flows.ablation import flow as ablation

    carry_out(config, folder, ablation.run, as_json, place=place)


def carry_out(
    config: "StudyConfig",
    folder: "StudyFolder",
    flow: "Callable[[StudyConfig, StudyFolder, Progress, Executor | None], AnyDecision]",
    as_json: bool,
    shown: "Callable[[AnyDecision, Answers], Printout] | None" = None,
    place: Place = HERE_AND_NOW,
) -> None:
    """Run a flow of a study with its progress shown, write its reports, and print its answer.

    Args:
        config: of the study.
        folder: of the study; nobody else can work in it meanwhile.
        flow: what is run.
        as_json: print the answer as JSON.
        shown: what of the answer is printed; default all of it, beside the other answers of the study.
        place: where its jobs run.
    """
    from cuvee.cli.output import print_json, show
    from cuvee.cli.progress_display import progress_display
    from cuvee.cli.report import write
    from cuvee.report.reports import Beside, printout_of
    from cuvee.study.answers import read_answers

    forbid_the_hub(config)
    with folder.locked(), place.open(config, folder) as executor, progress_display() as progress:
        answer = flow(config, folder, progress, executor)
        answers = read_answers(folder.root, answer)
        page, *_ = write(answer, folder.root, answers)
    if as_json:
        print_json(answer.as_json())
        return
    show(shown(answer, answers) if shown else printout_of(answer, Beside(answers)))
    print(f"report: {page}")


def look_ahead(
    config: "StudyConfig",
    folder: "StudyFolder",
    outlook: "Callable[[StudyConfig, StudyFolder, Progress], Shown]",
    show: "Callable[[Shown], None]",
    as_json: bool,
) -> None:
    """Print what a flow would take. It only looks, so it does so while the study is at work, too."""
    from cuvee.cli.output import print_json
    from cuvee.cli.progress_display import progress_display

    forbid_the_hub(config)
    with folder.observed(), progress_display() as progress:
        ahead = outlook(config, folder, progress)
    if as_json:
        print_json(ahead.as_json())
    else:
        show(ahead)


def print_outlook(outlook: "Outlook") -> None:
    """The stages of a flow with runs, FLOPs, time and money, and the total in a sentence."""
    from cuvee.cli.output import print_table
    from cuvee.quantities import flops, plain, seconds, tally

    tariff = outlook.tariff
    gpu, priced = tariff.unit == "GPU", tariff.hour is not None
    heads = ["stage", "size", "tokens", "runs", "to make", "FLOPs", "s/step", "time to go"]
    print_table(
        "Plan",
        [*heads, *(["GPU-hours"] if gpu else []), *([tariff.currency] if priced else [])],
        [
            [
                row.title,
                tally(row.parameters),
                tally(row.tokens),
                str(row.runs),
                str(row.left),
                flops(row.flops),
                plain(row.step_seconds),
                seconds(3600 * row.hours_left),
                *([plain(row.work_hours_left, 2)] if gpu else []),
                *([tariff.cost(row.work_hours_left).removesuffix(tariff.currency).strip()] if priced else []),
            ]
            for row in outlook.rows
        ],
    )
    print(outlook.statement)


def forbid_the_hub(config: "StudyConfig") -> None:
    """Keep the Hugging Face libraries from looking things up in the network, unless a source or task
    lies there."""
    evaluations = config.evaluations.named.values()
    paths = [path for text in (*config.sources.values(), *evaluations) for path in text.paths]
    named = any(not task.is_file for task in config.downstream)
    if not named and not any(path.startswith("hub:") for path in paths):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
