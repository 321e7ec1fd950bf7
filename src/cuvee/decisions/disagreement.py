"""Two answers set beside each other, source by source: where no share lies in both intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cuvee.decisions.interval import Interval

SAME = 0.02
"""Share of the tokens by which two mixtures, or two shares of a source, may differ and still count as one."""


@dataclass(frozen=True)
class Disagreement:
    """A source of which two answers want shares that both their intervals exclude."""

    source: str
    one: "Interval"
    other: "Interval"

    @property
    def gap(self) -> float:
        """By how much the shares differ."""
        return abs(self.one.mean - self.other.mean)


def disagreements(
    sources: Sequence[str], ones: Sequence["Interval"], others: Sequence["Interval"]
) -> tuple[Disagreement, ...]:
    """The sources on which two mixtures disagree, the widest gap first.

    A share without an interval is taken as it is. Gaps up to ``SAME`` are too small to matter.

    Args:
        sources: names [S].
        ones: shares [S] of the one answer.
        others: shares [S] of the other.
    """
    pairs = (Disagreement(*row) for row in zip(sources, ones, others, strict=True))
    found = (pair for pair in pairs if pair.gap > SAME and _apart(pair.one, pair.other))
    return tuple(sorted(found, key=lambda pair: -pair.gap))


def share_words(share: "Interval") -> str:
    """A share with its interval, where one is known."""
    if math.isnan(share.low) or math.isnan(share.high):
        return f"{share.mean:.0%}"
    return f"{share.mean:.0%} ({share.low:.0%} to {share.high:.0%})"


def _apart(one: "Interval", other: "Interval") -> bool:
    (low, high), (other_low, other_high) = _ends(one), _ends(other)
    return low > other_high or other_low > high


def _ends(share: "Interval") -> tuple[float, float]:
    low, high = (share.mean if math.isnan(end) else end for end in (share.low, share.high))
    return min(low, share.mean), max(high, share.mean)
