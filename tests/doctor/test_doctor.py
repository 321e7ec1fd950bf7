"""The doctor: every check finds its fault and is silent over a clean table; real tables are examined."""

import csv
import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from cuvee.cli.doctor import doctor
from cuvee.doctor.diagnosis import diagnose
from cuvee.doctor.finding import SEVERITIES, Diagnosis
from cuvee.doctor.registry import CHECKS
from cuvee.errors import ConfigError
from cuvee.flows.fit.flow import decide
from cuvee.flows.fit.folder import save
from cuvee.question.question import Question
from cuvee.question.runs import checked_directions, read_runs
from cuvee.runs.imported import import_runs
from tests.published import shared

SOURCES = ("books", "code", "law", "web")
METRICS = ("first_loss", "second_loss", "third_loss")
COUNT = 60
Columns = dict[str, list[Any]]
Asked = dict[str, Any]


def mixtures(count: int = COUNT, sources: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(sources), size=count)


def losses(shares: np.ndarray, seed: int = 1) -> np.ndarray:
    clean = np.stack([2.0 + 0.5 / np.sqrt(shares[:, s] + 0.2) for s in range(3)], axis=1)
    return clean + 0.005 * np.random.default_rng(seed).normal(size=clean.shape)


def columns(shares: np.ndarray | None = None, values: np.ndarray | None = None) -> Columns:
    """A table without any fault, unless ``shares`` or ``values`` bring one."""
    shares = mixtures() if shares is None else shares
    values = losses(shares) if values is None else values
    count = len(shares)
    names = np.random.default_rng(2).permutation(10 * count)[:count]
    table: Columns = {"run": [f"mix-{name:04d}" for name in names]}
    table |= {"params": [1_000_000] * count, "tokens": [10**9] * count}
    table |= {f"w:{name}": shares[:, i].tolist() for i, name in enumerate(SOURCES)}
    return table | {f"m:{name}": values[:, i].tolist() for i, name in enumerate(METRICS)}


def written(path: Path, table: Columns) -> list[Path]:
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(table)
        rows.writerows(zip(*table.values(), strict=True))
    return [path]


def changed(table: Columns, rows: dict[int, Any], name: str) -> Columns:
    column = list(table[name])
    for row, value in rows.items():
        column[row] = value
    return {**table, name: column}


def olmix(folder: Path, ratios: Columns, metrics: Columns) -> list[Path]:
    return written(folder / "ratios.csv", ratios) + written(folder / "metrics.csv", metrics)


def halves(order: np.ndarray | None = None, first: int = 0) -> tuple[Columns, Columns]:
    """Olmix's two tables; the metrics in another order, or without the first runs."""
    table = columns()
    order = np.arange(COUNT) if order is None else order
    ratios: Columns = {"run": table["run"]} | {name: table[f"w:{name}"] for name in SOURCES}
    metrics: Columns = {"run": table["run"]} | {name: table[f"m:{name}"] for name in METRICS}
    return ratios, {name: [column[i] for i in order[first:]] for name, column in metrics.items()}


CASES: dict[str, list[Callable[[Path], Asked]]] = {}
"""For each check the tables that have its fault."""


def case(name: str) -> Callable[[Callable[[Path], Asked]], Callable[[Path], Asked]]:
    def added(function: Callable[[Path], Asked]) -> Callable[[Path], Asked]:
        CASES.setdefault(name, []).append(function)
        return function

    return added


def table_case(name: str, make: Callable[[], Columns], **asked: Any) -> None:
    CASES.setdefault(name, []).append(lambda folder: {"paths": written(folder / "runs.csv", make()), **asked})


# Files as written

