"""The game that sources play: what each is worth when any of them may be missing.

    Shapley     phi_i = sum over S without i of |S|! (m - |S| - 1)! / m!  [u(S + i) - u(S)]
    leave one out   u(all) - u(all but i)

u(S) is the utility of training on the sources of S: minus the loss of a merge or an ensemble of the pool,
which makes all 2^m coalitions affordable, or of a model that was really trained. Shapley 1953; Ghorbani & Zou
2019 (Data Shapley, https://arxiv.org/abs/1904.02868) take trained models. Coalitions are numbered by their
bits: source i is in coalition c where bit i of c is set.
"""

from math import comb

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import BoolArray, FloatArray

MOST_SOURCES = 12
"""4,096 coalitions: minutes of merges on a core with a small model; each further source doubles them."""


def coalitions(sources: int) -> BoolArray:
    """Who is in each coalition, bool [2^m, m]; the first is empty, the last has all.

    Raises:
        ConfigError: fewer than one source, or more than can be enumerated.
    """
    if not 1 <= sources <= MOST_SOURCES:
        raise ConfigError(
            f"{sources} sources make 2^{sources} coalitions; exact values are for 1 to {MOST_SOURCES}: merge "
            "some sources, or value them by a method of documents"
        )
    members: BoolArray = (np.arange(2**sources)[:, None] >> np.arange(sources)) % 2 == 1
    return members


def shapley(utilities: FloatArray) -> FloatArray:
    """Shapley values of m sources [m, ...] from the utilities of all coalitions [2^m, ...].

    Linear in the utilities: given by document they are values by document. They sum to u(all) - u(none).

    Raises:
        ConfigError: not one utility for each coalition.
    """
    sources = _sources(utilities)
    members = coalitions(sources)
    sizes = members.sum(axis=1)
    result = np.empty((sources, *utilities.shape[1:]))
    for one in range(sources):
        without = np.flatnonzero(~members[:, one])
        weights = np.array([1.0 / (sources * comb(sources - 1, int(size))) for size in sizes[without]])
        gained = utilities[without + (1 << one)] - utilities[without]
        result[one] = np.tensordot(weights, gained, axes=1)
    return result


def leave_one_out(utilities: FloatArray) -> FloatArray:
    """What is lost without each source [m, ...], from the utilities of all coalitions [2^m, ...].

    Raises:
        ConfigError: as ``shapley``.
    """
    sources = _sources(utilities)
    everyone = 2**sources - 1
    return np.stack([utilities[everyone] - utilities[everyone - (1 << one)] for one in range(sources)])


def _sources(utilities: FloatArray) -> int:
    sources = len(utilities).bit_length() - 1
    if len(utilities) != 2**sources or sources < 1:
        raise ConfigError(f"a game needs the utility of every coalition, 2, 4, 8 ...; found {len(utilities)}")
    return sources
