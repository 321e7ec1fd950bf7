"""``cuvee report``: write the reports of a study's answers again."""

from typing import TYPE_CHECKING

from cuvee.cli.options import HERE, AsJson, Study

if TYPE_CHECKING:
    from pathlib import Path

    from cuvee.decisions.answers.answers import Answers
    from cuvee.runs.observations import Observations
    from cuvee.study.answers import AnyDecision


def report(study: Study = HERE, as_json: AsJson = False) -> None:
    """Write the reports of a study again (run, scale, search and value), without running anything."""
    from cuvee.cli.output import print_json, show
    from cuvee.errors import ConfigError
    from cuvee.report.reports import Beside, printout_of, write_reports
    from cuvee.study.answers import KeptAnswers
    from cuvee.study.file.folder import StudyFolder
    from cuvee.study.valuations import read_valuations

    folder = StudyFolder.of(study)
    kept = KeptAnswers.read(folder.root)
    written: list[Path] = []
    for flow in kept.flows:
        answer = kept.decision(flow)
        page, *others = write(answer, folder.root, kept.beside(answer))
        written += [page, *others]
        if not as_json:
            show((*printout_of(answer), f"report: {page}"))
    for place, valuation in read_valuations(folder).items():
        page, *others = write_reports(valuation, place, Beside(folder=folder.root.name))
        written += [page, *others]
        if not as_json:
            show((*printout_of(valuation), f"report: {page}"))
    if not written:
        raise ConfigError(f"{folder.decision}: not there yet; `cuvee run {folder.root}` makes it")
    if as_json:
        print_json({"reports": [str(path) for path in written]})


def write(answer: "AnyDecision", root: "Path", answers: "Answers | None" = None) -> "tuple[Path, ...]":
    """All reports of an answer, beside the study; the paths written, that of the page first.

    Args:
        answer: what is shown.
        root: folder of the study.
        answers: of the study; read there where none are given.
    """
    from cuvee.decisions.ablation.decision import Decision
    from cuvee.decisions.shares import largest_first
    from cuvee.report.reports import Beside, write_reports
    from cuvee.runs.store import RunStore
    from cuvee.study.answers import read_answers
    from cuvee.study.file.folder import StudyFolder
    from cuvee.study.realised import read_shares
    from cuvee.study.tariff import tariff_in

    folder = StudyFolder(root)
    store = folder.store

    def observations() -> "Observations | None":
        return RunStore(store).observations() if store.exists() else None

    read = None
    if isinstance(answer, Decision):
        pick = [answer.mixture[place] for place in largest_first(answer.mixture)]
        read = read_shares(folder, {one.source: one.share for one in pick})
    beside = Beside(
        answers or read_answers(root, answer),
        observations,
        tariff=tariff_in(root),
        read=read,
        folder=root.absolute().name,
    )
    return write_reports(answer, root, beside)
