"""Counts as people write them, in the columns of every format that tell parameters, tokens and sizes."""

from pathlib import Path

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.runs.formats.counts import count, without_unit
from cuvee.runs.formats.marks import amount
from tests.runs.test_conventions import WEB, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("60M", 60e6),
        ("60m", 60e6),
        ("60 M", 60e6),
        ("1.4B", 1.4e9),
        ("7b", 7e9),
        ("2.5G", 2.5e9),
        ("1.2T", 1.2e12),
        ("500k", 5e5),
        ("1e9", 1e9),
        ("25B tokens", 25e9),
        ("25Btok", 25e9),
        ("3 billion", 3e9),
        ("2.5bn tokens", 2.5e9),
        ("400 tokens", 400.0),
        ("60,000,000", 60e6),
        ("60,000", 60e3),
        ("1,000,000.5", 1_000_000.5),
        ("60_000_000", 60e6),
        ("60 000 000", 60e6),
        ("60\u202f000\u202f000", 60e6),
        ("60'000'000", 60e6),
        ("60.000.000", 60e6),
        ("1,000,000M", 1e12),
    ],
)
def test_one_reading_is_read(text: str, value: float) -> None:
    assert count(text, "tokens") == value


@pytest.mark.parametrize(
    "text",
    [
        "25GB",
        "60MM",
        "60Mi",
        "1,4B",
        "1,400B",
        "0,125",
        "12,34",
        "1e9B",
        "7B-13B",
        "~7B",
        "30%",
        "many",
        "7B params",
        "",
    ],
)
def test_what_may_mean_two_things_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is no count of one meaning; write 60M"):
        count(text, "tokens")


def test_a_plain_number_beside_units_has_none() -> None:
    assert without_unit(["13B", "", "7"]) == 2
    assert without_unit(["13B", "0", "7000000000"]) is None
    assert without_unit(["13", "7"]) is None


@pytest.mark.parametrize(
    "shares",
    [("w:{}", "m:loss"), ("weight_{}", "web_loss"), ("{}", "web_loss"), ("train_{}", "metric/web_loss")],
)
@pytest.mark.parametrize("parquet", [False, True])
def test_params_and_tokens_in_words(tmp_path: Path, shares: tuple[str, str], parquet: bool) -> None:
    names, metric = shares
    table = {
        "index" if metric.startswith("metric") else "run": ["1", "2", "3"],
        names.format("web"): list(WEB),
        names.format("code"): [1 - web for web in WEB],
        metric: [2.0, 2.5, 3.0],
        "params": ["60M", "60m", "60000000"],
        "tokens": ["25B tokens", "2.5e10", "25,000,000,000"],
    }
    observed = read(tmp_path, parquet, runs=table).observations
    assert observed.sources == ("web", "code")
    np.testing.assert_array_equal(observed.params, np.full(3, 60e6))
    np.testing.assert_array_equal(observed.tokens, np.full(3, 25e9))


@pytest.mark.parametrize(
    ("column", "cells", "message"),
    [
        ("tokens", ["1B", "25GB", "1B"], r"row 2, tokens: '25GB' is no count of one meaning; write 60M"),
        ("params", ["1B", "7", "13B"], r"row 2: params is 7, beside counts with a unit.*write 7M or 7B"),
        ("params", ["1.4", "7", "13"], r"row 1, params: '1.4' is not a whole number; write 1.4M or 1.4B"),
        ("params", ["7B tokens", "1B", "1B"], r"row 1, params: '7B tokens' is no count"),
        ("tokens", ["inf", "1B", "1B"], r"row 1: tokens is infinite"),
    ],
)
def test_counts_are_refused_with_their_row(
    tmp_path: Path, column: str, cells: list[str], message: str
) -> None:
    table = {
        "run": ["a", "b", "c"],
        "w:web": list(WEB),
        "w:code": [1 - web for web in WEB],
        "m:loss": [2, 3, 4],
    }
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, runs={**table, column: cells})


def test_one_size_in_several_spellings_is_one(tmp_path: Path) -> None:
    """Files agree on a size, whether a column or a file's name tells it."""
    shares = {
        "run": ["a", "a", "b"],
        "size": ["60M", "1.4b", "60m"],
        "web": list(WEB),
        "code": [1 - w for w in WEB],
    }
    losses = {"run": ["a", "a", "b"], "size": ["60000000", "1.4B", "60M"], "web_loss": [1.0, 2.0, 3.0]}
    table = read(tmp_path, ratios=shares, metrics=losses)
    assert table.observations.keys == ("a size 60M", "a size 1.4B", "b size 60M")
    np.testing.assert_array_equal(table.observations.metric("web_loss"), [1.0, 2.0, 3.0])
    assert amount("60,000,000") == amount("60M") == amount("size-60m") == 60e6
    assert amount("llama-3-8b") == 8e9


def test_an_exact_count_keeps_its_digits(tmp_path: Path) -> None:
    table = {"run": ["a"], "w:web": [1.0], "w:code": [0.0], "m:loss": [2], "tokens": ["1048576001"]}
    assert read(tmp_path, runs=table).observations.tokens.tolist() == [1048576001.0]
