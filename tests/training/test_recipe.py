"""Recipes: learning rates in closed form, hashes, and what is refused."""

from dataclasses import fields, replace
from itertools import pairwise
from math import cos, pi
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuvee.errors import ConfigError
from cuvee.training.recipe import SCHEDULES, Recipe
from tests.training.helpers import recipe


def rates(one: Recipe) -> list[float]:
    return [one.learning_rate_at(step) for step in range(one.steps)]


def test_constant() -> None:
    assert rates(recipe(steps=3, learning_rate=0.5)) == [0.5] * 3


def test_warm_up_reaches_the_peak_with_its_last_step() -> None:
    found = rates(recipe(steps=6, warmup_steps=4, learning_rate=1.0))
    assert found == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])


def test_linear_falls_by_equal_steps_and_would_be_zero_after_the_last() -> None:
    one = recipe(steps=5, schedule="linear", learning_rate=1.0)
    assert rates(one) == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])
    assert one.learning_rate_at(5) == pytest.approx(0.0)


def test_linear_falls_after_the_warm_up() -> None:
    found = rates(recipe(steps=6, warmup_steps=2, schedule="linear", learning_rate=1.0))
    assert found == pytest.approx([0.5, 1.0, 1.0, 0.75, 0.5, 0.25])


def test_cosine() -> None:
    one = recipe(steps=8, schedule="cosine", learning_rate=2.0)
    assert rates(one) == pytest.approx([1 + cos(pi * step / 8) for step in range(8)])


@pytest.mark.parametrize("decay", [0.2, 0.5, 1.0])
def test_wsd_is_level_and_then_falls(decay: float) -> None:
    one = recipe(steps=10, schedule="wsd", decay=decay, learning_rate=1.0)
    expected = [min(1.0, (1 - step / 10) / decay) for step in range(10)]
    assert rates(one) == pytest.approx(expected)
    level = round(10 * (1 - decay))
    assert rates(one)[: level + 1] == pytest.approx([1.0] * (level + 1))
    assert rates(one)[-1] == pytest.approx(0.1 / decay)


def test_the_final_fraction_is_where_a_schedule_ends() -> None:
    one = recipe(steps=4, schedule="linear", final_fraction=0.2, learning_rate=1.0)
    assert rates(one) == pytest.approx([1.0, 0.8, 0.6, 0.4])
    assert one.learning_rate_at(4) == pytest.approx(0.2)


@given(
    st.sampled_from(sorted(SCHEDULES)),
    st.integers(1, 200),
    st.integers(0, 250),
    st.floats(0.01, 1),
    st.floats(0, 1),
)
def test_rates_stay_between_zero_and_the_peak_and_never_rise_after_the_warm_up(
    schedule: str, steps: int, warmup: int, decay: float, final: float
) -> None:
    one = recipe(steps=steps, schedule=schedule, warmup_steps=warmup, decay=decay, final_fraction=final)
    found = rates(one)
    assert all(0 <= rate <= one.learning_rate * (1 + 1e-12) for rate in found)
    after = found[warmup:]
    assert all(later <= earlier + 1e-15 for earlier, later in pairwise(after))


def test_tokens() -> None:
    one = recipe(steps=12, batch_sequences=4, context_length=16)
    assert (one.batch_tokens, one.tokens) == (64, 768)


CHANGES: dict[str, Any] = {
    "steps": 13,
    "batch_sequences": 8,
    "context_length": 8,
    "learning_rate": 2e-2,
    "schedule": "linear",
    "decay": 0.3,
    "warmup_steps": 1,
    "final_fraction": 0.1,
    "weight_decay": 0.0,
    "beta1": 0.8,
    "beta2": 0.99,
    "epsilon": 1e-6,
    "clip": 2.0,
    "accumulation": 2,
    "tail_average": 0.5,
    "snapshots": (3,),
    "optimizer_state": "fresh",
    "dtype": "bfloat16",
    "compiled": True,
    "optimizer": "muon",
    "stacked": 8,
    "processes": 2,
}


def test_the_hash_changes_with_everything_but_the_seed() -> None:
    base = recipe()
    assert set(CHANGES) | {"seed"} == {field.name for field in fields(Recipe)}, (
        "a new field needs a line above"
    )
    hashes = {replace(base, **{name: value}).hash for name, value in CHANGES.items()}
    assert len(hashes) == len(CHANGES)
    assert base.hash not in hashes
    assert replace(base, seed=5).hash == base.hash


def test_json_has_everything_and_builds_the_same_recipe() -> None:
    one = recipe(snapshots=[3, 5], seed=9)
    assert one.snapshots == (3, 5)
    assert Recipe(**one.as_json()) == one


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"batch_sequences": 0}, "batch_sequences must be at least 1"),
        ({"context_length": -1}, "context_length must be at least 1"),
        ({"accumulation": 0}, "accumulation must be at least 1"),
        ({"accumulation": 3}, "accumulation 3 does not divide batch_sequences 4"),
        ({"schedule": "cosin"}, "schedule 'cosin' is unknown; known: constant, linear, cosine, wsd"),
        ({"tail_average": 1.0}, r"tail_average must be in \[0, 1\)"),
        ({"tail_average": -0.1}, "tail_average"),
        ({"decay": 0.0}, r"decay must be in \(0, 1\]"),
        ({"decay": 1.5}, "decay"),
        ({"snapshots": (13,)}, "must lie within 1 to 12 steps"),
        ({"snapshots": (0,)}, "must lie within"),
        ({"dtype": "float16"}, "dtype must be float32 or bfloat16"),
        ({"optimizer_state": "kept"}, "optimizer_state must be restored or fresh"),
    ],
)
def test_impossible_recipes_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recipe(**change)
