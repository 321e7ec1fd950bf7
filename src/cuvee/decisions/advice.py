"""The first line of an answer: the mixture, and no more confidence than its verdict has (floor 7)."""

import math
from collections.abc import Sequence

from cuvee.decisions.shares import SourceShare
from cuvee.decisions.verdict import Standing, Verdict

_LEAST_NAMED = 0.005

_ADVICE: dict[Standing, str] = {
    "confirmed": "Train on {}.",
    "not confirmed": "Not confirmed: {}.",
    "refuted": "Do not train on {}.",
    "not checked": "Not checked: {}.",
}


def advice(verdict: Verdict, mixture: str) -> str:
    """What to do with a mixture that is given in words."""
    return _ADVICE[verdict.standing].format(mixture)


def in_words(mixture: Sequence[SourceShare]) -> str:
    """Shares of half a per cent and more, the largest first, and what the others have together."""
    rows = sorted(mixture, key=lambda entry: (entry.share, entry.source), reverse=True)
    named = [f"{entry.share:.0%} {entry.source}" for entry in rows if entry.share >= _LEAST_NAMED]
    small = [entry.share for entry in rows if 0 < entry.share < _LEAST_NAMED]
    if math.fsum(small) >= _LEAST_NAMED:
        named.append(f"{math.fsum(small):.0%} in {len(small)} sources of less than {_LEAST_NAMED:.1%} each")
    return ", ".join(named)