table_case("unreadable", lambda: {"run": ["a"], "x": [1]})
case("unreadable")(lambda folder: {"paths": [folder / "absent.csv"]})
case("unreadable")(lambda folder: {"paths": written(folder / "a.csv", columns()), "where": {"run": "none"}})
table_case("unreadable_cells", lambda: changed(columns(), {3: "OOM"}, "m:first_loss"))
table_case("unreadable_cells", lambda: changed(columns(), {3: "inf"}, "m:first_loss"))
table_case("negative_shares", lambda: changed(columns(), {5: -0.1}, "w:web"))
table_case("shares_in_percent", lambda: columns(100.0 * mixtures(), losses(mixtures())))
table_case("sums_of_shares", lambda: changed(columns(), {5: 0.9, 6: 0.9}, "w:web"))
table_case("sums_of_shares", lambda: columns(1.01 * mixtures(), losses(mixtures())))
table_case("renormalised", lambda: columns(np.round(mixtures(), 3), losses(mixtures())))
table_case(
    "numbered_sources",
    lambda: {name.replace("w:web", "w:3"): column for name, column in columns().items()},
)
table_case("columns_as_labels", lambda: {**columns(), "machine": ["a"] * COUNT})
table_case("notes_of_the_reader", lambda: {**columns(), "tokens": [1e9 + 0.5] * COUNT})


@case("shares_in_percent")
def olmix_in_percent(folder: Path) -> Asked:
    ratios, metrics = halves()
    return {
        "paths": olmix(
            folder, {k: [100 * x for x in v] if k != "run" else v for k, v in ratios.items()}, metrics
        )
    }


# How files are joined

case("unmatched_runs")(lambda folder: {"paths": olmix(folder, *halves(first=4))})
case("other_order")(lambda folder: {"paths": olmix(folder, *halves(np.arange(COUNT)[::-1]))})
table_case("unnamed_runs", lambda: {name: column for name, column in columns().items() if name != "run"})


@case("unmatched_runs")
def no_name_in_common(folder: Path) -> Asked:
    ratios, metrics = halves()
    return {"paths": olmix(folder, ratios, {**metrics, "run": [f"other-{name}" for name in metrics["run"]]})}


@case("joined_by_number")
def numbered_runs(folder: Path) -> Asked:
    ratios, metrics = halves()
    number = {"run": list(range(COUNT))}
    return {"paths": olmix(folder, ratios | number, metrics | number)}


@case("conflicting_directions")
def lm_eval_says_otherwise(folder: Path) -> Asked:
    ratios, metrics = halves()
    paths = olmix(folder, ratios, {name.replace("first_loss", "quiz/f1"): x for name, x in metrics.items()})
    paths[1].rename(folder / "metrics.csv")
    run = ratios["run"][0]
    results = {
        "results": {"quiz": {"alias": "quiz", "f1,none": float(metrics["first_loss"][0])}},
        "higher_is_better": {"quiz": {"f1": False}},
        "model_name": run,
    }
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    return {"paths": [*paths, folder / "results.json"]}


@case("stale_answer")
def answer_of_other_numbers(folder: Path) -> Asked:
    paths = written(folder / "runs.csv", columns())
    runs = read_runs(paths, {})
    question = checked_directions(runs, Question(law="linear"))
    save(folder / "fit", runs, question, decide(runs.observations, question, table="t", compared=("linear",)))
    assert "stale_answer" not in names(diagnose(paths, answer=folder / "fit"))
    return {
        "paths": written(paths[0], changed(columns(), {0: 2.9}, "m:first_loss")),
        "answer": folder / "fit",
    }


# Runs

FEW = mixtures(3)
GROUPS = np.repeat(mixtures(20), 3, axis=0)

table_case("one_run", lambda: columns(mixtures(1)))
table_case("all_equal", lambda: columns(np.tile(mixtures(1), (COUNT, 1))))
table_case("fewer_runs_than_sources", lambda: columns(FEW))
table_case("fewer_runs_than_parameters", lambda: columns(mixtures(12)))
table_case("few_for_held_out", lambda: columns(mixtures(9)))
table_case(
    "few_complete_runs",
    lambda: changed(
        changed(columns(), dict.fromkeys(range(30), ""), "m:first_loss"),
        dict.fromkeys(range(30, COUNT), ""),
        "m:third_loss",
    ),
)
table_case("duplicates", lambda: columns(np.vstack([mixtures(), mixtures()[:1]]), twice()))
table_case("replicates", lambda: columns(GROUPS))
table_case(
    "within_noise", lambda: columns(GROUPS, losses(GROUPS) + np.random.default_rng(5).normal(size=(60, 3)))
)
table_case("several_scales", lambda: changed(columns(), {0: 2_000_000}, "params"))
table_case("tiny_counts", lambda: {**columns(), "params": [7] * 30 + [13] * 30})
table_case("several_tokenizers", lambda: {**columns(), "tokenizer": ["gpt2"] * 30 + ["llama"] * 30})
table_case("differing_settings", lambda: {**columns(), "learning_rate": [1e-3] * 20 + [3e-4] * 40})
table_case("several_splits", lambda: {**columns(), "split": ["train"] * 30 + ["test"] * 30})
table_case("mixed_estimands", lambda: {**columns(), "estimand": ["union"] * 30 + ["equal_budget"] * 30})


