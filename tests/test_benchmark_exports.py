"""The table of realised shares: every exporter has a row, and rows of before are kept."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks.exports import DOCUMENTS, HEAVY, MIXTURE, PROGRAMS, TRAINERS, Drawn, prepare, row, update
from cuvee.exporters.draws import Draws
from cuvee.exporters.realised import compared
from cuvee.exporters.registry import EXPORTERS


def drawn(samples: int) -> Drawn:
    """As many samples of each source as asked for."""
    sources = np.repeat([0, 1, 2], [samples // 2, samples * 3 // 10, samples // 5])
    draws = Draws(MIXTURE.names, sources, np.ones(len(sources)), "source", "", 0)
    return Drawn("1.2.3", 500, compared(MIXTURE, draws, {}))


def test_every_exporter_is_drawn_from_or_says_why_not() -> None:
    assert TRAINERS.keys() | HEAVY.keys() == EXPORTERS.keys()
    assert not TRAINERS.keys() & HEAVY.keys()
    for trainer in TRAINERS.values():
        assert (PROGRAMS / trainer.program).is_file()


def test_rows_of_before_are_kept(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    update({"trl": row("trl", drawn(1000))}, tmp_path)
    update({"litdata": row("litdata", None, "could not be installed")}, tmp_path)
    (table,) = json.loads((tmp_path / "results" / "exports.json").read_text())["tables"]
    by_name = {line[0]: line for line in table["rows"]}
    assert by_name["TRL"][1] == "1.2.3" and by_name["TRL"][5] == 1000
    assert by_name["TRL"][7] == "web 50.00%, code 30.00%, law 20.00%"
    assert by_name["LitData, LitGPT"][-1] == "could not be installed"
    assert set(by_name) == {"TRL", "LitData, LitGPT", *(EXPORTERS[name].title for name in HEAVY)}
    assert "| TRL | 1.2.3 |" in (tmp_path / "exports.md").read_text()


@pytest.mark.parametrize("name", ["axolotl", "llama-factory"])
def test_text_lies_where_our_file_says(name: str, tmp_path: Path) -> None:
    path = prepare(TRAINERS[name], tmp_path)
    document = yaml.safe_load(path.read_text())
    if name == "llama-factory":
        assert document["dataset"] == "web,code,law"
    else:
        assert {entry["path"] for entry in document["datasets"]} == {
            str(tmp_path / "text" / f"{source}.jsonl") for source in DOCUMENTS
        }
    assert len((tmp_path / "text" / "law.jsonl").read_text().splitlines()) == DOCUMENTS["law"][0]
