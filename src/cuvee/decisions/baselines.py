"""Baselines as they are compared: equal and proportional shares, or the nearest that the limits allow.

One meaning for all answers: a table shows the mixture that was compared, and a sentence says where it is not
what its name says.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cuvee.decisions.check import EQUAL, PROPORTIONAL, TrainingCheck
from cuvee.decisions.shares import SourceShare, parts_in_words

_LIMITED = 0.005
"""Share of the tokens that the limits move a baseline by, from which on that is said."""
WITHIN = ", within the limits"
"""Behind the name of a baseline that the limits do not allow as it is."""


@dataclass(frozen=True)
class BaselineMixture:
    """A baseline and its shares."""

    name: str
    """``EQUAL`` or ``PROPORTIONAL``."""
    shares: tuple[float, ...]
    """As compared, in the order of the decision's mixture [S]."""


@dataclass(frozen=True)
class Baselines:
    """Both baselines of a decision."""

    mixture: Sequence[SourceShare]
    """The pick, whose sources they are over."""
    compared: Sequence[BaselineMixture]

    @classmethod
    def of(
        cls,
        mixture: Sequence[SourceShare],
        check: TrainingCheck | None,
        compared: Sequence[BaselineMixture] = (),
    ) -> "Baselines":
        """As a decision names them; those that its check trained, in documents that name none."""
        trained = [BaselineMixture(arm.name, arm.shares) for arm in check.arms[1:]] if check else []
        return cls(mixture, [one for one in compared or trained if len(one.shares) == len(mixture)])

    def shares(self, name: str) -> tuple[float, ...]:
        """As compared; without limits where a document does not say it."""
        return next((one.shares for one in self.compared if one.name == name), self._free(name))

    def limited(self, name: str) -> bool:
        """The limits do not allow the baseline: the nearest mixture that they allow was compared."""
        return _apart(self.shares(name), self._free(name)) > _LIMITED

    @property
    def labels(self) -> tuple[str, str]:
        """``equal shares, within the limits`` and the other: over columns of what was compared."""
        equal, proportional = (
            name + (WITHIN if self.limited(name) else "") for name in (EQUAL, PROPORTIONAL)
        )
        return equal, proportional

    def name_of(self, shares: Sequence[float]) -> str:
        """The baseline that a mixture is; empty for none."""
        named = (name for name in (EQUAL, PROPORTIONAL) if _apart(shares, self.shares(name)) <= _LIMITED)
        return next(named, "")

    def sentences(self) -> list[str]:
        """What is compared in place of baselines that the limits do not allow."""
        return [
            f"The limits do not allow {name}: what is called so here is the nearest mixture that they allow, "
            f"{self._words(name)}."
            for name in (EQUAL, PROPORTIONAL)
            if self.limited(name)
        ]

    def _words(self, name: str) -> str:
        named = zip((entry.source for entry in self.mixture), self.shares(name), strict=True)
        return ", ".join(parts_in_words(sorted(named, key=lambda part: -part[1])))

    def _free(self, name: str) -> tuple[float, ...]:
        """As there would be without limits; NaN where no tokens are known."""
        count, total = len(self.mixture), sum(entry.unique_tokens for entry in self.mixture)
        if name == EQUAL:
            return (1.0 / count,) * count
        return tuple(entry.unique_tokens / total if total else math.nan for entry in self.mixture)


def _apart(one: Sequence[float], other: Sequence[float]) -> float:
    """Share of the tokens that changes source; NaN where one of them is not known."""
    return 0.5 * math.fsum(abs(a - b) for a, b in zip(one, other, strict=True))
