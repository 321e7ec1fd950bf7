"""In which order the sources take turns (sources; pure arithmetic).

Sequence ``j`` of source ``k`` is due at time ``(j + 1/2) / w_k``; sorting all sequences by their time
gives the order. This is the divisor method of Webster and Sainte-Lague: by time ``t`` source ``k``
has had ``floor(t w_k + 1/2)`` turns, so after ``g`` sequences its number of turns differs from
``g w_k`` by at most ``1/2 + w_k S / 2`` (S sources), at every ``g``. There is no state: the turns
between two ranks are found by solving for the time, in O(ranks + S).
"""

from dataclasses import dataclass

import numpy as np

from cuvee.errors import MixtureError
from cuvee.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Interleave:
    """An endless, fair order of turns."""

    shares: FloatArray
    """Share of the turns of each source [S]; positive, sum 1."""

    def __post_init__(self) -> None:
        if len(self.shares) == 0 or not np.all(self.shares > 0) or not np.all(np.isfinite(self.shares)):
            raise MixtureError(f"turns need positive, finite shares; got {self.shares.tolist()}")
        shares = self.shares / self.shares.sum()
        shares.flags.writeable = False
        object.__setattr__(self, "shares", shares)

    def counts(self, rank: int) -> IntArray:
        """Turns of each source among the first ``rank`` turns, int64 [S], sum ``rank``."""
        before, sources, _ = self._candidates(rank, rank)
        first = sources[: rank - int(before.sum())]
        return before + np.bincount(first, minlength=len(self.shares))

    def turns(self, start: int, stop: int) -> tuple[IntArray, IntArray]:
        """The turns of rank ``start`` to ``stop - 1``.

        Returns:
            The source of each turn and how many turns that source had before it, both int64
            [stop - start].
        """
        before, sources, numbers = self._candidates(start, stop)
        skipped = start - int(before.sum())
        chosen = slice(skipped, skipped + stop - start)
        return sources[chosen], numbers[chosen]

    def _candidates(self, start: int, stop: int) -> tuple[IntArray, IntArray, IntArray]:
        """All turns in a span of time that surely holds the ranks, sorted, and the counts before it."""
        slack = len(self.shares) / 2 + 1  # |sum_k floor(t w_k + 1/2) - t| <= S/2
        low, high = self._before(start - slack), self._before(stop + slack)
        lengths = high - low
        sources = np.repeat(np.arange(len(lengths)), lengths)
        numbers = np.arange(int(lengths.sum())) + np.repeat(low - (np.cumsum(lengths) - lengths), lengths)
        order = np.lexsort((sources, (numbers + 0.5) / self.shares[sources]))
        return low, sources[order], numbers[order]

    def _before(self, time: float) -> IntArray:
        """Turns of each source due before ``time`` [S], exact in the floating-point order of times."""
        counts = np.maximum(np.floor(time * self.shares + 0.5), 0.0)
        counts -= (counts > 0) & ((counts - 0.5) / self.shares >= time)
        counts += (counts + 0.5) / self.shares < time
        return counts.astype(np.int64)