def twice() -> np.ndarray:
    values = losses(mixtures())
    return np.vstack([values, values[:1]])


@case("evaluation_points")
def run_at_steps(folder: Path) -> Asked:
    table = {name: column for name, column in columns(GROUPS).items() if name != "tokens"}
    table["run"] = [f"mix-{place // 3}" for place in range(COUNT)]
    table["step"] = [1000 * (place % 3 + 1) for place in range(COUNT)]
    return {"paths": written(folder / "runs.csv", table)}


# Sources


def shares_with(change: Callable[[np.ndarray], None]) -> Columns:
    """A table whose first shares were changed; the last source takes what is left."""
    shares = 0.4 * mixtures()
    change(shares)
    shares[:, 3] = 1.0 - shares[:, :3].sum(axis=1)
    return columns(shares)


def set_column(index: int, value: Any) -> Callable[[np.ndarray], None]:
    def change(shares: np.ndarray) -> None:
        shares[:, index] = value(shares) if callable(value) else value

    return change


table_case("unused_sources", lambda: shares_with(set_column(1, 0.0)))
table_case("fixed_sources", lambda: shares_with(set_column(1, 0.1)))
table_case("sources_in_step", lambda: shares_with(set_column(1, lambda w: 0.5 * w[:, 0])))
table_case("collinear_sources", lambda: shares_with(set_column(1, lambda w: 0.4 - 0.5 * w[:, 0])))
table_case("one_hot_runs", lambda: columns(np.eye(4)[np.arange(COUNT) % 4]))
table_case("never_left_out", lambda: columns(0.6 * mixtures() + 0.1))
table_case("rarely_used", lambda: shares_with(set_column(1, [0.3] + [0.0] * (COUNT - 1))))
table_case("barely_seen", lambda: shares_with(set_column(1, lambda w: 0.1 * w[:, 1])))

# Metrics

table_case("constant_metrics", lambda: {**columns(), "m:third_loss": [2.0] * COUNT})
table_case("missing_values", lambda: changed(columns(), {4: "", 9: ""}, "m:third_loss"))
table_case("never_measured", lambda: {**columns(), "m:third_loss": [""] * COUNT})
table_case("outlying_values", lambda: changed(columns(), {4: 9.5}, "m:third_loss"))
table_case(
    "unexplained_metrics",
    lambda: columns(mixtures(), np.random.default_rng(9).permutation(losses(mixtures()))),
)
table_case("copied_metrics", lambda: {**columns(), "m:again_loss": columns()["m:first_loss"]})
table_case("metrics_like_shares", lambda: {**columns(), "m:part_loss": columns()["w:web"]})
table_case("metrics_like_ids", lambda: {**columns(), "m:runtime": columns()["m:first_loss"]})
table_case("metrics_like_ids", lambda: {**columns(), "m:number_loss": list(range(7, COUNT + 7))})
table_case("training_losses", lambda: renamed("train/loss"))
table_case("left_out_of_target", lambda: renamed("train/loss"))
table_case("no_metric_left", lambda: {**only_shares(), "m:train_loss": columns()["m:first_loss"]})
table_case("own_domain", lambda: renamed("books_loss"))


def only_shares() -> Columns:
    return {name: column for name, column in columns().items() if not name.startswith("m:")}


def renamed(name: str, values: list[Any] | None = None) -> Columns:
    """The table with its first metric under another name, or with other values of it too."""
    table = columns()
    first = table.pop("m:first_loss")
    return {**table, f"m:{name}": first if values is None else values}


