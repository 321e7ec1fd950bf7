"""``cuvee check``: train the pick of an answer and the baselines afresh."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cuvee.cli.options import HERE, AsJson, Study

if TYPE_CHECKING:
    from pathlib import Path

    from cuvee.study.answers import AnyDecision


class Flow(StrEnum):
    """The command whose answer is checked."""

    run = "run"
    search = "search"
    scale = "scale"


def check(
    study: Study = HERE,
    of: Annotated[Flow, typer.Option(help="The command whose answer is checked.")] = Flow.run,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Training runs of each mixture, including existing ones.",
        ),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print runs, FLOPs and time, and exit.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train the pick, equal shares and proportional shares with fresh seeds, and compare them."""
    from cuvee.cli.run import carry_out, look_ahead, print_outlook
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.folder import StudyFolder

    folder = StudyFolder.of(study)
    config = StudyConfig.load(study)
    if seeds is not None:
        config = config.checking(seeds)
    answer = _read(folder.root, of)

    from cuvee.flows.check.flow import check_answer, outlook  # torch with it: what is wrong is refused before
    from cuvee.report.check_printout import check_printout

    if plan:
        look_ahead(
            config,
            folder,
            lambda config, folder, progress: outlook(config, folder, answer, progress),
            print_outlook,
            as_json,
        )
        return
    carry_out(
        config,
        folder,
        lambda config, folder, progress, executor: check_answer(config, folder, answer, progress, executor),
        as_json,
        lambda answer, _: check_printout(answer),
    )


def _read(root: "Path", of: Flow) -> "AnyDecision":
    """The answer that lies in a study's folder.

    Raises:
        ConfigError: there is none yet, or it cannot be read.
    """
    from cuvee.errors import ConfigError
    from cuvee.study.answers import read_answer

    answer = read_answer(root, of.value)
    if answer is None:
        raise ConfigError(f"{root}: `cuvee {of.value}` has not answered yet; run it first")
    return answer
