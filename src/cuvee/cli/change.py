"""``cuvee change``: split, drop or merge sources of a study, and keep what its runs still say."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cuvee.cli.options import AsJson

if TYPE_CHECKING:
    from cuvee.flows.change.flow import ChangePlan
    from cuvee.flows.change.source_change import Change
    from cuvee.progress import Progress
    from cuvee.study.file.folder import StudyFolder
    from cuvee.study.file.study_file import StudyFile


class Action(Enum):
    """What is done to sources."""

    split = "split"
    drop = "drop"
    merge = "merge"


def change(
    study: Annotated[Path, typer.Argument(help="A study.yaml, or the folder in which it lies.")],
    action: Annotated[Action, typer.Argument(help="What to do.")],
    sources: Annotated[list[str], typer.Argument(help="The sources it is done to.")],
    into: Annotated[
        list[str] | None,
        typer.Option(help="split: PART=PATH, several; merge: the name of the whole."),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what stays, what must run and its price; change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Split, drop or merge sources of a study, then run: what old runs still say is kept.

    split web --into web_en=PATH web_de=PATH; drop books; merge a b --into ab
    """
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.folder import CONFIG_NAME, StudyFolder

    folder = StudyFolder.of(study)
    path = study / CONFIG_NAME if study.is_dir() else study
    StudyConfig.load(path)  # a study that is wrong is refused before the flow loads torch
    asked = _asked(action, sources, into or [], folder.root)
    if plan:
        _show(path, folder, asked, as_json)
    else:
        _carry_out(path, folder, asked, as_json)


def _show(path: Path, folder: "StudyFolder", asked: "Change", as_json: bool) -> None:
    from cuvee.cli.output import print_json
    from cuvee.cli.progress_display import progress_display
    from cuvee.cli.run import print_outlook

    with folder.observed(), progress_display() as progress:
        _, ahead = _looked_ahead(path, folder, asked, progress, timed=True)
    if as_json:
        print_json(ahead.as_json())
        return
    for sentence in ahead.sentences:
        print(sentence)
    if ahead.outlook is not None:
        print_outlook(ahead.outlook)


def _carry_out(path: Path, folder: "StudyFolder", asked: "Change", as_json: bool) -> None:
    from cuvee.cli.progress_display import progress_display
    from cuvee.cli.run import decide
    from cuvee.study.file.study_file import StudyFile

    with folder.locked(), progress_display() as progress:  # a run at work has read the file already
        after = StudyFile.read(path)
        if not asked.done(after.config, folder.root):  # else a command that was killed had made it
            after, ahead = _looked_ahead(path, folder, asked, progress, timed=False)
            for sentence in ahead.sentences:
                progress.message(sentence)
            old = after.write()
            progress.message(f"{path} is changed; {old} holds it as it was, to be copied back")
    decide(after.config, folder, as_json)


def _looked_ahead(
    path: Path, folder: "StudyFolder", asked: "Change", progress: "Progress", *, timed: bool
) -> "tuple[StudyFile, ChangePlan]":
    """The study file with the change made, and what that leaves and takes; nothing is written."""
    from cuvee.cli.run import forbid_the_hub
    from cuvee.flows.ablation.flow import outlook_of
    from cuvee.flows.change.flow import change_sources, look_ahead
    from cuvee.study.file.study_file import StudyFile
    from cuvee.study.opening import processes

    file = StudyFile.read(path)
    if not asked.on_the_hub:
        forbid_the_hub(file.config)
    with processes(file.config, folder) as workers:
        if not asked.done(file.config, folder.root):
            file = change_sources(file, asked, folder, progress, workers)
        price = outlook_of if timed else None
        return file, look_ahead(file.config, asked, folder, progress, workers, price)


def _asked(action: Action, sources: list[str], into: list[str], root: Path) -> "Change":
    """The change that the command line means."""
    from cuvee.errors import ConfigError
    from cuvee.flows.change.source_change import Drop, Merge, Split

    if action is Action.split:
        first, *more = sources  # what stands behind the first PART=PATH is one more
        return Split(first, _parts([*into, *more], root))
    if action is Action.merge:
        if len(into) != 1:
            raise ConfigError("merge: name the whole with --into NAME")
        return Merge(tuple(sources), into[0])
    if into:
        raise ConfigError("drop: --into belongs to split and merge")
    return Drop(tuple(sources))


def _parts(given: list[str], root: Path) -> dict[str, tuple[str, ...]]:
    """``PART=PATH``, a part once for each of its paths."""
    from cuvee.cli.add_source import from_study
    from cuvee.errors import ConfigError

    found: dict[str, tuple[str, ...]] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise ConfigError(f"split: {text!r} is no part; say --into NAME=PATH")
        found[name] = (*found.get(name, ()), from_study(path, root))
    return found