@case("diverged_runs")
def one_run_diverged(folder: Path) -> Asked:
    table = columns()
    for name in METRICS:
        table = changed(table, {7: 11.0}, f"m:{name}")
    return {"paths": written(folder / "runs.csv", table)}


# Directions and units

ACCURACY = (1.6 - 0.3 * losses(mixtures())[:, 0]).tolist()

table_case("said_of_unknown_metrics", columns, lower=("absent",))
table_case("said_of_unknown_metrics", columns, lower=METRICS[:1], higher=METRICS[:1])
table_case("unknown_directions", lambda: renamed("loss_gain"))
table_case("contradicted_names", columns, higher=METRICS[:1])
table_case("contradicted_by_data", lambda: renamed("books_score", ACCURACY), lower=("books_score",))
table_case("assumed_losses", lambda: renamed("first"))
table_case("mixed_directions", lambda: renamed("quiz_accuracy", ACCURACY))
table_case("wide_metrics", lambda: changed(columns(), {3: 3000.0}, "m:first_loss"))
table_case("wide_metrics", lambda: renamed("first_loss", mixed_units(1.0 / np.log(2.0))))
table_case("wide_metrics", lambda: renamed("first_accuracy", mixed_units(100.0)))
table_case(
    "perplexities_beside_losses", lambda: renamed("first_ppl", np.exp(losses(mixtures())[:, 0]).tolist())
)
table_case("bits_beside_nats", lambda: renamed("first_bpb"))
table_case("impossible_values", lambda: renamed("first_loss", [x - 2.6 for x in columns()["m:first_loss"]]))
table_case("impossible_values", lambda: renamed("first_ppl", ACCURACY))
table_case("impossible_values", lambda: renamed("first_accuracy", [x - 0.8 for x in ACCURACY]))
table_case("dominant_metric", lambda: renamed("first_loss", [30 * x for x in columns()["m:first_loss"]]))


def mixed_units(ratio: float) -> list[float]:
    values = 0.5 + 0.01 * np.random.default_rng(0).normal(size=COUNT)
    values[::2] *= ratio
    return values.tolist()


@case("percent_beside_fractions")
def two_accuracies(folder: Path) -> Asked:
    table = renamed("quiz_accuracy", ACCURACY) | {"m:exam_accuracy": [100 * x for x in ACCURACY]}
    return {"paths": written(folder / "runs.csv", table)}


@case("percent_beside_fractions")
def an_accuracy_in_both(folder: Path) -> Asked:
    values = [100 * x if row % 3 else x for row, x in enumerate(ACCURACY)]
    return {"paths": written(folder / "runs.csv", renamed("quiz_accuracy", values))}


# What is asked

TOKENS = dict.fromkeys(SOURCES, 10**9)

table_case("unknown_sources", columns, question=Question(maximum={"wep": 0.5}))
table_case("unknown_sources", columns, question=Question(tokens={**TOKENS, "wep": 5}))
table_case("bounds_in_percent", columns, question=Question(maximum={"web": 50.0}))
table_case("missing_token_counts", columns, question=Question(tokens={"web": 10}))
table_case("missing_token_counts", columns, question=Question(tokens={**TOKENS, "web": 0}))
table_case("infeasible_region", columns, question=Question(maximum=dict.fromkeys(SOURCES, 0.2)))
table_case("infeasible_region", columns, question=Question(tokens=TOKENS, target_tokens=5e9, max_epochs=1.0))
table_case("far_region", columns, question=Question(minimum={"web": 0.999}))
table_case("far_region", lambda: columns(0.4 * mixtures() + 0.15), question=Question(minimum={"web": 0.9}))
table_case("repetition", columns, question=Question(tokens=TOKENS, target_tokens=1e11))
table_case("unrepeated_runs", columns, question=Question(tokens=TOKENS, target_tokens=1e11))

KNOWN = [
    pytest.param(name, make, id=f"{name}-{i}") for name, made in CASES.items() for i, make in enumerate(made)
]


def names(diagnosis: Diagnosis) -> set[str]:
    return {finding.check for finding in diagnosis.findings}


def test_every_check_has_a_table_with_its_fault() -> None:
    assert [check.name for check in CHECKS if check.name not in CASES] == []
    assert set(CASES) == {check.name for check in CHECKS}
    assert len({check.name for check in CHECKS}) == len(CHECKS)


