"""What a trainer drew beside what was decided: errors against theory, order, files as they come."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cuvee.cli.app import app
from cuvee.errors import ConfigError
from cuvee.exporters.draws import Draws, read_draws
from cuvee.exporters.realised import compared
from cuvee.mixture.mixture import Mixture
from tests.report.cases import choosing

MIXTURE = Mixture.of({"web": 0.5, "code": 0.3, "law": 0.2})
LENGTHS = np.array([20.0, 60.0, 400.0])


def draws_of(sources: np.ndarray, tokens: np.ndarray | None = None, names: Any = MIXTURE.names) -> Draws:
    """Samples as a reader would give them."""
    said = np.ones(len(sources)) if tokens is None else tokens
    return Draws(tuple(names), sources.astype(np.int64), said, "source", "tokens", 0)


def drawn(samples: int, seed: int, shares: Any = (0.5, 0.3, 0.2)) -> Draws:
    """Samples at random whose tokens are in these shares, of lengths that differ within a source too."""
    rng = np.random.default_rng(seed)
    rates = np.array(shares) / LENGTHS
    sources = rng.choice(3, samples, p=rates / rates.sum())
    return draws_of(sources, LENGTHS[sources] * rng.uniform(0.2, 1.8, samples))


def test_of_equal_samples_the_error_is_binomial() -> None:
    sources = np.repeat([0, 1, 2], [500, 300, 200])
    found = compared(MIXTURE, draws_of(np.random.default_rng(0).permutation(sources)), {})
    assert [share.drawn for share in found.shares] == pytest.approx([0.5, 0.3, 0.2])
    errors = [(p * (1 - p) / 1000) ** 0.5 for p in (0.5, 0.3, 0.2)]
    assert [share.error for share in found.shares] == pytest.approx(errors)
    assert found.ok and found.parts == ()


def test_errors_are_those_of_repeated_draws() -> None:
    runs = [compared(MIXTURE, drawn(3000, seed), {}).shares for seed in range(400)]
    for place in range(3):
        spread = np.std([run[place].drawn for run in runs])
        said = np.mean([run[place].error for run in runs])
        # Of 400 draws a standard deviation is known to 3.5 %.
        assert said == pytest.approx(spread, rel=0.12)
    assert not any(share.differs for run in runs for share in run)


def test_another_mixture_is_seen() -> None:
    found = compared(MIXTURE, drawn(20_000, 1, (0.45, 0.35, 0.2)), {})
    assert {share.source for share in found.off} == {"web", "code"}
    assert not found.ok


def test_one_source_after_the_other_is_seen_though_the_shares_are_right() -> None:
    found = compared(MIXTURE, draws_of(np.repeat([0, 1, 2], [5000, 3000, 2000])), {})
    assert found.off == ()
    assert found.off_in_part is not None
    part, share = found.off_in_part
    assert (part, share.source, share.drawn) == (9, "law", 1.0) or share.drawn == 1.0
    assert not found.ok
    mixed = compared(MIXTURE, drawn(20_000, 2), {})
    assert mixed.ok and len(mixed.parts) == 10


def test_a_source_never_drawn_and_one_never_asked_for() -> None:
    found = compared(MIXTURE, draws_of(np.tile([0, 1, 3], 1000), names=("web", "code", "law", "spam")), {})
    by_name = {share.source: share for share in found.shares}
    assert by_name["law"].drawn == 0.0 and by_name["law"].differs
    assert by_name["law"].error == pytest.approx((0.2 * 0.8 / 3000) ** 0.5)
    assert by_name["spam"].asked == 0.0 and by_name["spam"].differs
    few = compared(MIXTURE, draws_of(np.array([0, 0, 1])), {})
    assert few.ok  # three samples tell nothing


def test_differences_too_small_to_matter_are_none() -> None:
    # 2 per 10,000 were asked for and 2.8 came: eight standard errors, and less than anybody can choose by.
    sources = np.zeros(2_000_000, np.int64)
    sources[::3572] = 1
    found = compared(Mixture.of({"a": 0.9998, "b": 0.0002}), draws_of(sources, names=("a", "b")), {})
    assert found.shares[1].drawn - 0.0002 > 7 * found.shares[1].error
    assert found.ok


def test_few_samples_of_a_source_are_no_alarm() -> None:
    mixture = Mixture.of({"a": 0.998, "b": 0.002})
    rng = np.random.default_rng(4)
    orders = [draws_of((rng.random(2000) < 0.002).astype(int), names=("a", "b")) for _ in range(500)]
    # Each tenth holds 0.4 samples of b on average; of 5,000 tenths some hold three or four.
    assert [one for one in orders if not compared(mixture, one, {}).ok] == []


# --- files --------------------------------------------------------------------------------------------


def test_tables_and_lines_are_read_alike(tmp_path: Path) -> None:
    rows = [("web", 10), ("code", 20), ("web", 30)]
    with (tmp_path / "order.csv").open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([("step", "Source", "tokens"), *((i, *row) for i, row in enumerate(rows))])
    lines = "\n".join(json.dumps({"source": name, "tokens": tokens}) for name, tokens in rows)
    (tmp_path / "order.jsonl").write_text(f"{lines}\n\n")
    with gzip.open(tmp_path / "order.jsonl.gz", "wt") as packed:
        packed.write(lines)
    for name in ("order.csv", "order.jsonl", "order.jsonl.gz"):
        found = read_draws(tmp_path / name)
        assert found.names == ("web", "code")
        assert found.sources.tolist() == [0, 1, 0] and found.tokens.tolist() == [10, 20, 30]


def test_a_log_tells_more_than_samples(tmp_path: Path) -> None:
    log = tmp_path / "train.jsonl"
    log.write_text('{"step": 1}\n{"dataset": "web", "n": 5}\n{"loss": 2}\n{"dataset": "code", "n": 7}\n')
    found = read_draws(log, token_column="n")
    assert found.passed_over == 2 and found.tokens.tolist() == [5, 7]
    assert (found.source_column, found.token_column) == ("dataset", "n")
    assert read_draws(log, source_column="dataset").token_column == ""
    log.write_text('{"step": 1}\n{"dataset": "web", "tokens": 5}\n')
    assert read_draws(log, source_column="dataset").token_column == "tokens"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "source,tokens\nweb,many\n", "row 1: tokens is 'many'"),
        ("a.csv", "source,tokens\nweb,-1\n", "row 1: tokens is '-1'"),
        ("a.csv", "source,tokens\nweb\n", "row 1: 1 cells under 2 columns"),
        ("a.csv", "source,source\nweb,web\n", "'source' stands there twice"),
        ("a.csv", "source,tokens\nweb,0\n", "tokens is zero in every row"),
        ("a.csv", "step,loss\n1,2\n", "names the source of no sample; say --source COLUMN"),
        ("a.csv", "", "names the source of no sample"),
        ("a.jsonl", '{"source": "web"}\n{"sour', "line 2 is not JSON"),
        ("a.jsonl", "[1]\n", "line 1: one object a line is needed"),
        ("a.jsonl", '{"source": ["web", "code"]}\n', "row 1: source is no name"),
        ("a.jsonl", '{"source": "web", "tokens": 1}\n{"source": "web"}\n', "row 2: tokens is None"),
        ("a.txt", "web\n", "a table (.csv, .tsv) or JSON lines"),
    ],
)
def test_what_is_no_order_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_draws(tmp_path / name)
    assert said in str(caught.value)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_draws(tmp_path / "none.csv")
    (tmp_path / "bad.csv").write_bytes(b"source\n\xff\xfe\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_draws(tmp_path / "bad.csv")
    (tmp_path / "bad.csv.gz").write_bytes(b"source\n")
    with pytest.raises(ConfigError, match="cannot read"):
        read_draws(tmp_path / "bad.csv.gz")


# --- the command --------------------------------------------------------------------------------------


def check(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["check-export", *map(str, arguments)])


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Shares, and an order that keeps to them but calls a source by its path."""
    (tmp_path / "shares.json").write_text(json.dumps(MIXTURE.as_dict()))
    order = drawn(20_000, 3)
    names = ("web", "code", "/data/law")
    with (tmp_path / "order.csv").open("w", newline="") as file:
        rows = zip((names[s] for s in order.sources), order.tokens.astype(int), strict=True)
        csv.writer(file).writerows([("source", "tokens"), *rows])
    return tmp_path


