"""The shapes that fields document are looked at while tests run (``tests/shapes.py``)."""

import numpy as np
import pytest

from cuvee.laws.interface import LawData, Scale
from cuvee.mixture import Mixture
from tests.shapes import CHECKED, WrongShape, documented


def test_a_field_says_its_shape() -> None:
    assert documented(LawData)["shares"] == (("R", "S"),)
    assert documented(Scale)["unique"] == (("S",), ("M", "S"))
    assert documented(Mixture) == {"shares": (("S",),)}


def test_an_array_of_another_shape_is_found_when_it_is_made() -> None:
    shares, costs = np.full((4, 2), 0.5), np.ones((4, 1))
    LawData(("a", "b"), ("loss",), shares, costs, Scale())
    assert LawData in CHECKED
    with pytest.raises(WrongShape, match=r"LawData\.costs has the shape \(3, 1\), its words say \[R, E\]"):
        LawData(("a", "b"), ("loss",), shares, costs[:3], Scale())
    with pytest.raises(WrongShape, match=r"LawData\.own"):
        LawData(("a", "b"), ("loss",), shares, costs, Scale(), np.zeros(2, dtype=np.int64))
