"""Columns as other tools write them: labels, totals, marks, charts, dictionaries in cells, large cells."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cuvee.errors import ConfigError
from cuvee.runs import ImportedTable, import_runs
from cuvee.runs.formats.purpose import SPREAD, no_target

WEB = (0.9, 0.5, 0.1)


def read(folder: Path, parquet: bool = False, **tables: Mapping[str, Any]) -> ImportedTable:
    paths = []
    for stem, columns in tables.items():
        path = folder / f"{stem}.{'parquet' if parquet else 'csv'}"
        if parquet:
            pq.write_table(pa.table(columns), path)
        else:
            rows = [columns, *zip(*columns.values(), strict=True)]
            path.write_text("".join(",".join(_cell(cell) for cell in row) + "\n" for row in rows))
        paths.append(path)
    return import_runs(paths)


def _cell(cell: Any) -> str:
    text = "" if cell is None else str(cell)
    return '"' + text.replace('"', '""') + '"' if "," in text or '"' in text else text


Columns = dict[str, list[Any]]


def ratios(**more: list[Any]) -> Columns:
    return {"run": ["a", "b", "c"], **more, "web": list(WEB), "code": [1 - web for web in WEB]}


METRICS: dict[str, list[Any]] = {"run": ["a", "b", "c"], "arc_acc": [0.3, 0.4, 0.5]}


# --- labels and totals beside shares --------------------------------------------------------------------


@pytest.mark.parametrize("parquet", [False, True])
@pytest.mark.parametrize(
    "more",
    [
        {"size": ["30M"] * 3},
        {"size": [30_000_000] * 3},
        {"status": ["done"] * 3, "run_name": ["xa", "xb", "xc"]},
        {"group": [1, 2, 3], "created": [1700000000, 1700000001, 1700000002]},
        {"total": [1.0] * 3},
        {"all": [1.0, 1.0, 1.0], "cluster": ["x", "y", "z"]},
        {"lr": [0.001, 0.002, 0.001]},
        {"steps": [1000, 1000, 1000]},
    ],
)
def test_what_is_no_share_is_a_label(tmp_path: Path, more: dict[str, list[Any]], parquet: bool) -> None:
    table = read(tmp_path, parquet, ratios=ratios(**more), metrics=METRICS)
    assert table.observations.sources == ("web", "code")
    np.testing.assert_allclose(table.observations.shares[:, 0], WEB)
    for name, column in more.items():
        assert table.labels[name] == tuple(map(str, column))
        assert len(table.where(**{name: column[0]})) == column.count(column[0])


def test_a_total_is_named(tmp_path: Path) -> None:
    table = read(tmp_path, ratios=ratios(total=[1.0] * 3), metrics=METRICS)
    assert "the column total is the sum of the others and was left out" in table.notes[0]
    tidy: Columns = {
        "run": ["a", "b"],
        "w:x": [0.5, 0.2],
        "w:y": [0.5, 0.8],
        "w:total": [1, 1],
        "m:loss": [2, 3],
    }
    assert read(tmp_path, tidy=tidy).observations.sources == ("x", "y")


def test_a_row_of_text_among_shares_is_refused_and_no_total(tmp_path: Path) -> None:
    shares: Columns = {
        "run": ["a", "b", "c"],
        "web": [0.5, "x", 1.0],
        "code": [0.5, "x", 0.0],
        "all": [1.0, "x", 1.0],
    }
    with pytest.raises(ConfigError, match="row 2, web: 'x' is not a number"):
        read(tmp_path, ratios=shares, metrics=METRICS)


def test_text_among_explicit_shares_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'most' is not a number"):
        read(tmp_path, tidy={"w:x": ["most", "all"], "w:y": [1, 0], "m:loss": [2, 3]})


def test_a_row_without_shares_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    tidy: Columns = {
        "run": ["a", "b", "c"],
        "w:x": [0.5, None, 0.2],
        "w:y": [0.5, None, 0.8],
        "m:loss": [2, 3, 4],
    }
    for parquet in (False, True):
        table = read(tmp_path, parquet, tidy=tidy)
        assert table.observations.keys == ("a", "c")
        assert table.notes[0].endswith("1 of 3 rows has no shares and was left out: b.")
    olmix: Columns = {"run": ["a", "b", "c"], "web": [0.5, "", 1.0], "code": [0.5, "", 0.0]}
    assert read(tmp_path, ratios=olmix, metrics=METRICS).observations.keys == ("a", "c")
    with pytest.raises(ConfigError, match="no row has any share"):
        read(tmp_path, tidy={"run": ["a"], "w:x": [""], "w:y": [""], "m:loss": [2]})


# --- marks at the names of columns ----------------------------------------------------------------------


@pytest.mark.parametrize("parquet", [False, True])
@pytest.mark.parametrize(
    "name",
    ["weight_{}", "{}_weight", "share_{}", "{}_ratio", "mix_{}", "domain_weights_{}", "w_{}", "Weight_{}"],
)
@pytest.mark.parametrize("key", ["run", "index", "name", "experiment"])
def test_shares_are_known_by_a_mark_and_their_sum(tmp_path: Path, name: str, key: str, parquet: bool) -> None:
    table = read(
        tmp_path,
        parquet,
        runs={
            key: [1, 2, 3],
            "web_loss": [2.0, 2.5, 3.0],
            name.format("web"): list(WEB),
            name.format("code"): [1 - web for web in WEB],
            "weight_decay": [0.1] * 3,
            "code_loss": [1.0, 1.5, 2.0],
        },
    )
    assert (table.observations.sources, table.observations.metrics) == (
        ("web", "code"),
        ("web_loss", "code_loss"),
    )
    np.testing.assert_allclose(table.observations.shares[:, 0], WEB)
    assert set(table.directions.values()) == {"lower"}


def test_marked_shares_and_losses_may_stand_apart(tmp_path: Path) -> None:
    shares: Columns = {"index": [3, 1, 2], "weight_web": list(WEB), "weight_code": [1 - web for web in WEB]}
    table = read(tmp_path, shares=shares, losses={"index": [1, 2, 3], "web_loss": [1.0, 2.0, 3.0]})
    assert table.observations.metric("web_loss").tolist() == [3.0, 1.0, 2.0]


def test_two_groups_that_may_be_the_mixture_are_refused(tmp_path: Path) -> None:
    both = {f"{mark}_{name}": [0.5, 0.4] for mark in ("weight", "share") for name in ("x", "y")}
    both |= {"weight_y": [0.5, 0.6], "share_y": [0.5, 0.6]}
    with pytest.raises(ConfigError, match="several groups of columns that may be the mixture"):
        read(tmp_path, runs={"run": ["a", "b"], **both, "x_loss": [1, 2]})


# --- Weights & Biases -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mark", ["mixture_", "weight_", "w_", "config.mixture.", "config/data_mix/", "train_"]
)
def test_flat_names_of_an_export(tmp_path: Path, mark: str) -> None:
    export: dict[str, list[Any]] = {
        "Name": ["a", "b", "c"],
        "State": ["finished"] * 3,
        f"{mark}web": list(WEB),
        f"{mark}code": [1 - web for web in WEB],
        "train_runtime": [3600, 3601, 3602],
        "val_loss": [2.0, 2.5, 3.0],
    }
    table = read(tmp_path, export=export)
    assert table.observations.sources == ("web", "code")
    assert "val_loss" in table.observations.metrics


def chart(runs: int = 5, broken: int = 1, metric: str = "val/loss") -> dict[str, list[Any]]:
    steps = [250, 500, 750, 1000]
    columns: dict[str, list[Any]] = {"Step": list(steps)}
    for run in range(runs):
        line = [None if run == broken and step > 500 else 4.0 - step / 1000 + run / 10 for step in steps]
        columns |= {f"r{run} - {metric}{end}": line for end in ("", "__MIN", "__MAX")}
    return columns


MIX: dict[str, list[Any]] = {
    "run": [f"r{run}" for run in range(5)],
    "w:web": [0.2 * run for run in range(5)],
    "w:code": [1 - 0.2 * run for run in range(5)],
}


@pytest.mark.parametrize("parquet", [False, True])
def test_the_export_of_a_chart(tmp_path: Path, parquet: bool) -> None:
    table = read(tmp_path, parquet, mix=MIX, chart=chart(), other=chart(metric="quiz/acc"))
    assert table.observations.keys == ("r0", "r2", "r3", "r4")
    np.testing.assert_allclose(table.observations.metric("val/loss"), [3.0, 3.2, 3.3, 3.4])
    assert table.directions == {"val/loss": "lower", "quiz/acc": "higher"}
    assert any("broke off before Step 1000 and was left out: r1 (at 500)" in note for note in table.notes)


def test_a_chart_is_compared_where_nearly_all_runs_are(tmp_path: Path) -> None:
    """One run that went on for longer does not leave the others out."""
    columns = {name: [*line, None] for name, line in chart(broken=9).items()}
    columns["Step"][-1] = 2000
    columns["r4 - val/loss"][-1] = 1.0
    table = read(tmp_path, mix=MIX, chart=columns)
    np.testing.assert_allclose(table.observations.metric("val/loss"), [3.0, 3.1, 3.2, 3.3, 3.4])


@pytest.mark.parametrize("write", [json.dumps, str])
def test_the_data_frame_of_the_recipe(tmp_path: Path, write: Any) -> None:
    summary = [{"val/loss": 2.0 + web, "_wandb": {"runtime": 5}, "_step": 100} for web in WEB]
    config = [{"mixture": {"web": web, "code": 1 - web}, "lr": 0.1} for web in WEB]
    frame = {
        "summary": [write(cell) for cell in summary],
        "config": [write(cell) for cell in config],
        "name": ["a", "b", "c"],
    }
    table = read(tmp_path, frame=frame)
    assert (table.format, table.observations.keys) == ("wandb", ("a", "b", "c"))
    np.testing.assert_allclose(table.observations.shares[:, 0], WEB)
    assert table.observations.metrics == ("val/loss",)


@pytest.mark.parametrize("parquet", [False, True])
@pytest.mark.parametrize(
    "more", [{"Name": ["a", "b", "c"], "State": ["finished"] * 3}, {"run": ["a", "b", "c"]}]
)
def test_a_mixture_in_one_cell(tmp_path: Path, more: dict[str, list[Any]], parquet: bool) -> None:
    cells: list[Any] = [{"web": web, "code": 1 - web} for web in WEB]
    table = read(
        tmp_path,
        parquet,
        export={
            **more,
            "mixture": cells if parquet else [json.dumps(cell) for cell in cells],
            "val/loss": [2.0, 2.5, 3.0],
        },
    )
    assert table.observations.sources == ("web", "code")
    np.testing.assert_allclose(table.observations.shares[:, 0], WEB)


def test_nothing_in_a_cell_is_executed(tmp_path: Path) -> None:
    evil = "{'web': __import__('os').system('touch " + str(tmp_path / "ran") + "')}"
    columns: Columns = {"run": ["a"], "w:x": [1], "m:loss": [2], "config": [evil]}
    assert read(tmp_path, tidy=columns).labels["config"] == (evil,)
    assert not (tmp_path / "ran").exists()


def test_a_cell_may_be_large(tmp_path: Path) -> None:
    cell = "x" * 140_000
    table = read(tmp_path, tidy={"run": ["a"], "w:x": [1], "m:loss": [2], "files": [cell]})
    assert table.labels["files"] == (cell,)


# --- shares in percent, and other units of shares -------------------------------------------------------

_PERCENT = [100 * web for web in WEB]


@pytest.mark.parametrize("parquet", [False, True])
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("w:{}", {}),
        ("weight_{}", {}),
        ("{}_share", {"weight_decay": [0.1] * 3}),
        ("{}", {}),
        ("mix.{}", {"Name": ["a", "b", "c"], "State": ["finished"] * 3}),
        ("train/{}", {"Name": ["a", "b", "c"], "State": ["finished"] * 3, "train/loss": [2.0, 3.0, 4.0]}),
    ],
)
def test_percentages_are_refused_in_every_convention(
    tmp_path: Path, name: str, more: dict[str, list[Any]], parquet: bool
) -> None:
    """Never taken for metrics or labels, and never divided in silence."""
    table = {"run": ["a", "b", "c"], "m:loss" if name == "w:{}" else "web_loss": [2.0, 3.0, 4.0], **more}
    shares = {name.format("web"): _PERCENT, name.format("code"): [100 - web for web in _PERCENT]}
    with pytest.raises(
        ConfigError, match=r"row 1: shares of 2 sources sum to 100.*divide percentages by 100"
    ):
        read(tmp_path, parquet, runs={**table, **shares})


@pytest.mark.parametrize("name", ["w:{}", "weight_{}", "{}"])
def test_a_percent_sign_is_refused_with_what_to_write(tmp_path: Path, name: str) -> None:
    metric = "m:loss" if name == "w:{}" else "web_loss"
    table = {"run": ["a", "b"], name.format("web"): ["60%", "35 %"], name.format("code"): ["40%", "65 %"]}
    with pytest.raises(ConfigError, match=r"row 1, .*web: '60%' is not a number; write 0.6 for 60 percent"):
        read(tmp_path, runs={**table, metric: [2.0, 3.0]})


def test_a_score_in_percent_is_refused_and_no_label(tmp_path: Path) -> None:
    shares = {"run": ["a", "b"], "weight_web": [0.6, 0.5], "weight_code": [0.4, 0.5]}
    with pytest.raises(ConfigError, match=r"mmlu_acc: '75%' is not a number; write 0.75 for 75 percent"):
        read(tmp_path, runs={**shares, "mmlu_acc": ["75%", "80%"]})
    table = read(tmp_path, runs={**shares, "web_loss": [2.0, 3.0], "mfu": ["45%", "44%"]})
    assert table.labels["mfu"] == ("45%", "44%")


def test_a_group_that_sums_to_one_stands_before_one_in_percent(tmp_path: Path) -> None:
    shares = {"run": ["a", "b"], "weight_web": [0.6, 0.5], "weight_code": [0.4, 0.5]}
    table = read(tmp_path, runs={**shares, "web_ratio": [60, 50], "code_ratio": [40, 50], "web_loss": [2, 3]})
    assert table.observations.shares.tolist() == [[0.6, 0.4], [0.5, 0.5]]


def test_weights_that_sum_to_nothing_are_named(tmp_path: Path) -> None:
    table = {"run": ["a", "b"], "weight_web": [3, 1], "weight_code": [1, 1], "web_loss": [2.0, 3.0]}
    with pytest.raises(ConfigError, match="weight_web, weight_code may be shares, but do not sum to one"):
        read(tmp_path, runs=table)


@pytest.mark.parametrize(("sign", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_other_dividers_are_named(tmp_path: Path, sign: str, name: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(
        sign.join(["run", "w:web", "w:code", "m:loss"]) + "\n" + sign.join(["a", "0,6", "0,4", "2"])
    )
    with pytest.raises(ConfigError, match=f"runs.csv: {name} divide its columns; write it with commas"):
        import_runs([path])


def test_a_decimal_comma_is_named(tmp_path: Path) -> None:
    table = {"run": ["a"], "w:web": ["0,6"], "w:code": ["0,4"], "m:loss": [2]}
    with pytest.raises(ConfigError, match=r"w:web: '0,6' is not a number; write 0.6 if the comma divides"):
        read(tmp_path, runs=table)


def test_commas_between_thousands_are_named(tmp_path: Path) -> None:
    table = {"run": ["a"], "w:web": [0.6], "w:code": [0.4], "m:ppl": ["9,737.8"]}
    with pytest.raises(
        ConfigError, match=r"'9,737.8' is not a number; write 9737.8 if commas divide thousands"
    ):
        read(tmp_path, runs=table)


def test_blank_columns_and_rows_of_spreadsheets_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_bytes("\ufeffrun,w:web,w:code,m:loss,,\r\na,.6,.4,2,,\r\n,,,,,\r\nb,.5,.5,3,,\r\n".encode())
    table = import_runs([path])
    assert table.observations.keys == ("a", "b")
    assert table.notes == (f"{path}: 1 of 3 rows has no shares and was left out: row 2.",)


def test_widths_of_intervals_are_no_losses(tmp_path: Path) -> None:
    table = {"run": ["a", "b"], "w:web": [0.6, 0.5], "w:code": [0.4, 0.5], "m:loss": [2, 3]}
    widths = {"m:loss_ci95": [0.1, 0.2], "m:loss_CI": [0.1, 0.2], "m:loss_stderr": [0.1, 0.2]}
    found = read(tmp_path, runs={**table, **widths})
    assert dict(found.directions) == {"loss": "lower"}
    assert all(no_target(name) == SPREAD for name in found.unknown)


def test_a_row_for_each_source_is_refused_with_what_to_do(tmp_path: Path) -> None:
    table = {"run": ["a", "a"], "source": ["web", "code"], "weight": [0.6, 0.4], "loss": [2.0, 2.0]}
    with pytest.raises(
        ConfigError, match="row for each source or metric must become one with a row for each"
    ):
        read(tmp_path, runs=table)


@pytest.mark.parametrize("name", ["w:{}", "weight_{}"])
def test_a_share_that_rounding_took_below_zero_is_zero(tmp_path: Path, name: str) -> None:
    metric = "m:loss" if name == "w:{}" else "web_loss"
    web = [0.7, 0.9, 0.8]
    rest = [1 - 0.7 - 0.3, 1 - 0.9 - 0.1, 1 - 0.8 - 0.2]
    assert min(rest) < 0.0
    columns = {"web": web, "code": [0.3, 0.1, 0.2], "law": rest}
    shares = {name.format(source): column for source, column in columns.items()}
    table = read(tmp_path, runs={"run": ["a", "b", "c"], **shares, metric: [1.0, 2.0, 3.0]})
    assert table.observations.shares[:, 2].min() >= 0.0
    shares[name.format("law")] = [-0.001, 0.0, 0.0]
    if name == "w:{}":
        with pytest.raises(ConfigError, match="the share of law is negative"):
            read(tmp_path, runs={"run": ["a", "b", "c"], **shares, metric: [1.0, 2.0, 3.0]})
