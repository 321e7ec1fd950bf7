"""Digits of metrics: those that count, whatever the unit."""

import math

import pytest

from cuvee.precision import Precision

NAN = math.nan


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        (1.0, ("2.3412", "2.3000", "+0.0412", "2.3200 to 2.3600", "0.0000")),
        (1e-6, ("2.3412e-6", "2.3000e-6", "+4.12e-8", "2.3200e-6 to 2.3600e-6", "0")),
        (1e-12, ("2.3412e-12", "2.3000e-12", "+4.12e-14", "2.3200e-12 to 2.3600e-12", "0")),
        (1e3, ("2341.2", "2300.0", "+41.2", "2320.0 to 2360.0", "0.0")),
        (1e6, ("2.3412e6", "2.3000e6", "+41200", "2.3200e6 to 2.3600e6", "0")),
        (1e8, ("2.3412e8", "2.3000e8", "+4.12e6", "2.3200e8 to 2.3600e8", "0")),
    ],
)
def test_numbers_have_the_digits_of_their_intervals(unit: float, words: tuple[str, ...]) -> None:
    value, other = 2.341234 * unit, 2.3 * unit
    exact = Precision.of((value, other), (0.04 * unit, 0.2 * unit), 0.1 * unit)
    ends = exact.between(2.32 * unit, 2.36 * unit)
    assert (exact.word(value), exact.word(other), exact.signed(value - other), ends, exact.word(0.0)) == words


def test_a_small_spread_around_a_large_value_is_seen() -> None:
    exact = Precision.of((1_000_000.1, 1_000_000.3), (0.05,), 0.1)
    assert (exact.word(1_000_000.1), exact.signed(-0.2)) == ("1000000.1000", "-0.2000")


def test_what_is_not_known() -> None:
    nothing = Precision.of((NAN,), (NAN,), NAN)
    assert [nothing.word(x) for x in (NAN, math.inf, -math.inf, 0.0)] == ["-", "inf", "-inf", "0.000"]
    alone = Precision.of((23.123456, NAN))
    assert (alone.word(23.123456), alone.word(NAN)) == ("23.12", "-")
    noiseless = Precision.of((2.5, 2.7), (1e-15, 0.0))
    assert noiseless.word(2.5) == "2.5000"


def test_signs() -> None:
    exact = Precision.of((1.0, 2.0), (0.1,))
    assert [exact.signed(x) for x in (0.5, -0.5, 0.0, 1e-9, -1e-9)] == [
        "+0.500",
        "-0.500",
        "0.000",
        "0.000",
        "0.000",
    ]


@pytest.mark.parametrize(
    ("value", "word"),
    [(0.00123, "0.0012"), (2.34e-7, "2.3e-7"), (0.5, "0.50"), (1234.0, "1200"), (0.0, "0.0"), (NAN, "-")],
)
def test_a_number_alone_has_two_digits(value: float, word: str) -> None:
    assert Precision.alone(value).word(value) == word


def test_one_number_far_beyond_the_others_is_not_written_out() -> None:
    exact = Precision.of((812.3,), spread=40.0)
    assert (exact.word(812.34), exact.word(1e30), exact.word(3.2e6)) == ("812.3", "1.00e30", "3200000.0")
