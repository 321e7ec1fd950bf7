"""Numbers as words: rounding, signs and missing values."""

import math
import re
from pathlib import Path

import pytest

from cuvee.quantities import size
from cuvee.report import wording

FOLDER = Path(wording.__file__).parent


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (wording.number(-1.23456), "−1.235"),
        (wording.number(-0.0001), "0.000"),
        (wording.number(math.nan), "–"),
        (wording.number(-math.inf), "−∞"),
        (wording.signed(0.5, 1), "+0.5"),
        (wording.signed(-0.5, 1), "−0.5"),
        (wording.signed(0.0001, 2), "0.00"),
        (wording.signed(math.inf), "∞"),
        (wording.signed(math.nan), "–"),
        (wording.interval(-0.1, 0.2, wording.correlation), "[−0.10, 0.20]"),
        (wording.interval(math.nan, 0.2), ""),
        (wording.percent(0.1234), "12.3%"),
        (wording.percent(0.005), "0.50%"),
        (wording.percent(0.00001), "<0.01%"),
        (wording.percent(0.0), "0.0%"),
        (wording.quantity(999), "999"),
        (wording.quantity(999_950), "1.00M"),
        (wording.quantity(26_000_000_000), "26.0B"),
        (wording.quantity(123_456), "123k"),
        (wording.epochs(3.456), "3.46"),
        (wording.epochs(34.56), "34.6"),
        (wording.flops(1.23e15), "1.2e15"),
        (wording.flops(9.97e11), "1.0e12"),
        (wording.flops(9.97e11, 3), "9.97e11"),
        (wording.flops(2.5e-3), "2.5e-3"),
        (size(60e6), "60M"),
        (size(1.0486e9), "1.049B"),
        (size(12), "12"),
        (size(math.nan), "–"),
        (wording.flops(math.nan), "–"),
        (wording.flops(0.0), "0"),
        (wording.duration(59.0), "59.0 s"),
        (wording.duration(61.0), "1 min 01 s"),
        (wording.duration(3725.0), "1 h 02 min"),
        (wording.duration(190_000.0), "2 d 04 h"),
        (wording.ratio(0.013), "1.3%"),
        (wording.ratio(2.5), "2.5 times"),
        (wording.ratio(math.nan), "–"),
        (wording.effect(0.0123, True), "+12.3"),
        (wording.effect(-1.5, False), "−1.500"),
        (wording.main_shares(("a", "b", "c"), (0.2, 0.8, 0.0)), "b 80.0%, a 20.0%"),
        (wording.main_shares(("a", "b", "c"), (0.2, 0.5, 0.3), 1), "b 50.0% and 2 more"),
    ],
)
def test_words(text: str, expected: str) -> None:
    assert text == expected


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.j2")), ids=lambda path: path.name)
def test_pages_write_per_cent_as_the_words_do(page: Path) -> None:
    assert not re.search(r"\d %(?!\})|\}\} %", page.read_text(encoding="utf-8"))