def test_the_page_says_what_every_finding_means() -> None:
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    marked = [head.strip("| ") for head, *_ in rows]
    assert marked == [f"`{check.name}`{' †' if check.serious else ''}" for check in CHECKS]
    assert all(len(row) == 3 and all(len(cell) > 5 for cell in row) for row in rows)


@pytest.mark.parametrize(("name", "make"), KNOWN)
def test_a_fault_is_found(name: str, make: Callable[[Path], Asked], tmp_path: Path) -> None:
    diagnosis = diagnose(**make(tmp_path))
    assert name in names(diagnosis)
    for finding in diagnosis.findings:
        assert finding.severity in SEVERITIES
        assert finding.where and finding.what and finding.remedy
        assert finding.what[-1] in ".:" or finding.check == "unreadable"
    order = [SEVERITIES.index(finding.severity) for finding in diagnosis.findings]
    assert order == sorted(order)
    assert Diagnosis.from_json(json.loads(json.dumps(diagnosis.as_json()))) == diagnosis
    assert (
        diagnosis.as_json()["ok"] == diagnosis.ok == ("error" not in {f.severity for f in diagnosis.findings})
    )


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"lower": METRICS},
        {"answer": Path("not-there")},
        {"question": Question(maximum={"web": 0.6}, minimum={"law": 0.05})},
        {"question": Question(tokens=TOKENS, target_tokens=1e9, max_epochs=1.0)},
    ],
)
def test_a_clean_table_gives_nothing(asked: Asked, tmp_path: Path) -> None:
    diagnosis = diagnose(written(tmp_path / "runs.csv", columns()), **asked)
    assert diagnosis.findings == ()
    assert diagnosis.checks == tuple(check.name for check in CHECKS)
    assert (diagnosis.runs, diagnosis.sources, diagnosis.metrics) == (COUNT, SOURCES, METRICS)
    assert diagnosis.summary == (
        f"0 errors, 0 warnings, 0 notes in 60 runs, 4 sources and 3 metrics ({len(CHECKS)} checks)"
    )


def test_clean_halves_give_nothing(tmp_path: Path) -> None:
    assert names(diagnose(olmix(tmp_path, *halves()))) <= {"fewer_runs_than_parameters"}


def only(diagnosis: Diagnosis, check: str) -> str:
    """Severity, place and sentence of the one finding of a check."""
    [finding] = [finding for finding in diagnosis.findings if finding.check == check]
    return f"{finding.severity} | {finding.where} | {finding.what}"


def test_all_bad_rows_are_told_at_once(tmp_path: Path) -> None:
    table = changed(changed(columns(), {1: -0.1, 4: -0.2}, "w:web"), {9: "n/a"}, "m:first_loss")
    [path] = written(tmp_path / "runs.csv", table)
    found = diagnose([path])
    assert not found.ok
    assert found.summary.endswith("in no runs that could be read (12 checks)")
    assert only(found, "negative_shares") == (
        f"error | {path}, column w:web | The share is negative in rows 2, 5."
    )
    assert "1 of 60 cells" in only(found, "unreadable_cells") and "'n/a' in row 10" in only(
        found, "unreadable_cells"
    )
    with pytest.raises(ConfigError) as refused:
        import_runs([path])
    assert str(refused.value) in only(found, "unreadable")


def test_what_moves_together_is_named(tmp_path: Path) -> None:
    found = diagnose(written(tmp_path / "a.csv", shares_with(set_column(1, lambda w: 0.5 * w[:, 0]))))
    assert only(found, "sources_in_step").startswith("warning | source books, code |")
    found = diagnose(written(tmp_path / "b.csv", shares_with(set_column(1, lambda w: 0.4 - 0.5 * w[:, 0]))))
    assert only(found, "collinear_sources").startswith("warning | source books, code |")


def test_the_noise_of_one_run_is_measured(tmp_path: Path) -> None:
    found = diagnose(written(tmp_path / "runs.csv", columns(GROUPS)))
    told = only(found, "replicates")
    assert "60 runs share" in told
    for name, noise in (part.split() for part in told.rpartition(": ")[2].rstrip(".").split(", ")):
        assert name in METRICS
        assert float(noise) == pytest.approx(0.005, rel=0.35)


