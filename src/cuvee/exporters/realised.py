"""Realised shares: what a trainer has drawn, beside what was decided.

Were every sample drawn at random in the mixture asked for, the token share of source *s* after *n* samples
would have the variance

    (pi_s M_s (1 - p_s)^2 + sum over t != s of pi_t M_t p_s^2) / (n m^2),

with p the token shares, pi the shares of samples that give them, m the mean length of a sample and M_s the
mean square of the lengths in s: p (1 - p) / n where all are equally long. Trainers that spread sources evenly
do better than that. A source of few samples has a skewed share, for which the bound of what noise explains is
moved by the term of Cornish and Fisher, (z^2 - 1) / 6 times the ratio of third to second moments.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.exporters.draws import Draws
from cuvee.exporters.interface import LEAST_SHARE
from cuvee.mixture.mixture import Mixture
from cuvee.types import FloatArray, IntArray, Json

BEYOND = 4.0
"""Standard errors: further off is no accident, also where some dozens of shares are looked at."""

PARTS = 10
"""Into which the order is cut, to see whether every part keeps to the mixture."""
LEAST_SAMPLES = 200
"""Of a part; with fewer the order is not looked at."""


@dataclass(frozen=True)
class Share:
    """One source, over all samples or over a part of them."""

    source: str
    asked: float
    """Token share of the decision; zero for a source that it does not have."""
    drawn: float
    """Token share of what was drawn."""
    error: float
    """Standard error of ``drawn``, were samples drawn at random in the mixture asked for."""
    noise: float
    """As far off as that lets it come."""
    samples: int

    @property
    def differs(self) -> bool:
        """Whether noise explains the difference no longer, and it is large enough to matter."""
        gap = abs(self.drawn - self.asked)
        return gap > self.noise and gap >= LEAST_SHARE


@dataclass(frozen=True)
class ShareComparison:
    """What was drawn beside what was asked for."""

    shares: tuple[Share, ...]
    """Of every source of the decision, then of others that were drawn."""
    parts: tuple[tuple[Share, ...], ...]
    """The same for equal parts of the order; empty where it is too short."""
    samples: int
    tokens: float

    @property
    def off(self) -> tuple[Share, ...]:
        """Sources whose share differs beyond noise, the largest difference first."""
        return tuple(sorted((s for s in self.shares if s.differs), key=lambda s: -abs(s.drawn - s.asked)))

    @property
    def off_in_part(self) -> tuple[int, Share] | None:
        """The largest difference beyond noise in a part (counted from one), where there is any."""
        found = [(n, s) for n, part in enumerate(self.parts, start=1) for s in part if s.differs]
        return max(found, key=lambda one: abs(one[1].drawn - one[1].asked), default=None)

    @property
    def ok(self) -> bool:
        """Whether noise explains all differences."""
        return not self.off and self.off_in_part is None

    def as_json(self) -> Json:
        """All numbers."""
        part = self.off_in_part
        return {
            "ok": self.ok,
            "samples": self.samples,
            "tokens": self.tokens,
            "sources": [_json(share) for share in self.shares],
            "worst_part": None if part is None else {"part": part[0], "of": PARTS, **_json(part[1])},
        }


def compared(mixture: Mixture, draws: Draws, called: Mapping[str, str]) -> ShareComparison:
    """Realised token shares beside those of a decision.

    Args:
        mixture: what was decided.
        draws: what was drawn.
        called: other names of sources, such as their paths, and which source each means.

    Raises:
        ConfigError: none of the names in the file is that of a source.
    """
    meant = [name if name in mixture.names else called.get(name, name) for name in draws.names]
    known = dict.fromkeys(mixture.names)
    if not any(name in known for name in meant):
        raise ConfigError(
            f"none of the names in column {draws.source_column!r} ({', '.join(draws.names[:5])}) is a "
            f"source; these are {', '.join(mixture.names)}: say --path SOURCE=NAME for each"
        )
    names = tuple(dict.fromkeys([*known, *meant]))
    of = np.array([names.index(name) for name in meant])[draws.sources]
    asked = np.array([mixture.share(name) if name in known else 0.0 for name in names])
    lengths = _Lengths.of(of, draws.tokens, len(names))
    parts = np.array_split(np.arange(len(of)), PARTS) if len(of) >= PARTS * LEAST_SAMPLES else []
    return ShareComparison(
        _shares(names, asked, of, draws.tokens, lengths),
        tuple(_shares(names, asked, of[part], draws.tokens[part], lengths) for part in parts),
        len(of),
        float(draws.tokens.sum()),
    )


@dataclass(frozen=True)
class _Lengths:
    """Mean powers of the lengths of samples, by source [S]; of all samples where a source has none."""

    mean: FloatArray
    square: FloatArray
    cube: FloatArray

    @classmethod
    def of(cls, sources: IntArray, tokens: FloatArray, count: int) -> "_Lengths":
        samples = np.maximum(np.bincount(sources, minlength=count), 1)
        there = np.bincount(sources, tokens, count) > 0.0
        powers = [
            np.where(there, np.bincount(sources, tokens**power, count) / samples, (tokens**power).mean())
            for power in (1, 2, 3)
        ]
        return cls(*powers)

    def errors(self, asked: FloatArray, samples: int) -> tuple[FloatArray, FloatArray]:
        """Standard errors of realised token shares after so many samples, and how far off noise goes [S]."""
        rates = asked / self.mean
        length = 1.0 / rates.sum()
        second = rates * length * self.square
        spread = second * (1.0 - asked) ** 2 + (second.sum() - second) * asked**2
        errors = np.sqrt(spread / samples) / length
        skew = (BEYOND**2 - 1.0) / 6.0 * self.cube / self.square / (samples * length)
        return errors, BEYOND * errors + np.where(asked > 0.0, skew, 0.0)


def _shares(
    names: tuple[str, ...], asked: FloatArray, sources: IntArray, tokens: FloatArray, lengths: _Lengths
) -> tuple[Share, ...]:
    drawn = np.bincount(sources, tokens, len(names)) / max(tokens.sum(), math.ulp(0.0))
    samples = np.bincount(sources, minlength=len(names))
    errors, noise = lengths.errors(asked, len(sources))
    numbers = zip(asked.tolist(), drawn.tolist(), errors.tolist(), noise.tolist(), strict=True)
    rows = zip(names, numbers, samples.tolist(), strict=True)
    return tuple(Share(name, *shares, count) for name, shares, count in rows)


def _json(share: Share) -> Json:
    return {
        "source": share.source,
        "asked": share.asked,
        "drawn": share.drawn,
        "error": share.error,
        "noise": share.noise,
        "samples": share.samples,
        "differs": share.differs,
    }
