"""``cuvee report``: write the reports of a study's answers again."""

from typing import TYPE_CHECKING

from cuvee.cli.options import HERE, AsJson, Study

if TYPE_CHECKING:
    from pathlib import Path

    from cuvee.runs.observations import Observations
    from cuvee.study.answers import AnyDecision
    from cuvee.types import Json


def report(study: Study = HERE, as_json: AsJson = False) -> None:
    """Write the reports of a study again (run, scale and search), without running anything."""
    from cuvee.cli.output import print_answer, print_json
    from cuvee.errors import ConfigError
    from cuvee.study.answers import FLOWS
    from cuvee.study.file.folder import StudyFolder

    folder = StudyFolder.of(study)
    written: list[Path] = []
    for flow, (name, read) in FLOWS.items():
        if not (folder.root / name).exists():
            continue
        answer = read(_document(folder.root / name, f"cuvee {flow}"))
        page, *others = write(answer, folder.root)
        written += [page, *others]
        if not as_json:
            print_answer(answer)
            print(f"report: {page}")
    if not written:
        raise ConfigError(f"{folder.decision}: not there yet; `cuvee run {folder.root}` makes it")
    if as_json:
        print_json({"reports": [str(path) for path in written]})


def write(answer: "AnyDecision", root: "Path") -> "tuple[Path, ...]":
    """All reports of an answer, beside the study; the paths written, that of the page first."""
    from cuvee.report.reports import Beside, write_reports
    from cuvee.runs.store import RunStore
    from cuvee.study.answers import read_answers
    from cuvee.study.file.folder import StudyFolder

    store = StudyFolder(root).store

    def observations() -> "Observations | None":
        return RunStore(store).observations() if store.exists() else None

    return write_reports(answer, root, Beside(read_answers(root, answer), observations))


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
