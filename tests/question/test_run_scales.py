"""Which runs of a table laws are fitted to: one scale, in any order of rows, and the end of every curve."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from cuvee.question.run_scales import RunScales, ScaleGroup
from cuvee.question.runs import read_runs
from cuvee.runs.imported import ImportedTable, import_runs

POINTS = (1_000_000_000, 2_000_000_000, 4_000_000_000, 8_000_000_000)
RUNS = 10


def curves(
    column: str = "tokens", points: Sequence[int] = POINTS, stopped: Sequence[int] = (), seeds: int = 1
) -> list[list[str]]:
    """Rows of runs at several points; those that stopped have but the first."""
    shares = np.random.default_rng(0).dirichlet(np.ones(2), RUNS)
    rows = [["run", column, "seed", "w:web", "w:code", "m:val_loss"]]
    for run in range(RUNS):
        for seed in range(seeds):
            for point in points if run not in stopped else points[:1]:
                web, code = shares[run].tolist()
                loss = 4.0 - 0.1 * point / points[-1] + web
                rows.append([f"r{run}", str(point), str(seed), repr(web), repr(code), f"{loss:.4f}"])
    return rows


def table(folder: Path, rows: list[list[str]], name: str = "runs") -> ImportedTable:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.csv"
    path.write_text("".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
    return import_runs([path])


def chosen(read: ImportedTable, target_tokens: float = float("nan")) -> ScaleGroup:
    return RunScales(read).chosen(target_tokens)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("stopped", [(), (3,), (3, 4)])
def test_the_largest_scale_that_nearly_all_runs_reach(
    tmp_path: Path, stopped: tuple[int, ...], order: int
) -> None:
    head, *rows = curves(stopped=stopped)
    read = table(tmp_path, [head, *rows[::order]])
    scale = chosen(read)
    assert (len(scale), scale.words) == (RUNS - len(stopped), "8B tokens")
    told = RunScales(read).sentence(scale)
    assert f"the {RUNS - len(stopped)} runs at 8B tokens, not {RUNS} at 1B tokens" in told
    assert ("Not there: r3" in told) == bool(stopped)
    assert "nan" not in told


def test_any_order_of_rows_gives_the_same_runs(tmp_path: Path) -> None:
    head, *rows = curves(stopped=(2,), seeds=2)
    found = set()
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(rows))
        read = table(tmp_path, [head, *(rows[i] for i in order)])
        found.add(frozenset(read.select(chosen(read).rows).observations.keys))
    assert len(found) == 1
    assert len(found.pop()) == 2 * (RUNS - 1)


def test_half_of_the_runs_at_the_end_are_too_few(tmp_path: Path) -> None:
    read = table(tmp_path, curves(stopped=range(5)))
    assert chosen(read).words == "1B tokens"
    assert len(chosen(read)) == RUNS


@pytest.mark.parametrize(("asked", "words"), [(2.2e9, "2B tokens"), (1e8, "1B tokens"), (1e13, "8B tokens")])
def test_the_nearest_to_the_target_run(tmp_path: Path, asked: float, words: str) -> None:
    read = table(tmp_path, curves())
    assert chosen(read, asked).words == words
    assert "the nearest to the target tokens" in RunScales(read).sentence(chosen(read, asked), asked)


@pytest.mark.parametrize(
    "column", ["step", "Steps", "epoch", "iteration", "tokens_b", "ckpt", "trainer/global_step"]
)
def test_steps_are_points_of_a_curve(tmp_path: Path, column: str) -> None:
    read = table(tmp_path, curves(column, (500, 1000, 1500)))
    assert (chosen(read).words, len(chosen(read))) == ("step 1500", RUNS)


@pytest.mark.parametrize("name", ["", "r{run}-at-{step}"])
def test_rows_of_one_mixture_without_a_common_name_are_no_replicates(tmp_path: Path, name: str) -> None:
    head, *rows = curves("step", (500, 1000, 1500))
    for row in rows:
        row[0] = name.format(run=row[0], step=row[1])
    read = table(tmp_path, [head, *rows])
    assert (chosen(read).words, len(chosen(read))) == ("step 1500", RUNS)


def test_points_may_be_words(tmp_path: Path) -> None:
    head, *rows = curves("checkpoint", (500, 1000, 1500))
    read = table(tmp_path, [head, *([row[0], f"step-{row[1]}", *row[2:]] for row in rows)])
    assert (chosen(read).words, len(chosen(read))) == ("step 1500", RUNS)


def test_replicates_that_ended_at_steps_of_their_own_are_all_kept(tmp_path: Path) -> None:
    """The _step of an export counts what was logged."""
    rows = ["Name,State,config.seed,_step,mixture.web,mixture.code,val/loss"]
    for run in range(RUNS):
        rows += [
            f"r{run},finished,{s},{1000 + s},{run / 10},{1 - run / 10},{3 - run / 10 + s / 100}"
            for s in range(3)
        ]
    path = tmp_path / "export.csv"
    path.write_text("\n".join(rows) + "\n")
    assert len(read_runs([path], {}).observations) == 3 * RUNS


def test_an_end_without_an_evaluation_is_none(tmp_path: Path) -> None:
    """The training loss is written at every step, the evaluation at some."""
    head, *rows = curves("step", (500, 1000, 1500))
    rows = [[*row, "2.5"] for row in rows]
    for row in rows:
        row[5] = "" if row[1] == "1500" else row[5]
    read = table(tmp_path, [[*head, "m:train/loss"], *rows])
    assert (chosen(read).words, len(chosen(read))) == ("step 1000", RUNS)


def test_runs_that_end_where_they_will_count_at_their_ends(tmp_path: Path) -> None:
    """No point is common to nearly all: each run was measured at its own."""
    rows = curves("tokens", (0, 1))[:1]
    for run in range(RUNS):
        for point in (1, 2, 3):
            tokens = point * 1_000_000_000 + 90_000_000 * run * (point < 3) + 1_000_000 * run
            rows.append([f"r{run}", str(tokens), "0", f"{run / 10}", f"{1 - run / 10}", "3.0"])
    read = table(tmp_path, rows)
    assert len(chosen(read)) == RUNS
    assert chosen(read).words == "3.009B tokens"


def test_ends_that_are_nearly_the_same_are_one_scale(tmp_path: Path) -> None:
    head, *rows = curves(points=(8_000_000_000,))
    for place, row in enumerate(rows):
        row[1] = str(8_000_000_000 + 1_000_000 * place)
    read = table(tmp_path, [head, *rows])
    assert len(chosen(read)) == RUNS
    assert RunScales(read).sentence(chosen(read)) == ""


@pytest.mark.parametrize("column", ["params", "size", "size_label", "model_size", "model"])
def test_sizes_in_columns_are_scales(tmp_path: Path, column: str) -> None:
    sizes = ("60000000", "1000000000") if column == "params" else ("gpt-60M", "gpt-1B")
    head, *rows = curves(points=(1,))
    sized = [[*head, column], *([*row, size] for size in sizes for row in rows)]
    read = table(tmp_path, [[f"{row[0]}", *row[2:]] for row in sized])
    assert len(RunScales(read).every) == 2
    assert chosen(read).words in ("1B parameters", "size gpt-1B")
    assert len(chosen(read)) == RUNS


def test_sizes_in_names_of_files_are_scales(tmp_path: Path) -> None:
    head, *rows = curves(points=(1,))
    paths = []
    for size in ("1m", "60m"):
        text = "".join(",".join([row[0], *row[3:]]) + "\n" for row in [head, *rows])
        paths.append(tmp_path / f"runs_{size}.csv")
        paths[-1].write_text(text)
    for given in (paths, paths[::-1]):
        read = import_runs(given)
        assert (chosen(read).words, len(chosen(read))) == ("size 60M", RUNS)


def test_published_sets_of_three_sizes_are_three_scales(tmp_path: Path) -> None:
    """Not replicates, though the mixtures of the test sets are the same."""
    web = np.linspace(0.05, 0.95, 12)
    for name, count in (("train_{}_1m", 12), ("test_{}_1m", 6), ("test_{}_60m", 6), ("test_{}_1b", 3)):
        mixture = "".join(f"{i},{web[i]},{1 - web[i]}\n" for i in range(count))
        loss = "".join(f"{i},{3 - web[i]}\n" for i in range(count))
        (tmp_path / f"{name.format('mixture')}.csv").write_text(f"index,train_web,train_code\n{mixture}")
        (tmp_path / f"{name.format('pile_loss')}.csv").write_text(f"index,metric/web_val_loss\n{loss}")
    read = import_runs([tmp_path])
    assert sorted(len(scale) for scale in RunScales(read).every) == [3, 6, 18]
    assert (chosen(read).words, len(chosen(read))) == ("size 1M", 18)
    runs = read_runs([tmp_path], {"size": "60m"})
    assert len(runs.observations) == 6


def test_seeds_stay_replicates_at_the_end_of_a_curve(tmp_path: Path) -> None:
    runs = read_runs([_path(tmp_path, curves(seeds=3))], {})
    assert len(runs.observations) == 3 * RUNS
    assert set(runs.observations.tokens.tolist()) == {8e9}
    assert len(np.unique(runs.observations.shares, axis=0)) == RUNS


def _path(folder: Path, rows: list[list[str]]) -> Path:
    table(folder, rows)
    return folder / "runs.csv"
