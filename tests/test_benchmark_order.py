"""The benchmark of orders at a toy scale: every row is there, and a second run trains nothing."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.order import correlations_with, order_table
from benchmarks.order_study import OrderStudy
from cuvee.execution.local import InProcess
from cuvee.study.file.config import StudyConfig
from tests.study.tiny_study import SEED_DATA, Listener, hashes, write_study

QUICK = {
    "seed_training": SEED_DATA | {"tokens": 8 * 256},
    "branch_training": SEED_DATA | {"tokens": 4 * 256},
    "reference_training": SEED_DATA | {"tokens": 4 * 256},
    "references": {"count": 0, "replicates": 0},
    "evaluation_tokens": 128,
}
PROXIES = (
    "merge",
    "ensemble",
    "mean of the branches' losses",
    "merge, float32",
    "ensemble, float32",
)


def test_a_row_says_how_it_orders_the_others() -> None:
    ladder = np.arange(5.0)
    cells = {"up": ladder, "steeper": 3 * ladder, "down": -ladder}
    assert correlations_with(ladder, cells, "up") == [None, "+1.00", "-1.00", "+0.00"]
    assert correlations_with(2 * ladder, cells, "merge") == ["+1.00", "+1.00", "-1.00", "+0.33"]


@pytest.mark.slow
def test_the_whole_at_a_toy_scale(tmp_path: Path) -> None:
    folder = write_study(tmp_path, **QUICK)
    numerics = {"dtype": "bfloat16", "compiled": False, "device": "cpu"}
    (tmp_path / "numerics.json").write_text(json.dumps(numerics))
    study = OrderStudy(
        StudyConfig.load(folder.root),
        folder,
        parameters=(1.0, 1.5),
        learning_rates=(3e-3, 7.5e-4),
        branch_rates=(3e-3, 1e-6),
        sources_each=2,
    )
    assert len(study.mixtures) == 6
    assert len({cell.replica for cell in study.cells}) == len(study.cells) == 8
    table = order_table(study, Listener(), InProcess())
    cells = table.columns[1:9]
    assert len(set(cells)) == 8 and [row[0] for row in table.rows[:8]] == list(cells)
    assert {str(row[0]) for row in table.rows[8:]} == {
        f"{proxy}, pool at {rate:g}" for proxy in PROXIES for rate in study.branch_rates
    }
    assert all(row[place + 1] is None for place, row in enumerate(table.rows[:8]))
    before, listener = hashes(folder.checkpoints), Listener()
    assert order_table(study, listener, InProcess()) == table
    assert hashes(folder.checkpoints) == before
    assert not any(stage.startswith(("training", "scoring")) for stage in listener.stages)
