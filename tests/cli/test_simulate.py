"""``cuvee simulate``: what it prints and writes, that it goes on after a break, and how it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cuvee.cli.app import app
from cuvee.seal import read_sealed

SMALL, LARGE = (1e6, 1e8), (1e7, 1e9)


def cuvee(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def rows(size: tuple[float, float], count: int = 12) -> str:
    shares = np.random.default_rng(0).dirichlet(np.ones(3), count)
    losses = 1.0 / (np.sqrt(shares) @ [0.45, 0.55, 0.7]) + 1e7 / size[0]
    head = "key,params,tokens,w:books,w:code,w:web,m:loss,m:score"
    cells = [
        f"{size[0]:g}-{i},{size[0]},{size[1]},{','.join(map(repr, w.tolist()))},{value},{-value}"
        for i, (w, value) in enumerate(zip(shares, losses.tolist(), strict=True))
    ]
    return "\n".join([head, *cells]) + "\n"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tables")
    paths = (folder / "small.csv", folder / "large.csv")
    for path, size in zip(paths, (SMALL, LARGE), strict=True):
        path.write_text(rows(size), encoding="utf-8")
    return paths


QUICK = ("--target", "loss", "--method", "sobol", "--method", "random", "--seeds", 3, "--budget", 4)


def test_it_tells_writes_and_goes_on(tables: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = cuvee("simulate", *tables, *QUICK, "--out", out)
    assert first.exit_code == 0, first.stderr
    assert {path.name for path in out.iterdir()} == {"plays", "simulation.json", "simulation.html"}
    assert len(list((out / "plays").iterdir())) == 6
    answer = read_sealed(out / "simulation.json")
    assert (answer["schema"], answer["by"], answer["table"]) == (2, "simulation", "small.csv, large.csv")
    for words in (*answer["headline"], "sobol", "random", "1M/100M", "10M/1B", "note: Only mixtures"):
        assert words in first.stdout
    assert f"report: {out / 'simulation.html'}" in first.stdout
    assert "playing: 6 plays" in first.stderr
    assert "</html>" in (out / "simulation.html").read_text()
    before = (out / "simulation.json").read_bytes()
    again = cuvee("simulate", *tables, *QUICK, "--out", out, "--json")
    assert again.exit_code == 0, again.stderr
    assert "6 of 6 trajectories were there already" in again.stderr
    assert json.loads(again.stdout) == answer
    assert (out / "simulation.json").read_bytes() == before
    # The command that is kept asks the same.
    command = answer["created_from"]["command"].split()
    assert command[:2] == ["cuvee", "simulate"]
    assert "--out" not in command
    repeated = cuvee(*command[1:], "--out", out, "--json")
    assert json.loads(repeated.stdout) == answer


def test_rows_level_and_law_can_be_chosen(tables: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--higher", "score", "--target", "score=2", "--method", "random", "--seeds", 1, "--out", out)
    result = cuvee("simulate", *tables, *options, "--target-level", "1M/100M", "--budget", 3, "--json")
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert [level["is_target"] for level in answer["fidelities"]] == [True, False]
    assert answer["target"] == {"score": 1.0}
    law = ("--where", "params=1e7", "--law", "linear", "--noise", 0.25, "--budget", 2, "--batch", 2)
    result = cuvee("simulate", *tables, *options, *law, "--json")
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert (answer["law"], answer["noise"], answer["batch"]) == ("linear", {"score": 0.25}, 2)
    assert len(answer["fidelities"]) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--method", "best"), "no search method 'best'"),
        (("--budget", 0.5), "at least 1 run"),
        (("--target", "loss", "--target-level", "60M/1B"), "there are: 1M/100M, 10M/1B"),
        (("--target", "loss", "--noise", 0.1), "name a law"),
        (("--target", "nothing"), "no metric 'nothing'"),
        (("--target", "loss", "--where", "params=5"), "no row has params"),
        (("--target", "loss", "--where", "params=1e7", "--where", "key=1e+07-3"), "only 1 mixture"),
        (("--lower", "loss", "--higher", "loss"), "as better when lower and as better when higher"),
    ],
)
def test_what_makes_no_sense_is_told_in_a_line(
    tables: tuple[Path, Path], tmp_path: Path, options: tuple[object, ...], told: str
) -> None:
    result = cuvee("simulate", *tables, "--seeds", 1, *options, "--out", tmp_path / "out")
    assert result.exit_code == 2, result.output
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert told in result.stderr
    assert not (tmp_path / "out").exists()
