"""Interval: a number and how sure it is."""

import math
from dataclasses import dataclass

_NAN = math.nan


@dataclass(frozen=True)
class Interval:
    """A mean between the ends of an interval; NaN means "not known"."""

    mean: float = _NAN
    low: float = _NAN
    high: float = _NAN
