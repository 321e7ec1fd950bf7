"""Arguments and options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class EffortOption(StrEnum):
    """The presets of a study file; ``cuvee.study.file.effort`` says what they mean."""

    tiny = "tiny"
    small = "small"
    standard = "standard"
    large = "large"


EffortName = Annotated[
    EffortOption,
    typer.Option(
        "--effort",
        help="Size of the study: minutes or tens of minutes on cores, 25 or 70 minutes on a GPU.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]

Study = Annotated[
    Path,
    typer.Argument(metavar="STUDY", help="A study.yaml, or its folder.", show_default=True),
]
Target = Annotated[
    str,
    typer.Option("--target", metavar="EVALUATION", help="Evaluation of the study to value documents for."),
]
HERE = Path("study.yaml")
"""The study that is meant where none is named."""
