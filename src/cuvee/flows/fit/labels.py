"""Labels: mixtures that nobody named are called by their main shares."""

from collections.abc import Sequence

import numpy as np

from cuvee.types import FloatArray

_PARTS = 2
"""Main shares in a label, where they tell the mixtures apart."""
_DIGITS = 4


def labels(sources: Sequence[str], shares: FloatArray) -> tuple[str, ...]:
    """``42% web, 31% code`` for each mixture [M, S]; more shares, then more digits, where two read alike."""
    every = range(len(shares))
    named = [_label(sources, row, _PARTS, 0) for row in shares]
    for parts, digits in _finer(len(sources)):
        alike = [i for i in every if named.count(named[i]) > 1]
        if not alike:
            break
        for i in alike:
            named[i] = _label(sources, shares[i], parts, digits)
    return tuple(named)


def _finer(sources: int) -> list[tuple[int, int]]:
    more = [(parts, 0) for parts in range(_PARTS + 1, sources + 1)]
    return more + [(sources, digits) for digits in range(1, _DIGITS)]


def _label(sources: Sequence[str], shares: FloatArray, parts: int, digits: int) -> str:
    order = np.argsort(-shares, kind="stable")[:parts].tolist()
    least = 0.5 * 10.0 ** (-2 - digits)
    return ", ".join(f"{shares[i]:.{digits}%} {sources[i]}" for i in order if shares[i] >= least)
