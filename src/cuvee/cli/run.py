"""``cuvee run``: answer a study, or go on where it stopped (floor 9)."""

import os
from typing import TYPE_CHECKING, Protocol, TypeVar

from cuvee.cli.options import HERE, AsJson, Study

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cuvee.progress import Progress
    from cuvee.study.config import StudyConfig
    from cuvee.study.decision import Decision
    from cuvee.study.folder import StudyFolder
    from cuvee.types import Json


class _Told(Protocol):
    def as_json(self) -> "Json": ...


Answer = TypeVar("Answer", bound=_Told)


def run(study: Study = HERE, as_json: AsJson = False) -> None:
    """Answer a study, or go on where it stopped: train, blend, judge, decide."""
    from cuvee.study.config import StudyConfig
    from cuvee.study.folder import StudyFolder

    folder = StudyFolder.of(study)
    decide(StudyConfig.load(study), folder, as_json)


def decide(config: "StudyConfig", folder: "StudyFolder", as_json: bool) -> None:
    """Run the flow, write its reports, and print the decision."""
    from cuvee.cli.answers import print_answers
    from cuvee.cli.output import print_decision
    from cuvee.cli.report import write
    from cuvee.study import ablation

    def written(decision: "Decision", root: "Path") -> "Path":
        write(decision, folder)
        return folder.report

    def shown(decision: "Decision") -> None:
        print_decision(decision)
        print_answers(folder.root, decision)

    carry_out(config, folder, ablation.run, shown, as_json, written)


def carry_out(
    config: "StudyConfig",
    folder: "StudyFolder",
    flow: "Callable[[StudyConfig, StudyFolder, Progress], Answer]",
    show: "Callable[[Answer], None]",
    as_json: bool,
    write: "Callable[[Answer, Path], Path] | None" = None,
) -> None:
    """Run a flow of a study with its progress shown, write its reports, and print its answer.

    Args:
        config: of the study.
        folder: of the study; nobody else can work in it meanwhile.
        flow: what is run.
        show: prints the answer.
        as_json: print it as JSON instead.
        write: writes the reports of an answer into a folder and gives the page's path; None where there are
            none.
    """
    from cuvee.cli.output import print_json
    from cuvee.cli.progress_display import progress_display

    forbid_the_hub(config)
    with folder.locked(), progress_display() as progress:
        answer = flow(config, folder, progress)
        page = None if write is None else write(answer, folder.root)
    if as_json:
        print_json(answer.as_json())
        return
    show(answer)
    if page is not None:
        print(f"report: {page}")


def forbid_the_hub(config: "StudyConfig") -> None:
    """Keep the Hugging Face libraries from looking things up in the network, unless a source lies there."""
    evaluations = config.evaluations.named.values()
    paths = [path for text in (*config.sources.values(), *evaluations) for path in text.paths]
    if not any(path.startswith("hub:") for path in paths):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
