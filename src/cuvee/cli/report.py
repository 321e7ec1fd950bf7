"""``cuvee report``: write the reports of a study's answers again (floor 9)."""

from typing import TYPE_CHECKING

from cuvee.cli.options import HERE, AsJson, Study

if TYPE_CHECKING:
    from pathlib import Path

    from cuvee.decisions.ablation.decision import Decision
    from cuvee.study.folder import StudyFolder
    from cuvee.types import Json


def report(study: Study = HERE, as_json: AsJson = False) -> None:
    """Write the reports of all answers of a study (a run, a ladder, a search), without running anything."""
    from cuvee.cli.output import print_json
    from cuvee.errors import ConfigError
    from cuvee.study.folder import StudyFolder

    folder = StudyFolder.of(study)
    written: list[Path] = []
    for file, again in (
        (folder.decision, _of_run),
        (folder.scale, _of_scale),
        (folder.search, _of_search),
    ):
        if file.exists():
            written += again(folder, not as_json)
    if not written:
        raise ConfigError(f"{folder.decision}: not there yet; `cuvee run {folder.root}` makes it")
    if as_json:
        print_json({"reports": [str(path) for path in written]})


def write(decision: "Decision", folder: "StudyFolder") -> "tuple[Path, ...]":
    """All reports of a decision, beside the study; the paths written."""
    from cuvee.report.reports import write_reports
    from cuvee.report.view import StudyView
    from cuvee.runs.store import RunStore
    from cuvee.study.answers import read_answers

    observations = RunStore(folder.store).observations() if folder.store.exists() else None
    answers = read_answers(folder.root, decision)
    return write_reports(StudyView.of(decision, observations, answers), folder.root)


def _of_run(folder: "StudyFolder", shown: bool) -> "list[Path]":
    from cuvee.cli.output import print_decision
    from cuvee.decisions.ablation.decision import Decision

    decision = Decision.from_json(_document(folder.decision, "cuvee run"))
    paths = write(decision, folder)
    if shown:
        print_decision(decision)
        print(f"report: {folder.report}")
    return list(paths)


def _of_scale(folder: "StudyFolder", shown: bool) -> "list[Path]":
    from cuvee.cli.scale import print_scale
    from cuvee.decisions.scale.decision import ScaleDecision
    from cuvee.report.reports import SCALE_REPORTS, write_scale_reports

    decision = ScaleDecision.from_json(_document(folder.scale, "cuvee scale"))
    page = write_scale_reports(decision, folder.root)
    if shown:
        print_scale(decision)
        print(f"report: {page}")
    return [folder.root / name for name in SCALE_REPORTS]


def _of_search(folder: "StudyFolder", shown: bool) -> "list[Path]":
    from cuvee.cli.search import print_search
    from cuvee.decisions.search.decision import SearchDecision
    from cuvee.report.reports import SEARCH_REPORTS, write_search_reports

    decision = SearchDecision.from_json(_document(folder.search, "cuvee search"))
    page = write_search_reports(decision, folder.root)
    if shown:
        print_search(decision)
        print(f"report: {page}")
    return [folder.root / name for name in SEARCH_REPORTS]


def _document(path: "Path", command: str) -> "Json":
    """The JSON object in a file.

    Raises:
        ConfigError: it holds none; the command that writes it again is named.
    """
    from cuvee.errors import ConfigError
    from cuvee.seal import read_sealed

    try:
        document = read_sealed(path)
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON, or damaged ({error}); `{command}` writes it again") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: not a decision; `{command}` writes it again")
    return document
