"""``cuvee status``: how far a study is."""

from typing import TYPE_CHECKING

from cuvee.cli.options import HERE, AsJson, Study
from cuvee.quantities import of_unit

if TYPE_CHECKING:
    from cuvee.study.file.folder import StudyFolder
    from cuvee.study.status import StudyStatus


def status(study: Study = HERE, as_json: AsJson = False) -> None:
    """Show what is done, what is left, and what a study has cost."""
    from cuvee.cli.output import print_json
    from cuvee.quantities import flops
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.folder import StudyFolder
    from cuvee.study.realised import sentences_on
    from cuvee.study.survey import survey

    folder = StudyFolder.of(study)
    found = survey(StudyConfig.load(study), folder)
    if as_json:
        print_json(found.as_json())
        return
    if found.run_is_meant:
        _show_stages(folder, found)
    else:
        _show_flows(found)
    print(f"spent: {flops(found.flops)} FLOPs{_time(found)}")
    if folder.at_work:
        print("a command works on it now; another one would have to wait")
    elif found.finished:
        print(f"finished; report: {folder.report}")
    elif found.resumable:
        print("`cuvee run` goes on from here")
    elif found.not_begun:
        print(found.not_begun)
    if found.run_is_meant:
        _show_flows(found)
    for sentence in (*sentences_on(found.realised), *found.untried):
        print(sentence)
    for name, origin in found.outdated.items():
        print(f"the answer of `cuvee {name}` was made from {origin}; run it again")


def _show_flows(found: "StudyStatus") -> None:
    flows = {"run": found.answer, "ladder": found.ladder, "search": found.search, "swarm": found.swarm}
    for name, flow in flows.items():
        if flow is not None:
            print(f"{name}: {flow.statement}")
            for sentence in flow.beside:
                print(sentence)


def _show_stages(folder: "StudyFolder", found: "StudyStatus") -> None:
    from cuvee.cli.output import print_table
    from cuvee.quantities import short

    print_table(
        f"{folder.root}",
        ["stage", "done", "of", ""],
        [
            [
                s.title,
                short(s.done),
                f"{short(s.total)} {of_unit(s.total, s.unit)}",
                "✓" if s.finished else f"{s.done / s.total:.0%}",
            ]
            for s in found.stages
        ],
    )


def _time(found: "StudyStatus") -> str:
    """The work time behind what is done, and its price."""
    from cuvee.execution.tariff import HOUR
    from cuvee.quantities import seconds

    if not found.seconds:
        return ""
    cost = found.tariff.cost(found.seconds / HOUR)
    return f", {seconds(found.seconds)} of a {found.tariff.unit}" + (f", {cost}" if cost else "")
