"""``cuvee report``: write the reports of a decided study again (floor 9)."""

from typing import TYPE_CHECKING

from cuvee.cli.options import HERE, AsJson, Study

if TYPE_CHECKING:
    from pathlib import Path

    from cuvee.study.decision import Decision
    from cuvee.study.folder import StudyFolder


def report(study: Study = HERE, as_json: AsJson = False) -> None:
    """Write the reports of a study that has been decided, without running anything."""
    from cuvee.cli.output import print_decision, print_json
    from cuvee.study.folder import StudyFolder

    folder = StudyFolder.of(study)
    decision = read(folder)
    paths = write(decision, folder)
    if as_json:
        print_json({"reports": [str(path) for path in paths]})
    else:
        print_decision(decision)
        print(f"report: {folder.report}")


def read(folder: "StudyFolder") -> "Decision":
    """The decision that lies in a study's folder.

    Raises:
        ConfigError: there is none yet, or it cannot be read.
    """
    import json

    from cuvee.errors import ConfigError
    from cuvee.study.decision import Decision

    try:
        document = json.loads(folder.decision.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{folder.decision}: not there yet; `cuvee run {folder.root}` makes it") from error
    except ValueError as error:
        raise ConfigError(f"{folder.decision}: not JSON ({error}); `cuvee run` writes it again") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{folder.decision}: not a decision; `cuvee run` writes it again")
    return Decision.from_json(document)


def write(decision: "Decision", folder: "StudyFolder") -> "tuple[Path, ...]":
    """All reports of a decision, beside the study; the paths written."""
    from cuvee.report.reports import write_reports
    from cuvee.report.view import StudyView
    from cuvee.runs.store import RunStore
    from cuvee.study.answers import Answers

    observations = RunStore(folder.store).observations() if folder.store.exists() else None
    answers = Answers.read(folder.root, decision)
    return write_reports(StudyView.of(decision, observations, answers), folder.root)
