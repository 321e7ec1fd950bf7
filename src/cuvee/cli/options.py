"""Arguments and options that several commands share (floor 9)."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]

Study = Annotated[
    Path,
    typer.Argument(metavar="STUDY", help="A study.yaml, or its folder.", show_default=True),
]
HERE = Path("study.yaml")
"""The study that is meant where none is named."""
