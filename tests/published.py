"""Where the published tables of runs lie, if they are at hand."""

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("CUVEE_SHARED", Path(__file__).parents[2] / "shared"))


def shared(path: str) -> Path:
    """A file of the folder of data beside the checkout; the test is skipped where it is not there."""
    found = ROOT / path
    if not found.exists():
        pytest.skip(f"{found} is not there; set CUVEE_SHARED to the folder that holds runs/ and corpus/")
    return found
