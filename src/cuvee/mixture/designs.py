"""Designs: lists of mixtures to train, merge or predict.

Structured designs answer one question each (what does a source do alone, what does leaving it out do);
random and spread designs give a surrogate something to be fitted on. Every list holds mixtures over the
same names, all different (random ones unless they meet in a corner at a tiny concentration), and is the
same for the same arguments and the same randomness.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from cuvee.errors import MixtureError
from cuvee.mixture.capped_draws import spread_points
from cuvee.mixture.mixture import Mixture, checked_names
from cuvee.mixture.region import Region


def leave_one_out(base: Mixture) -> list[Mixture]:
    """``base`` without each of its sources in turn, the others renormalised.

    Raises:
        MixtureError: ``base`` has a single source.
    """
    _check_several(base, "leave_one_out")
    return [base.scaled(name, 0.0) for name in base.support]


def doubled(base: Mixture) -> list[Mixture]:
    """``base`` with the share of each of its sources in turn multiplied by two, then renormalised.

    Raises:
        MixtureError: ``base`` has a single source.
    """
    _check_several(base, "doubled")
    return [base.scaled(name, 2.0) for name in base.support]


def subsets(
    names: Iterable[str],
    sizes: Iterable[int] | None = None,
    *,
    limit: int,
    rng: np.random.Generator,
) -> list[Mixture]:
    """Equal shares of every subset of the sources, or of ``limit`` random ones if there are more.

    Args:
        names: the sources.
        sizes: how many sources a subset may have; None for 1 to S.
        limit: most mixtures to return.
        rng: the randomness of the choice; unused when all subsets fit. All subsets of the given sizes are
            equally probable, so most are of middle size when all sizes are allowed.

    Returns:
        Mixtures ordered by size, then by position of their sources. Cost O(limit S), however many
        subsets there are.
    """
    names = checked_names(names)
    allowed = range(1, len(names) + 1) if sizes is None else sorted(set(sizes))
    wrong = [size for size in allowed if not 1 <= size <= len(names)]
    if wrong or limit < 0:
        raise MixtureError(f"no subsets of {len(names)} sources with sizes {wrong} and limit {limit}")
    total = sum(math.comb(len(names), size) for size in allowed)
    ranks = range(total) if total <= limit else _distinct_integers(total, limit, rng)
    return [_equal_shares(names, _subset_of_rank(rank, len(names), allowed)) for rank in ranks]


def dirichlet(
    prior: Mixture | Sequence[str],
    n: int,
    *,
    concentration: float | tuple[float, float] = 1.0,
    temperature: float = 1.0,
    rng: np.random.Generator,
    region: Region | None = None,
) -> list[Mixture]:
    """Random mixtures around ``prior``, from a Dirichlet distribution cut to ``region``.

    The parameters are alpha_i = concentration * S * p_i with p proportional to prior^temperature and S its
    number of sources: a concentration of 1 around equal shares is uniform on the simplex. A range draws
    the concentration anew, log-uniformly, for every mixture, as does RegMix (Liu et al. 2024,
    arXiv:2407.01492, with temperature 0.5), whose strength is concentration * S here.

    Args:
        prior: the mean before cutting, or names for equal shares. Sources of share zero stay at the
            smallest share that the region allows.
        n: how many.
        concentration: how near to the prior: small for corners, large for the prior itself.
        temperature: below 1 flattens the prior, 0 makes it equal shares of its sources.
        rng: the randomness.
        region: where the mixtures must lie; None for the whole simplex.

    Raises:
        MixtureError: a parameter is out of range, or the prior's sources are not those of the region.
    """
    prior = prior if isinstance(prior, Mixture) else Mixture.uniform(prior)
    region = Region.simplex(prior.names) if region is None else region
    low, high = concentration if isinstance(concentration, tuple) else (concentration, concentration)
    if not 0.0 < low <= high < math.inf:
        raise MixtureError(f"concentration is {concentration}; it must be positive, a range (low, high)")
    if not 0.0 <= temperature < math.inf:
        raise MixtureError(f"temperature is {temperature}; it must be finite and not negative")
    if n < 0:
        raise MixtureError(f"cannot draw {n} mixtures")
    shares = prior.reindexed(region.names).shares
    flattened = np.zeros_like(shares)
    taken = shares > 0.0
    # Relative to the largest share, so that no power of all shares vanishes.
    flattened[taken] = np.exp(temperature * np.log(shares[taken] / shares.max()))
    mean = flattened / flattened.sum()
    strengths = np.full(n, low) if low == high else np.exp(rng.uniform(math.log(low), math.log(high), n))
    # A parameter must not vanish by underflow: its source would then be taken for one of share zero.
    alpha = np.outer(strengths, mean) * int(taken.sum())
    alpha[:, taken] = np.maximum(alpha[:, taken], 1e-12)
    return region.sample(n, rng, alpha)


def space_filling(region: Region, n: int, seed: int) -> list[Mixture]:
    """``n`` different mixtures spread evenly over the region (scrambled Sobol points where they fit).

    Raises:
        MixtureError: the region is a single mixture and more than one is asked for.
    """
    if n < 0:
        raise MixtureError(f"cannot place {n} mixtures")
    if n > 1 and region.totals.is_point:
        raise MixtureError(f"the region allows only one mixture, {region.expand(region.totals.centre)}")
    return [region.expand(row) for row in spread_points(region.totals, n, seed)]


def _check_several(base: Mixture, design: str) -> None:
    if len(base.support) < 2:
        raise MixtureError(f"{design} needs at least two sources with a positive share; got {base}")


def _equal_shares(names: tuple[str, ...], members: Sequence[int]) -> Mixture:
    weights = np.zeros(len(names))
    weights[list(members)] = 1.0 / len(members)
    return Mixture(names, weights)


def _subset_of_rank(rank: int, count: int, sizes: Sequence[int]) -> list[int]:
    """The subset of ``range(count)`` at a rank in the order by size, then lexicographic."""
    for size in sizes:
        if rank < math.comb(count, size):
            break
        rank -= math.comb(count, size)
    members: list[int] = []
    for item in range(count):
        missing = size - len(members)
        starting_here = math.comb(count - item - 1, missing - 1) if missing else 0
        if rank < starting_here:
            members.append(item)
        else:
            rank -= starting_here
    return members


def _distinct_integers(total: int, n: int, rng: np.random.Generator) -> list[int]:
    """``n`` different integers below ``total``, sorted, every set equally probable (Floyd's algorithm)."""
    chosen: set[int] = set()
    for top in range(total - n, total):
        drawn = _integer_below(top + 1, rng)
        chosen.add(top if drawn in chosen else drawn)
    return sorted(chosen)


def _integer_below(bound: int, rng: np.random.Generator) -> int:
    """A uniform integer in [0, bound), also above 64 bits: subsets of many sources are that many."""
    bits = bound.bit_length()
    while True:
        drawn = int.from_bytes(rng.bytes((bits + 7) // 8), "little") & ((1 << bits) - 1)
        if drawn < bound:
            return drawn
