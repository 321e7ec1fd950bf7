"""``cuvee add-source``: add a source to a study and train only what is new."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cuvee.cli.options import AsJson


def add_source(
    study: Annotated[Path, typer.Argument(help="A study.yaml, or its folder.")],
    name: Annotated[str, typer.Argument(help="Name of the new source.")],
    paths: Annotated[
        list[str], typer.Argument(help="Files, folders or patterns, relative to the current folder.")
    ],
    tokens: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="Unique tokens available to the target run, such as 2e9. Default: the tokens of the files.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add a source to a study and run it again: only new models are trained."""
    from cuvee.cli.run import decide
    from cuvee.sources.source_files import files_of
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.edit import append_source
    from cuvee.study.file.folder import CONFIG_NAME, StudyFolder

    folder = StudyFolder.of(study)
    file = study / CONFIG_NAME if study.is_dir() else study
    from cuvee.study.plan.numerics import Numerics  # torch with it

    with folder.locked():  # a run at work has read the file already
        Numerics.written(folder)  # nothing is written where the study cannot go on
        places = [from_study(path, folder.root) for path in paths]
        if name not in StudyConfig.load(file).sources:  # nothing is written for files that are not there
            for place in places:
                if not place.startswith("hub:"):
                    files_of(str(folder.root / place), name)
        config = append_source(file, name, places, None if tokens is None else round(tokens))
    if config.target.weights and config.target_weights.get(name) == 0.0:
        print(
            f"note: target.weights does not name '{name}': what a mixture does to its text counts nothing",
            file=sys.stderr,
        )
    decide(config, folder, as_json)


def from_study(path: str, root: Path) -> str:
    """A path from the working folder, as the study's file has to say it: relative where both lie together."""
    if path.startswith("hub:"):
        return path
    absolute = Path(os.path.normpath(Path.cwd() / Path(path).expanduser()))
    base = Path(os.path.normpath(root))
    # Up and down again leads elsewhere where the study's folder is a link.
    if base == base.resolve() and absolute.is_relative_to(base.parent):
        return os.path.relpath(absolute, base)
    return str(absolute)