def test_a_join_by_position_is_noticed(tmp_path: Path) -> None:
    """What Olmix makes of two files in different orders: the metrics of other runs."""
    shares = mixtures()
    shuffled = losses(shares)[np.random.default_rng(3).permutation(COUNT)]
    told = only(diagnose(written(tmp_path / "runs.csv", columns(shares, shuffled))), "unexplained_metrics")
    assert "No metric has" in told


def test_duplicates_are_no_replicates(tmp_path: Path) -> None:
    found = diagnose(
        written(tmp_path / "runs.csv", columns(np.vstack([mixtures(), mixtures()[:1]]), twice()))
    )
    assert "1 row repeats another row" in only(found, "duplicates")
    assert "replicates" not in names(found)


def test_columns_of_shares_are_those_that_the_reader_took(tmp_path: Path) -> None:
    """A time called train_runtime is no share of RegMix, a step none of a tidy table."""
    table = columns()
    export: Columns = {"Name": table["run"], "State": ["finished"] * COUNT}
    export |= {f"mixture.{name}": table[f"w:{name}"] for name in SOURCES}
    export |= {"val/loss": table["m:first_loss"], "train_runtime": list(range(3600, 3600 + COUNT))}
    assert diagnose(written(tmp_path / "export.csv", export)).ok
    assert diagnose(written(tmp_path / "tidy.csv", {**table, "train_steps": [1000] * COUNT})).ok
    ratios, metrics = halves()
    assert diagnose(
        olmix(tmp_path, ratios, {**metrics, "train_tokens_per_s": [9.0 + i for i in range(COUNT)]})
    ).ok


def test_a_row_without_shares_is_no_error(tmp_path: Path) -> None:
    table = columns()
    for name in SOURCES:
        table = changed(table, {3: ""}, f"w:{name}")
    found = diagnose(written(tmp_path / "runs.csv", table))
    assert found.ok and "no shares and was left out: " in only(found, "notes_of_the_reader")


def test_cells_of_parquet_that_are_no_numbers_are_examined(tmp_path: Path) -> None:
    table = {**columns(), "list": [[1, 2]] * COUNT, "when": [datetime.date(2026, 1, 1)] * COUNT}
    table = {**table, "m:first_loss": ["OOM", *table["m:first_loss"][1:]]}
    table["m:first_loss"] = [str(cell) for cell in table["m:first_loss"]]
    pq.write_table(pa.table(table), tmp_path / "runs.parquet")
    assert "unreadable_cells" in names(diagnose([tmp_path / "runs.parquet"]))


def test_the_target_that_is_asked_is_examined(tmp_path: Path) -> None:
    paths = written(tmp_path / "runs.csv", renamed("quiz_accuracy", ACCURACY))
    assert "mixed_directions" in names(diagnose(paths))
    named = diagnose(paths, question=Question(weights={"second_loss": 1.0}))
    assert "mixed_directions" not in names(named)


def test_the_condition_that_cannot_be_met_is_told(tmp_path: Path) -> None:
    paths = written(tmp_path / "runs.csv", columns())
    found = diagnose(paths, question=Question(maximum=dict.fromkeys(SOURCES, 0.2)))
    assert "reach only 0.8 of 1" in only(found, "infeasible_region") and not found.ok


def test_odd_tables_are_examined_to_the_end(tmp_path: Path) -> None:
    """Empty files, one cell, no metric: a finding each, and nothing is raised."""
    path = tmp_path / "runs.csv"
    for text, check in (
        ("", "unreadable"),
        ("run,w:a,w:b,m:x\n", "unreadable"),
        ("run,w:a,w:b\n1,1,0\n2,0,1\n", "unreadable"),
        ("run,w:a,m:x\n1,1,2\n", "one_run"),
        ("run,w:a,w:b,m:x\n1,1,0,\n2,0,1,\n3,.5,.5,\n", "never_measured"),
        (f"run,w:a,m:x\n{'9' * 5000},1,2\n", "one_run"),
    ):
        path.write_text(text, encoding="utf-8")
        assert check in {finding.check for finding in diagnose([path]).of("error")}
    assert names(diagnose([])) == {"unreadable"}


