"""Metrics of tasks against sums by hand."""

import numpy as np
import pytest

from cuvee.evaluation.task_scores import METRICS, TaskScores, TaskShape
from cuvee.runs.formats.task_units import known_unit, of_task
from cuvee.sources.task_requests import TaskItem, TaskRequests

QUESTIONS = TaskRequests(
    "choice",
    (
        TaskItem((("q", " a"), ("q", " bbb")), (1, 3), (1, 4), (0,)),
        TaskItem((("q", " c"), ("q", " dd"), ("q", " e")), (1, 2, 1), (1, 2, 1), (1, 2)),
    ),
)
NATS = np.array([[2.0, 3.0, 4.0, 1.0, 5.0], [1.0, 9.0, 1.0, 1.0, 1.0]])


def test_choices_by_likelihood_by_character_and_by_byte() -> None:
    scores = TaskScores(TaskShape.of(QUESTIONS), NATS)
    np.testing.assert_array_equal(scores.items["acc"], [[1, 1], [1, 0]])  # the first of equals is taken
    np.testing.assert_array_equal(scores.items["acc_norm"], [[0, 1], [1, 1]])
    np.testing.assert_array_equal(scores.items["acc_bytes"], [[0, 1], [1, 1]])
    np.testing.assert_allclose(scores.means["acc"], [1.0, 0.5])
    np.testing.assert_allclose(scores.errors["acc"], [0.0, 0.5])
    assert scores.shape.chance == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_bits_of_the_right_answer_are_over_its_bytes() -> None:
    scores = TaskScores(TaskShape.of(QUESTIONS), NATS)
    np.testing.assert_allclose(scores.means["bits_per_byte"], np.array([2 + 1, 1 + 1]) / 3 / np.log(2))
    residual = np.array([2 - 1.0, 1 - 2.0])  # of the first model, whose ratio is one nat a byte
    error = np.sqrt(2 * np.square(residual).sum()) / 3 / np.log(2)
    assert scores.errors["bits_per_byte"][0] == pytest.approx(error)


def test_texts_have_perplexities_by_byte_and_word() -> None:
    texts = TaskRequests("rolling", tuple(TaskItem((("", "x"),), (n,), (5 * n,), (0,)) for n in (1, 3)))
    scores = TaskScores(TaskShape.of(texts), np.array([4.0, 8.0]))
    assert scores.means["bits_per_byte"] == pytest.approx(12 / 20 / np.log(2))
    assert scores.means["byte_perplexity"] == pytest.approx(np.exp(12 / 20))
    assert scores.means["word_perplexity"] == pytest.approx(np.exp(12 / 4))


def test_the_error_of_a_single_question_is_unknown() -> None:
    one = TaskRequests("answer", (TaskItem((("q", "a"),), (1,), (1,), (0,)),))
    scores = TaskScores(TaskShape.of(one), np.array([1.0]))
    assert np.isinf(scores.errors["perplexity"])


def test_directions_are_known() -> None:
    every = {name for names in METRICS.values() for name in names}
    ways = {name: known_unit(of_task(name, "race")) for name in every}
    assert {name for name, way in ways.items() if way == "higher"} == {"acc", "acc_norm", "acc_bytes"}
    assert set(ways.values()) == {"higher", "lower"}
    assert known_unit("race") is None and known_unit("loss/race") is None
