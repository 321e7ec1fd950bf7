"""``Decision``: exact JSON, schema numbers, and what a valid decision is."""

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.ablation.result import TARGET, HonestyRow, Loss, ProxyOptimum, TiedMixture
from cuvee.decisions.shares import SourceShare
from cuvee.decisions.verdict import UNTRAINED
from cuvee.errors import ConfigError, SchemaError
from tests.report.cases import checked, hostile, large, small

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.parametrize(
    "decision",
    [small(), checked(), large(), hostile()],
    ids=["small", "checked", "large", "hostile"],
)
def test_json_round_trip_is_exact(decision: Decision) -> None:
    text = json.dumps(decision.as_json(), allow_nan=False)
    again = Decision.from_json(json.loads(text))
    assert again == decision
    assert json.dumps(again.as_json(), allow_nan=False) == text
    assert isinstance(again.tied, tuple)
    assert isinstance(again.mixture[0], SourceShare)


@given(ANY_FLOAT, ANY_FLOAT, st.integers(0, 2**62), st.text())
def test_every_float_and_text_survives(value: float, bound: float, count: int, name: str) -> None:
    row = HonestyRow(name, True, TARGET, name, count, value, bound, noise=value)
    decision = dataclasses.replace(small(), honesty=(row,), proxy_over_direct={name: value})
    text = json.dumps(decision.as_json(), allow_nan=False)
    again = Decision.from_json(json.loads(text))
    for before, after in ((value, again.honesty[0].pearson), (bound, again.honesty[0].pearson_low)):
        assert after.hex() == before.hex() or (math.isnan(before) and math.isnan(after))
    assert (again.honesty[0].proxy, again.honesty[0].n) == (name, count)
    assert json.dumps(again.as_json(), allow_nan=False) == text


def test_nan_is_null_and_numpy_scalars_become_plain() -> None:
    prediction = dataclasses.replace(
        small().predictions[0],
        pick=Loss(np.float64(2.5)),
        in_pool=np.bool_(True),  # type: ignore[arg-type]  # what is tested
    )
    document = dataclasses.replace(small(), predictions=(prediction,)).as_json()
    assert document["predictions"][0]["pick"] == {
        "mean": 2.5,
        "low": None,
        "high": None,
        "bits_per_byte": None,
    }
    json.dumps(document, allow_nan=False)


def test_fields_with_defaults_may_be_absent() -> None:
    document = small().as_json()
    del document["tied"], document["honesty"][0]["ceiling"]
    assert Decision.from_json(document) == small()


def test_a_document_of_the_first_schema_opens_and_is_not_checked() -> None:
    document = small().as_json()
    assert (document["schema"], document["by"]) == (4, "run")
    for key in ("by", "verdict", "check", "gains", "optimism", "evaluations"):
        del document[key]
    opened = Decision.from_json(document | {"schema": 1})
    assert opened == small()
    assert opened.verdict == UNTRAINED and opened.verdict.standing == "not checked"
    assert opened.as_json()["schema"] == 4


def test_a_document_of_the_second_schema_did_not_name_its_flow() -> None:
    document = checked().as_json()
    del document["by"]
    assert Decision.from_json(document | {"schema": 2}) == checked()
    for wrong in (document | {"schema": 4}, document | {"schema": 2, "by": "search"}):
        with pytest.raises(SchemaError, match="run: schema"):
            Decision.from_json(wrong)


def test_a_document_of_before_there_were_optima_opens() -> None:
    document = large().as_json()
    del document["optima"], document["merging"]
    opened = Decision.from_json(document)
    assert opened.optima == () and opened.merging == "linear"
    assert opened.best_weights == large().best_weights


def test_a_newer_schema_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"schema 99.*upgrade"):
        Decision.from_json({**small().as_json(), "schema": 99})
    for wrong in (None, "1", True, 0):
        with pytest.raises(SchemaError, match="schema"):
            Decision.from_json({**small().as_json(), "schema": wrong})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verdicts": 1}, "run: unknown key 'verdicts'"),
        ({"verdict": 1}, "run.verdict: an object is needed"),
        ({"verdict": {"standing": "sure", "why": ""}}, "run.verdict.standing: 'sure'"),
        ({"check": {"parameters": 1}}, "run.check: key 'tokens' is missing"),
        ({"study": 7}, "run.study: 7 does not fit str"),
        ({"estimand": "both"}, "run.estimand: 'both'"),
        ({"believed": 1}, "run.believed: 1 does not fit bool"),
        ({"confidence": "high"}, "run.confidence: 'high' is not a number"),
        ({"headline": "one"}, "run.headline: 'one'"),
        (
            {"target_scale": {"parameters": 1.5, "tokens": 2}},
            "run.target_scale.parameters: 1.5 does not fit int",
        ),
        ({"target": {"prose": []}}, r"run.target\['prose'\]: \[\] is not a number"),
        ({"geometry": {"members": []}}, "run.geometry: key 'norms' is missing"),
        ({"mixture": [3]}, r"run.mixture\[0\]: an object is needed"),
    ],
)
def test_a_broken_document_is_told_with_its_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Decision.from_json({**small().as_json(), **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mixture": ()}, "sources must be unique"),
        ({"mixture": small().mixture[:1]}, "sum to 0.75"),
        ({"mixture": (small().mixture[0],) * 2}, "sources must be unique"),
        ({"tied": (TiedMixture("short", (1.0,), 0.0),)}, "shares of 'short': 1 values where 2"),
        ({"interactions": ((0.0, 0.0),)}, "interactions"),
        ({"best_subset": ("verse",)}, "'verse' is not a source"),
        ({"best_weights": (1.0,)}, "best_weights"),
        ({"optima": (ProxyOptimum("merge", (1.0,), 4.0, 4.1, 0.2),)}, "the optimum of merge': 1 values"),
        ({"target": {"target": 1.0}}, "no evaluation may be called 'target'"),
    ],
)
def test_a_decision_is_valid_from_birth(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(small(), **change)


def test_shares_by_name() -> None:
    assert small().shares() == {"prose": 0.75, "code": 0.25}
    assert small() != large()