# The published tables

REAL = {
    "regmix_1m": set(),
    "regmix_60m": set(),
    "dml_2mix": set(),
    "dml_3mix": set(),
    "dml_5mix": set(),
    "autoscale_ddo": set(),
    "aioli_skillgraph": {"unknown_directions"},
    "skillit_ni23": {"unknown_directions"},
    "datablations_repeat": {"all_equal"},
    "autoscale_optima": {"unreadable"},
}
"""The errors that are right: changes of unknown sign, a single source, and optima without metrics."""


@pytest.mark.parametrize("table", REAL)
def test_published_tables(table: str) -> None:
    found = diagnose([shared(f"runs/{table}/runs.parquet")])
    assert {finding.check for finding in found.of("error")} == REAL[table]
    assert Diagnosis.from_json(found.as_json()) == found


def test_the_tables_of_regmix_are_clean_but_for_names_that_do_not_say_loss() -> None:
    for size in ("1m", "60m"):
        found = diagnose([shared(f"runs/regmix_{size}/runs.parquet")])
        assert [one.check for one in found.of("warning")] == ["assumed_losses"]
        said = diagnose([shared(f"runs/regmix_{size}/runs.parquet")], lower=found.metrics)
        assert said.of("warning") == ()


def test_skill_it_is_well_once_its_direction_is_said() -> None:
    path = shared("runs/skillit_ni23/runs.parquet")
    assert diagnose([path], higher=import_runs([path]).observations.metrics).ok


# The command


def command() -> typer.Typer:
    app = typer.Typer()
    app.command()(doctor)
    return app


def test_the_command_tells_and_ends_with_its_code(tmp_path: Path) -> None:
    clean = str(written(tmp_path / "clean.csv", columns())[0])
    bad = str(written(tmp_path / "bad.csv", changed(columns(), {1: -0.1}, "w:web"))[0])
    done = CliRunner().invoke(command(), [clean])
    assert (done.exit_code, done.stdout.count("\n")) == (0, 1)
    done = CliRunner().invoke(command(), [bad])
    assert done.exit_code == 1
    assert "[negative_shares]\n  The share is negative in row 2.\n" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("2 errors, 0 warnings, 0 notes in no runs")


def test_the_command_in_json(tmp_path: Path) -> None:
    path = str(written(tmp_path / "runs.csv", columns())[0])
    asked = [
        path,
        "--json",
        "--cap",
        "web=30",
        "--floor",
        "law=0.1",
        "--tokens",
        "web=2e9",
        "--target-tokens",
        "1e9",
    ]
    done = CliRunner().invoke(command(), [*asked, "--lower", "first_loss", "--where", "tokens=1e9"])
    told = json.loads(done.stdout)
    assert (done.exit_code, told["ok"]) == (1, False)
    assert {"bounds_in_percent", "missing_token_counts"} <= names(Diagnosis.from_json(told))


@pytest.mark.parametrize(
    "cell", [[0.5], {"x": 0.5}, datetime.date(2020, 1, 1), b"\xff"], ids=["list", "struct", "date", "bytes"]
)
def test_cells_of_parquet_that_are_no_numbers_are_findings(tmp_path: Path, cell: object) -> None:
    path = tmp_path / "runs.parquet"
    columns = {"w:a": [cell] * 3, "w:b": [0.5] * 3, "m:loss": [1.0, 2.0, 3.0]}
    pq.write_table(pa.table(columns), path)
    assert any(one.severity == "error" for one in diagnose([path]).findings)


def test_names_that_end_in_thousands_of_digits_are_no_running_numbers(tmp_path: Path) -> None:
    names = [f"r_{'1' * 5000}{row}" for row in range(4)]
    shares = "".join(f"{name},0.{row + 1},0.{9 - row}\n" for row, name in enumerate(names))
    (tmp_path / "shares.csv").write_text("run,w:a,w:b\n" + shares)
    metrics = "".join(f"{name},{row}.5\n" for row, name in enumerate(names))
    (tmp_path / "metrics.csv").write_text("run,loss\n" + metrics)
    diagnose([tmp_path / "shares.csv", tmp_path / "metrics.csv"])
