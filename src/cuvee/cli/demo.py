"""``cuvee demo``: a whole study on text that is already here."""

from pathlib import Path
from typing import Annotated

import typer

from cuvee.cli.options import AsJson, EffortName, EffortOption


def demo(
    folder: Annotated[Path, typer.Argument(help="Folder for the demo; created if missing.")] = Path(
        "cuvee-demo"
    ),
    effort: EffortName = EffortOption.tiny,
    as_json: AsJson = False,
) -> None:
    """Run an example study on text of this Python installation; nothing is downloaded."""
    from cuvee.cli.progress_display import progress_display
    from cuvee.cli.run import decide
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.folder import StudyFolder
    from cuvee.study.start.demo import make_demo

    with progress_display() as progress:
        path = make_demo(folder, progress, effort.value)
        progress.message(f"demo: {path}")
    decide(StudyConfig.load(path), StudyFolder.of(path), as_json)
