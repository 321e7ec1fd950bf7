"""Shares with few digits that still sum to one, and those too small for a trainer."""

import math
from collections.abc import Mapping

DIGITS = 6
_LEAST_DIGITS = 3
"""Significant ones that the smallest share keeps; shares of documents may be far smaller than of tokens."""


def rounded(shares: Mapping[str, float]) -> dict[str, float]:
    """Positive shares with ``DIGITS`` decimals, or more where the smallest needs them; they sum to 1 exactly.

    Each is rounded down, and the units that are left go to the largest remainders, the earlier first among
    equal ones (the method of Hamilton).
    """
    digits = max(DIGITS, _LEAST_DIGITS - 1 - math.floor(math.log10(min(shares.values()))))
    unit = 10**digits
    whole = {name: int(share * unit) for name, share in shares.items()}
    rests = sorted(shares, key=lambda name: whole[name] - shares[name] * unit)
    for name in rests[: unit - sum(whole.values())]:
        whole[name] += 1
    return {name: count / unit for name, count in whole.items()}


def significant(value: float) -> float:
    """A number that is no share, with as many digits as matter."""
    return float(f"{value:.{DIGITS}g}")
