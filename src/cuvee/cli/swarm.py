"""``cuvee swarm``: runs of a trainer of the user's, and the mixture that they speak for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cuvee.cli.options import HERE, AsJson, Study

if TYPE_CHECKING:
    from cuvee.flows.fit.flow import FitResult
    from cuvee.flows.swarm.flow import Swarm
    from cuvee.flows.swarm.outlook import SwarmOutlook
    from cuvee.study.file.config import StudyConfig
    from cuvee.types import Json

_LEAST_RUNS = 4
"""Of which a law can be judged, beside one for each source."""
_FAILURES_SHOWN = 3


def swarm(
    study: Study = HERE,
    emit: Annotated[
        Path | None,
        typer.Option(
            "--emit",
            metavar="DIR",
            help="Launch nothing: write a script for each run and one for an array of Slurm jobs. The same "
            "command again collects what has ended.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", min=1, help="Make or write at most N of the missing runs."),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Print runs, tokens, FLOPs and time, as far as they are known, and exit."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train mixtures with your own trainer, and find the best mixture by laws (docs/trainers.md)."""
    from cuvee.cli.output import print_json
    from cuvee.cli.progress_display import progress_display
    from cuvee.cli.run import forbid_the_hub, look_ahead
    from cuvee.flows.swarm import flow
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.folder import StudyFolder
    from cuvee.study.trainer_origin import TrainerOrigin

    folder, config = StudyFolder.of(study), StudyConfig.load(study)
    if plan:
        look_ahead(config, folder, flow.outlook, _show_outlook, as_json)
        return
    forbid_the_hub(config)
    with folder.locked():
        origin = TrainerOrigin.of(config, folder)
        with progress_display() as progress:
            found = flow.run(config, folder, progress, emit=emit, limit=limit)
        answer = _answered(config, found, emit) if _enough(found) else None
        if answer is not None:
            origin.write(folder, "swarm")
    if as_json:
        print_json(_as_json(found, answer))
    else:
        _show(found, answer, emit)


def _enough(found: "Swarm") -> bool:
    """Whether to ask: of runs that are all there, however few, the fit itself says what is missing."""
    least = max(_LEAST_RUNS, len(found.observations.sources) + 1)
    return not found.missing or len(found.observations) >= least


def _answered(config: "StudyConfig", found: "Swarm", emit: Path | None) -> "tuple[FitResult, Path]":
    """The answer of the runs that there are. Raises: ConfigError with runs that failed, where it has none."""
    from cuvee.errors import ConfigError

    try:
        return _asked(config, found)
    except ConfigError as error:
        if not found.failed:
            raise
        again = "the same command" if emit is None else f"cd {emit} && sbatch array.sh"
        first = f"{again} tries those again. The first that failed: {found.failed[0].error}"
        raise ConfigError(
            f"{str(error).removesuffix('.')}. {found.statement.removesuffix('.')}; {first}"
        ) from error


def _asked(config: "StudyConfig", found: "Swarm") -> "tuple[FitResult, Path]":
    """As ``cuvee fit`` answers of the table, with what the study asks."""
    from dataclasses import replace

    from cuvee.cli.fit import answered
    from cuvee.doctor.first_lines import first_lines
    from cuvee.doctor.subject import Subject
    from cuvee.errors import ConfigError
    from cuvee.flows.swarm.question import question_of
    from cuvee.question.runs import one_scale
    from cuvee.question.wording import TRAINER_KEYS
    from cuvee.report.title import title_of

    if not len(found.observations):
        raise ConfigError("no run measured anything")
    trainer, question = config.trainer, question_of(config, found.available)
    tables = [found.table]
    texts = tuple(config.evaluation_names)
    subject = replace(Subject.read(tables, {}, trainer.lower, trainer.higher, question), texts=texts)
    asked = (trainer.lower, trainer.higher, question.target_tokens, TRAINER_KEYS, texts)
    runs = one_scale(subject.all_runs, tables, *asked)
    runs = replace(runs, name=title_of(config.name, found.table.parents[1].name))
    incomplete = (found.statement,) if found.failed or found.missing else ()
    lines = (*incomplete, *first_lines(runs, question, subject))
    out = found.table.parent
    return answered(runs, question, lines, question.laws_compared, out, f"cuvee swarm {out.parent}")


def _show(found: "Swarm", answer: "tuple[FitResult, Path] | None", emit: Path | None) -> None:
    from cuvee.cli.fit import show_answer

    if answer is not None:
        show_answer(*answer, found.table.parent)
    print(f"{found.statement} Their folders: {found.runs}" if found.runs.is_dir() else found.statement)
    for one in found.failed[:_FAILURES_SHOWN]:
        print(f"failed: {one.error}")
    if len(found.failed) > _FAILURES_SHOWN:
        print(f"and {len(found.failed) - _FAILURES_SHOWN} more; each has its log in its folder")
    if emit is not None and (found.missing or found.failed):
        print(f"to make them: cd {emit} && sbatch array.sh; then the same command collects what has ended")
    elif found.failed:
        print("the same command tries those again")


def _show_outlook(outlook: "SwarmOutlook") -> None:
    from cuvee.cli.output import print_table
    from cuvee.execution.tariff import HOUR
    from cuvee.quantities import PLAIN_MISSING, flops, plain, seconds, tally

    tariff, paid = outlook.tariff, outlook.gpus is not None
    priced = paid and tariff.hour is not None
    each, hours = outlook.flops_each, outlook.gpu_hours_left
    print_table(
        "Plan",
        ["runs", "tokens", "done", "failed", "to make", "FLOPs to go", "time of one", "time to go"]
        + (["GPU-hours"] if paid else [])
        + ([tariff.currency] if priced else []),
        [
            [
                str(outlook.runs),
                tally(outlook.tokens),
                str(outlook.done),
                str(outlook.failed),
                str(outlook.left),
                PLAIN_MISSING if each is None else flops(each * outlook.left),
                seconds(outlook.seconds_each),
                seconds(HOUR * outlook.hours_left),
                *([plain(hours, 2)] if paid else []),
                *([tariff.cost(hours).removesuffix(tariff.currency).strip()] if priced else []),
            ]
        ],
    )
    print(outlook.statement)


def _as_json(found: "Swarm", answer: "tuple[FitResult, Path] | None") -> "Json":
    return {
        "asked": found.asked,
        "done": len(found.observations),
        "failed": {one.key: one.error for one in found.failed},
        "missing": list(found.missing),
        "runs": str(found.runs),
        "answer": None if answer is None else answer[0].decision.as_json(),
    }
