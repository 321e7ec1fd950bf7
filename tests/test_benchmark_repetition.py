"""Repeated data: limits that can be worked by hand, recovery, and the published refits."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.repetition import REPETITION_LAWS, FittedRepetition, RepeatedRuns, effective_tokens
from cuvee.errors import ConfigError
from cuvee.runs import import_runs
from cuvee.types import FloatArray
from tests.published import shared

TRUE = {
    "data_constrained": {"E": 1.8, "A": 0.5, "B": 0.5, "alpha": 0.35, "beta": 0.3, "R": 15.0, "S": 5.0},
    "overfitting_penalty": {
        "E": 1.8, "A": 0.5, "B": 0.5, "alpha": 0.35, "beta": 0.4, "P": 0.01, "delta": 0.6, "kappa": 0.5
    },
}  # fmt: skip


def some_runs(count: int, seed: int = 0) -> RepeatedRuns:
    rng = np.random.default_rng(seed)
    tokens = 10.0 ** rng.uniform(9, 11, count)
    return RepeatedRuns(10.0 ** rng.uniform(7, 9.5, count), tokens, tokens / 10.0 ** rng.uniform(0, 2, count))


def fitted(name: str) -> FittedRepetition:
    return FittedRepetition(REPETITION_LAWS[name], TRUE[name], (1e8, 1e10))


@given(tokens=st.floats(1.0, 1e6), part=st.floats(1e-3, 1.0), decay=st.floats(0.5, 100.0))
def test_repeated_tokens_are_worth_less_and_never_nothing(tokens: float, part: float, decay: float) -> None:
    unique = np.array([tokens * part])
    worth = effective_tokens(np.array([tokens]), unique, decay)
    assert unique[0] * (1 - 1e-9) <= worth[0] <= tokens * (1 + 1e-9)
    more = effective_tokens(np.array([2.0 * tokens]), unique, decay)
    assert more[0] >= worth[0] * (1 - 1e-9)


def test_effective_tokens_worked_by_hand() -> None:
    worth = effective_tokens(np.array([100.0, 400.0, 1e9]), np.array([100.0, 100.0, 100.0]), 10.0)
    assert worth == pytest.approx([100.0, 100.0 + 1000.0 * (1 - np.exp(-0.3)), 1100.0])
    # Four epochs are nearly as good as fresh data, forty are not (their abstract).
    assert effective_tokens(np.array([4.0]), np.array([1.0]), 15.4)[0] > 0.9 * 4.0
    assert effective_tokens(np.array([40.0]), np.array([1.0]), 15.4)[0] < 0.4 * 40.0


@pytest.mark.parametrize("name", REPETITION_LAWS)
def test_without_repetition_both_are_the_law_of_fresh_data(name: str) -> None:
    runs = some_runs(20)
    once = RepeatedRuns(np.full(20, 1e7), runs.tokens, runs.tokens)
    p = TRUE[name]
    by_hand = p["E"] + p["A"] * 0.1 ** -p["alpha"] + p["B"] * (once.tokens / 1e10) ** -p["beta"]
    assert fitted(name).predict(once) == pytest.approx(by_hand, rel=1e-9)


@pytest.mark.parametrize("name", REPETITION_LAWS)
def test_more_unique_tokens_are_never_worse_and_no_loss_is_below_the_floor(name: str) -> None:
    runs = some_runs(60)
    more = RepeatedRuns(runs.params, runs.tokens, np.minimum(2.0 * runs.unique, runs.tokens))
    assert (fitted(name).predict(more) <= fitted(name).predict(runs) + 1e-12).all()
    assert (fitted(name).predict(runs) > TRUE[name]["E"]).all()


@pytest.mark.parametrize("name", REPETITION_LAWS)
def test_the_law_that_made_the_runs_is_found(name: str) -> None:
    runs, rest = some_runs(150), some_runs(100, 1)
    law = REPETITION_LAWS[name]
    noise = np.exp(0.001 * np.random.default_rng(2).normal(size=150))
    found = law.fit(runs, fitted(name).predict(runs) * noise)
    assert found.predict(rest) == pytest.approx(fitted(name).predict(rest), rel=0.01)
    again = law.fit(runs, fitted(name).predict(runs) * noise)
    assert json.dumps(again.as_json()) == json.dumps(found.as_json())


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (
            lambda: RepeatedRuns(np.ones(2), np.ones(2), np.zeros(2)),
            "unique of repeated runs must be positive",
        ),
        (lambda: RepeatedRuns(np.ones(2), np.ones(3), np.ones(2)), "one number a run"),
        (lambda: REPETITION_LAWS["data_constrained"].fit(some_runs(3), np.ones(3)), "for 7 parameters"),
        (lambda: REPETITION_LAWS["data_constrained"].fit(some_runs(9), np.zeros(9)), "positive"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "r_squared", "mean", "median"),
    [("data_constrained", 0.516, 0.334, 0.066), ("overfitting_penalty", 0.759, 0.206, 0.056)],
)
def test_the_published_refits_are_reached(name: str, r_squared: float, mean: float, median: float) -> None:
    table = import_runs([shared("runs/datablations_repeat/runs.parquet")])
    whole = np.array([told != "True" for told in table.labels["dedup"]])
    unique = np.array([float(cell) for cell in table.labels["unique_tokens"]])
    runs = RepeatedRuns(table.observations.params[whole], table.observations.tokens[whole], unique[whole])
    losses: FloatArray = table.observations.metric("c4")[whole]
    missed = np.abs(REPETITION_LAWS[name].fit(runs, losses).predict(runs) - losses)
    assert 1.0 - (missed**2).sum() / ((losses - losses.mean()) ** 2).sum() >= r_squared
    assert missed.mean() <= mean
    assert np.median(missed) <= median