def test_the_command_says_what_differs(files: Path) -> None:
    shares, order = files / "shares.json", files / "order.csv"
    good = check(shares, "--samples", order, "--path", "law=/data/law")
    assert good.exit_code == 0 and "Noise explains every difference" in good.stdout
    assert "tokens from tokens" in good.stderr
    stray = check(shares, "--samples", order)
    assert stray.exit_code == 1
    assert "law: 0.00% of the tokens instead of 20.00%, beyond noise." in stray.stdout
    said = json.loads(check(shares, "--samples", order, "--json").stdout)
    assert not said["ok"] and said["samples"] == 20_000
    assert {row["source"]: row["differs"] for row in said["sources"]} == {
        "web": False,
        "code": False,
        "law": True,
        "/data/law": True,
    }


def test_samples_without_tokens_count_alike_and_it_is_said(files: Path) -> None:
    lines = "".join(f'{{"source": "{name}"}}\n' for name in ("web", "code", "law"))
    (files / "order.jsonl").write_text(lines)
    found = check(files / "shares.json", "--samples", files / "order.jsonl")
    assert found.exit_code == 0 and "every sample counts as one of equal length" in found.stderr


def test_names_that_mean_no_source_are_refused(files: Path) -> None:
    (files / "order.csv").write_text("source\n0\n1\n")
    found = check(files / "shares.json", "--samples", files / "order.csv")
    assert found.exit_code == ConfigError.exit_code
    assert "none of the names in column 'source' (0, 1) is a source" in found.stderr
    named = check(
        files / "shares.json", "--samples", files / "order.csv", "--path", "web=0", "--path", "code=1"
    )
    assert named.exit_code == 0


def test_a_study_knows_the_paths_of_its_sources(files: Path) -> None:
    (files / "study.yaml").write_text(
        f"schema: 1\nsources: {{web: {files}/web, code: {files}/code, law: /data/law}}\n"
    )
    decision = choosing(MIXTURE.as_dict(), {})
    (files / "decision.json").write_text(json.dumps(decision.as_json()))
    assert check(files, "--samples", files / "order.csv").exit_code == 0
