"""Amounts of sources in fresh tokens: the published curve, its derivatives, what makes no sense."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuvee.errors import ConfigError
from cuvee.laws.amounts import Amounts
from cuvee.laws.interface import Scale

SHARES = np.array([[0.5, 0.3, 0.2], [0.0, 0.9, 0.1]])


def test_amounts_are_the_effective_tokens_of_muennighoff() -> None:
    """Their equation 5 (https://arxiv.org/abs/2305.16264): what is read again is worth less and less."""
    unique = np.array([1e8, 9e9, 3e7])
    amounts = Amounts.of(SHARES, Scale(tokens=1e10, unique=unique), np.log([5.0, 15.0]), 1e9)
    for problem, decay in enumerate((5.0, 15.0)):
        read = np.where(SHARES > 0, SHARES, 1e-12) * 1e10
        once = np.minimum(unique, read)
        worth = once + once * decay * (1 - np.exp(-(read / once - 1) / decay))
        np.testing.assert_allclose(amounts.fresh[problem], worth / 1e9, atol=1e-11)


@pytest.mark.parametrize("unique", [None, np.full(3, math.nan), np.full(3, math.inf), np.full(3, 1e12)])
def test_what_is_never_repeated_is_what_was_read(unique: np.ndarray | None) -> None:
    amounts = Amounts.of(SHARES, Scale(tokens=2e9, unique=unique), np.log([15.0]), 1e9)
    np.testing.assert_array_equal(amounts.fresh[0], 2.0 * SHARES)
    assert (amounts.per_read == 1.0).all() and (amounts.per_decay == 0.0).all()


def test_unique_tokens_may_differ_between_mixtures() -> None:
    unique = np.array([[1e8, math.nan, math.inf], [math.nan, 1e8, math.nan]])
    scale = Scale(tokens=np.array([1e9, 2e9]), unique=unique)
    both = Amounts.of(SHARES, scale, np.log([15.0]), 1e9).fresh[0]
    assert (both[0, 0], both[1, 1]) < (0.5, 1.8)
    assert both[0, 1:] == pytest.approx([0.3, 0.2])
    second = Amounts.of(SHARES[1:], scale.select(np.array([1])), np.log([15.0]), 1e9)
    np.testing.assert_array_equal(second.fresh[0, 0], both[1])


@given(epochs=st.floats(0.5, 60.0), decay=st.floats(1.0, 50.0))
def test_derivatives_are_differences_on_both_sides_of_one_epoch(epochs: float, decay: float) -> None:
    def of(shift: float = 0.0, logs: float = 0.0) -> Amounts:
        shares = np.array([[epochs * 1e-2 + shift]])
        return Amounts.of(shares, Scale(tokens=1e10, unique=np.array([1e8])), np.log([decay]) + logs, 1e10)

    step = 1e-7
    per_read = (of(step).fresh - of(-step).fresh) / (2 * step)
    assert of().per_read[0, 0, 0] == pytest.approx(per_read[0, 0, 0], abs=1e-4)
    per_decay = (of(logs=1e-5).fresh - of(logs=-1e-5).fresh) / 2e-5
    assert of().per_decay[0, 0, 0] == pytest.approx(per_decay[0, 0, 0], abs=1e-7)


def test_the_derivative_is_continuous_at_one_epoch() -> None:
    shares = np.array([[0.01 - 1e-9], [0.01 + 1e-9]])
    found = Amounts.of(shares, Scale(tokens=1e10, unique=np.array([1e8])), np.log([15.0]), 1e10)
    assert found.per_read[0, 0, 0] == 1.0
    assert found.per_read[0, 1, 0] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("unique", "told"),
    [
        (np.array([1e9, 0.0]), "unique tokens must be positive, found 0.0"),
        (np.array([math.nan, -1.0]), "found -1.0"),
        (np.array(1e9), r"shape \(\)"),
        (np.array([1e9, 1e9]), "unique tokens of 2 sources for 3"),
    ],
)
def test_unique_tokens_that_make_no_sense_are_refused(unique: np.ndarray, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Amounts.of(SHARES, Scale(tokens=1e10, unique=unique), np.log([15.0]), 1e9)
