"""Baselines: mixtures that need no law, beside which every answer stands."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.quantities import quantity
from cuvee.types import FloatArray

UNIMAX_EPOCHS = 4.0
"""What UniMax allows where nothing is asked; repeating up to there costs little
(Muennighoff et al. 2023, https://arxiv.org/abs/2305.16264)."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """A mixture with a name."""

    name: str
    mixture: Mixture
    note: str = ""


def baselines(
    region: Region,
    tokens: Mapping[str, int] | None = None,
    target_tokens: float = math.nan,
    max_epochs: float = math.nan,
) -> tuple[Baseline, ...]:
    """Proportional, uniform and UniMax, as far as what they need is known.

    Args:
        region: only marks those that are not allowed; they stay what they are.
        tokens: unique tokens of every source.
        target_tokens: of the run that is planned.
        max_epochs: for UniMax; default ``UNIMAX_EPOCHS``.
    """
    names = region.names
    found = [Baseline("uniform", uniform(names))]
    if tokens:
        found.insert(0, Baseline("proportional", proportional(names, tokens)))
        if math.isfinite(target_tokens):
            epochs = max_epochs if math.isfinite(max_epochs) else UNIMAX_EPOCHS
            enough = sum(tokens[name] for name in names) * epochs >= target_tokens
            if enough:
                found.append(
                    Baseline(
                        "unimax",
                        unimax(names, tokens, target_tokens, epochs),
                        f"uniform, no source more than {epochs:g} times",
                    )
                )
    return tuple(marked(one, region) for one in found)


def marked(baseline: Baseline, region: Region) -> Baseline:
    """The baseline, with a note where the region does not allow it."""
    if region.contains(baseline.mixture, tolerance=1e-6):
        return baseline
    note = "; ".join(part for part in (baseline.note, "outside of the limits asked for") if part)
    return Baseline(baseline.name, baseline.mixture, note)


def uniform(names: tuple[str, ...]) -> Mixture:
    """As much of each."""
    return Mixture(names, np.full(len(names), 1.0 / len(names)))


def proportional(names: tuple[str, ...], tokens: Mapping[str, int]) -> Mixture:
    """As much as there is of each.

    Raises:
        ConfigError: the tokens of a source are unknown, negative or all zero.
    """
    counts = _counts(names, tokens)
    return Mixture(names, counts / counts.sum())


def unimax(
    names: tuple[str, ...], tokens: Mapping[str, int], target_tokens: float, max_epochs: float = UNIMAX_EPOCHS
) -> Mixture:
    """Uniform, except that no source is read more than ``max_epochs`` times (Chung et al. 2023).

    Their algorithm 1 (https://arxiv.org/abs/2304.09151): sources are taken from the smallest, and each gets
    an equal part of what is left or all it may give.

    Raises:
        ConfigError: all sources together do not hold enough.
    """
    counts = _counts(names, tokens)
    caps = max_epochs * counts / target_tokens
    if caps.sum() < 1.0 - 1e-12:
        raise ConfigError(
            f"unimax: {max_epochs:g} epochs of all sources are {quantity(max_epochs * counts.sum())} tokens, "
            f"fewer than the {quantity(target_tokens)} of the run"
        )
    shares: FloatArray = np.zeros(len(names))
    left = 1.0
    order = np.argsort(caps, kind="stable")
    for position, index in enumerate(order.tolist()):
        shares[index] = min(caps[index], left / (len(order) - position))
        left -= shares[index]
    return Mixture(names, shares / shares.sum())


def _counts(names: tuple[str, ...], tokens: Mapping[str, int]) -> FloatArray:
    if missing := [name for name in names if name not in tokens]:
        raise ConfigError(f"the tokens of source {missing[0]!r} are unknown; give them for every source")
    counts = np.array([tokens[name] for name in names], dtype=np.float64)
    if counts.min() < 0 or not counts.sum() > 0:
        raise ConfigError("the tokens of the sources must be at least 0, and not all 0")
    return counts
