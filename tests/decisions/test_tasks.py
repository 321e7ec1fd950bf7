"""Rows of downstream tasks: which decide, and what the first lines say of those that do not."""

import math

from cuvee.decisions.ablation.tasks import TaskRow, undecided


def row(signal: float, noise: float, metric: str = "bits_per_byte") -> TaskRow:
    return TaskRow("quiz", metric, "lower", 100, 0.1, signal, noise, 12)


def test_a_metric_decides_from_a_ratio_of_one_on() -> None:
    assert row(0.2, 0.1).words == "can decide" == row(0.1, 0.1).words
    assert row(0.1, 0.2).words == "cannot decide" == row(0.0, 0.0).words
    assert row(math.nan, math.nan).words == "not known"
    assert math.isinf(row(0.1, 0.0).ratio)


def test_a_task_of_the_target_that_cannot_decide_is_said() -> None:
    rows = [row(0.1, 0.2), row(0.0, 0.2, "acc")]
    [said] = undecided(rows, {"quiz": 0.5, "web": 0.5})
    assert said.startswith(
        "Downstream task 'quiz' is in the target, but its 100 questions cannot rank mixtures"
    )
    assert "signal of 0.1 between 12 trained mixtures and a noise of 0.2" in said
    assert undecided(rows, {"quiz": 0.0, "web": 1.0}) == []
    assert undecided([row(0.2, 0.1)], {"quiz": 1.0}) == []
