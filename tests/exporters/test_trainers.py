"""Trainers draw what was asked for: each is installed, reads our file, and draws.

Only ``make test-exports`` runs this. What came out is written to ``benchmarks/results/exports.json`` and
``benchmarks/exports.md``.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.exports import TRAINERS, distance, drawn_by, row, update
from benchmarks.harness import Cell

pytestmark = [pytest.mark.exports, pytest.mark.slow]
Rows = dict[str, tuple[Cell, ...]]


@pytest.fixture(scope="module")
def rows() -> Iterator[Rows]:
    """Rows of the table, written when all are there."""
    found: Rows = {}
    yield found
    if found:
        update(found)


@pytest.mark.parametrize("name", TRAINERS)
def test_a_trainer_draws_the_mixture(name: str, rows: Rows, tmp_path: Path) -> None:
    trainer = TRAINERS[name]
    if shutil.which(f"python{trainer.python}") is None:
        pytest.skip(f"needs python{trainer.python}")
    try:
        drawn = drawn_by(trainer, tmp_path)
    except RuntimeError as error:
        rows[name] = row(name, None, f"could not be drawn from: {str(error).splitlines()[-1][:200]}")
        raise
    rows[name] = row(name, drawn)
    points, errors = distance(drawn.comparison)
    assert points <= 1.0 and errors <= 4.0
    assert drawn.comparison.ok
