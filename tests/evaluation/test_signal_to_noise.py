"""Signal and noise of answers that are drawn with known ones."""

import numpy as np
import pytest

from cuvee.evaluation.signal_to_noise import SignalToNoise


def answers(signal: float, models: int = 200, questions: int = 300, hard: float = 1.0) -> np.ndarray:
    """Of models that differ by ``signal`` on questions that differ by ``hard``, with a noise of one each."""
    rng = np.random.default_rng(0)
    skill, ease = rng.normal(0, signal, (models, 1)), rng.normal(0, hard, questions)
    return np.asarray(skill + ease + rng.normal(0, 1.0, (models, questions)))


def test_signal_and_noise_are_found_again() -> None:
    found = SignalToNoise.of(answers(0.2))
    assert found.signal == pytest.approx(0.2, rel=0.1)
    assert found.noise == pytest.approx(1 / np.sqrt(300), rel=0.02)
    assert found.ratio == pytest.approx(0.2 * np.sqrt(300), rel=0.1) and found.decides


def test_what_is_hard_for_all_models_is_no_noise() -> None:
    one, other = SignalToNoise.of(answers(0.2, hard=9.0)), SignalToNoise.of(answers(0.2))
    assert (one.signal, one.noise) == pytest.approx((other.signal, other.noise))


def test_models_that_do_not_differ_have_no_signal() -> None:
    found = SignalToNoise.of(answers(0.0, models=12))
    assert found.ratio < 1 and not found.decides


def test_seeds_are_noise_too() -> None:
    twice = np.array([0.3, -0.3, 0.3])
    found = SignalToNoise.of(answers(0.2), twice)
    assert found.noise == pytest.approx(0.3 / np.sqrt(2))
    assert not found.decides


def test_nothing_is_said_of_few_models_or_a_single_question() -> None:
    for few in (answers(1.0, models=2), answers(1.0, questions=1)):
        found = SignalToNoise.of(few)
        assert np.isnan(found.ratio) and not found.decides
