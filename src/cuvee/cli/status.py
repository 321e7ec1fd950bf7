"""``cuvee status``: how far a study is."""

from cuvee.cli.options import HERE, AsJson, Study


def status(study: Study = HERE, as_json: AsJson = False) -> None:
    """Show what is done, what is left, and what a study has cost."""
    from cuvee.cli.output import print_json, print_table
    from cuvee.quantities import flops, short
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.folder import StudyFolder
    from cuvee.study.survey import survey

    folder = StudyFolder.of(study)
    found = survey(StudyConfig.load(study), folder)
    if as_json:
        print_json(found.as_json())
        return
    print_table(
        f"{folder.root}",
        ["stage", "done", "of", ""],
        [
            [
                s.title,
                short(s.done),
                f"{short(s.total)} {s.unit}",
                "✓" if s.finished else f"{s.done / s.total:.0%}",
            ]
            for s in found.stages
        ],
    )
    print(f"spent: {flops(found.flops)} FLOPs")
    if found.finished:
        print(f"finished; report: {folder.report}")
    elif found.resumable:
        print("`cuvee run` goes on from here")
    else:
        print("not begun; `cuvee run` begins it")
    for name, flow in (("ladder", found.ladder), ("search", found.search)):
        if flow is not None:
            print(f"{name}: {flow.statement}")
    for sentence in found.untried:
        print(sentence)
    for name, origin in found.outdated.items():
        print(f"the answer of `cuvee {name}` was made from {origin}; run it again")
