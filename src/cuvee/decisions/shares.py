"""Source shares: what a picked mixture takes of each source."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from cuvee.errors import ConfigError
from cuvee.quantities import counted

_SUM_TOLERANCE = 1e-6
_ROUNDING = 1e-6
LEAST_NAMED = 0.005
"""Share of the tokens from which on a source is named in a sentence."""


@dataclass(frozen=True)
class SourceShare:
    """What the picked mixture takes of one source."""

    source: str
    share: float
    """Share of the tokens of the target run."""
    low: float
    high: float
    unique_tokens: int
    """Tokens of the source that exist for training; 0 where unknown."""
    epochs: float
    """How often the target run reads the source: share x target tokens / unique tokens; NaN where unknown."""
    epoch_cap: float = math.nan
    """Most epochs allowed; NaN for none."""
    cap_hit: bool = False
    """The share is the largest that is allowed, by epochs or by the limits of the question."""

    @classmethod
    def of(
        cls,
        source: str,
        share: float,
        ends: tuple[float, float],
        *,
        unique_tokens: int,
        target_tokens: float,
        epoch_cap: float,
        largest: float,
    ) -> Self:
        """A row of a pick.

        Args:
            source: its name.
            share: of the tokens of the target run.
            ends: of the interval of the share.
            unique_tokens: of the source; 0 where unknown.
            target_tokens: of the run that the mixture is for; NaN where unknown.
            epoch_cap: most epochs allowed; NaN for none.
            largest: share that is allowed, one for any.
        """
        epochs = share * target_tokens / unique_tokens if unique_tokens else math.nan
        at_most = largest < 1.0 and share >= largest - _ROUNDING
        return cls(source, share, *ends, unique_tokens, epochs, epoch_cap, bool(at_most))


def check_shares(named: str, mixture: Sequence[SourceShare]) -> None:
    """Of a decision on something of that name.

    Raises:
        ConfigError: no source, one that stands twice, or shares that do not sum to one.
    """
    names = tuple(entry.source for entry in mixture)
    if not names or len(set(names)) != len(names):
        raise ConfigError(f"decision on {named!r}: sources must be unique, found {names}")
    total = math.fsum(entry.share for entry in mixture)
    if not abs(total - 1.0) <= _SUM_TOLERANCE:
        raise ConfigError(f"decision on {named!r}: the shares sum to {total!r}, not 1")


def largest_first(mixture: Sequence[SourceShare]) -> tuple[int, ...]:
    """Places of the sources by their shares; of equal ones the first in the study stands first."""
    return tuple(sorted(range(len(mixture)), key=lambda place: -mixture[place].share))


def parts_in_words(parts: Iterable[tuple[str, float]], digits: int = 0) -> list[str]:
    """``41% web`` of each source with half a per cent and more, in the order given."""
    return [f"{share:.{digits}%} {source}" for source, share in parts if share >= LEAST_NAMED]


def check_lengths(named: str, rows: Iterable[tuple[str, Sequence[object]]], count: int) -> None:
    """Of mixtures beside the pick: each has an entry for every source.

    Raises:
        ConfigError: one has more or fewer (it is named).
    """
    for name, shares in rows:
        if len(shares) != count:
            raise ConfigError(f"decision on {named!r}: {name!r} has {len(shares)} shares, not {count}")


def check_confidence(named: str, confidence: float) -> None:
    """Of the intervals of a decision.

    Raises:
        ConfigError: it does not lie between 0 and 1.
    """
    if not 0.0 < confidence < 1.0:
        raise ConfigError(f"decision on {named!r}: confidence {confidence:g} does not lie between 0 and 1")


def in_words(mixture: Sequence[SourceShare]) -> str:
    """Shares of half a per cent and more, the largest first, and what the others have together."""
    rows = sorted(mixture, key=lambda entry: (entry.share, entry.source), reverse=True)
    named = parts_in_words((entry.source, entry.share) for entry in rows)
    small = [entry.share for entry in rows if 0 < entry.share < LEAST_NAMED]
    if math.fsum(small) >= LEAST_NAMED:
        named.append(
            f"{math.fsum(small):.0%} in {counted(len(small), 'source')} of less than {LEAST_NAMED:.1%} each"
        )
    return ", ".join(named)
