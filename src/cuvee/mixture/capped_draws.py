"""Random and evenly spread points of a capped simplex.

Random: Dirichlet draws cut to the bounds, by rejection while that succeeds and else by a Gibbs sampler
that redistributes the sum of random pairs (A. Smith 2014, "A Gibbs sampler on the n-simplex"; it mixes
in O(log B) sweeps on the whole simplex). Both leave the cut Dirichlet distribution as it is; no point is
projected, so none piles up on a face.

Spread: scrambled Sobol points carried to the simplex by sorted spacings (Pillards & Cools 2005); where
too few fall inside the bounds, a greedy minimum of the energy distance to uniform draws (the objective
of Mak & Joseph 2018, "Support points").
"""

import numpy as np

from cuvee.mixture.capped_simplex import CappedSimplex
from cuvee.types import FloatArray

_REJECTION_ROUNDS = 64
_GIBBS_SWEEPS = 64
_SOBOL_OVERSAMPLING = (0, 3, 6)
"""Powers of two by which more Sobol points than asked are drawn, tried in turn."""
_POOL_FACTOR = 8
_SMALLEST_POOL = 512


def uniform_draws(simplex: CappedSimplex, n: int, rng: np.random.Generator) -> FloatArray:
    """``n`` points [n, B], uniform on the set. Cost O(n B), with rejection or a sampler of 64 sweeps."""
    free = simplex.free
    result = np.tile(simplex.centre, (n, 1))
    if n == 0 or simplex.is_point:
        return result
    caps = np.minimum(1.0, (simplex.upper - simplex.lower)[free] / simplex.slack)
    # Uniform stays uniform under shift and scale, so that lower bounds cost no rejections.
    unit = _cut_dirichlet(np.ones((n, free.size)), np.zeros(free.size), caps, rng)
    result[:, free] = simplex.lower[free] + simplex.slack * unit
    return np.clip(result, simplex.lower, simplex.upper)


def dirichlet_draws(simplex: CappedSimplex, alpha: FloatArray, rng: np.random.Generator) -> FloatArray:
    """One point per row of ``alpha``, from the Dirichlet distribution cut to the bounds.

    Args:
        simplex: the bounds.
        alpha: Dirichlet parameters [n, B]; a column is positive throughout or zero throughout, and then
            its coordinate stays at the lower bound (the caller sees to it that the others reach one).
        rng: the randomness.

    Returns:
        Points [n, B].
    """
    taken = (alpha > 0.0).all(axis=0) & (simplex.upper > simplex.lower)
    result = np.tile(simplex.lower, (alpha.shape[0], 1))
    if alpha.shape[0] == 0 or not taken.any():
        return result
    # The bounded coordinates share out what the others leave: again a cut Dirichlet, of sum one.
    remainder = max(0.0, 1.0 - float(simplex.lower[~taken].sum()))
    if remainder <= 0.0:
        return result
    lower, upper = simplex.lower[taken] / remainder, np.minimum(1.0, simplex.upper[taken] / remainder)
    result[:, taken] = remainder * _cut_dirichlet(alpha[:, taken], lower, upper, rng)
    return np.clip(result, simplex.lower, simplex.upper)


def spread_points(simplex: CappedSimplex, n: int, seed: int) -> FloatArray:
    """``n`` different points [n, B] spread evenly over the set, the same for the same seed.

    Without upper bounds the first points of a larger design are those of a smaller one. Cost O(n B)
    where Sobol points fall inside; otherwise O(n^2 B): not for tens of thousands of points.
    """
    free = simplex.free
    if n == 0 or simplex.is_point:
        return np.tile(simplex.centre, (n, 1))
    exponent = max(0, n - 1).bit_length()
    for extra in _SOBOL_OVERSAMPLING:
        unit = _sobol_on_simplex(free.size, exponent + extra, seed)
        points = np.tile(simplex.lower, (unit.shape[0], 1))
        points[:, free] += simplex.slack * unit
        inside = points[(points <= simplex.upper).all(axis=1)]
        if inside.shape[0] >= n:
            return inside[:n]
    pool = uniform_draws(simplex, max(_SMALLEST_POOL, _POOL_FACTOR * n), np.random.default_rng(seed))
    return _least_energy(pool, n)


def _sobol_on_simplex(size: int, exponent: int, seed: int) -> FloatArray:
    """2^exponent scrambled Sobol points, carried from the cube [0, 1]^(size-1) to the simplex [size]."""
    from scipy.stats import qmc

    engine = qmc.Sobol(size - 1, scramble=True, rng=np.random.default_rng(seed))
    cuts = np.sort(engine.random_base2(exponent), axis=1)
    return np.diff(cuts, axis=1, prepend=0.0, append=1.0)


def _least_energy(pool: FloatArray, n: int) -> FloatArray:
    """``n`` points of ``pool`` [P, B], each chosen to lower the energy distance to the pool the most."""
    reference = pool[:_SMALLEST_POOL]
    to_pool = np.mean([np.linalg.norm(pool - point, axis=1) for point in reference], axis=0)
    to_chosen = np.zeros(pool.shape[0])
    chosen: list[int] = []
    for count in range(1, n + 1):
        score = to_pool - to_chosen / count
        score[chosen] = np.inf
        chosen.append(int(score.argmin()))
        to_chosen += np.linalg.norm(pool - pool[chosen[-1]], axis=1)
    return pool[chosen]


def _cut_dirichlet(
    alpha: FloatArray, lower: FloatArray, upper: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Dirichlet(alpha [n, B], all positive) draws [n, B] cut to the bounds."""
    result = np.empty_like(alpha)
    pending = np.arange(alpha.shape[0])
    for _ in range(_REJECTION_ROUNDS):
        draws = _dirichlet(alpha[pending], rng)
        inside = ((draws >= lower) & (draws <= upper)).all(axis=1)
        result[pending[inside]] = draws[inside]
        pending = pending[~inside]
        if pending.size == 0:
            return result
    # A row comes here independently of what it will draw, so that the two ways may be mixed.
    result[pending] = _gibbs(alpha[pending], lower, upper, rng)
    return result


def _dirichlet(alpha: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Dirichlet draws [n, B], one per row of parameters, in logarithms so that small ones do not underflow.

    If G ~ Gamma(a + 1) and U is uniform, G U^(1/a) ~ Gamma(a); -log U is standard exponential.
    """
    logs = np.log(rng.standard_gamma(alpha + 1.0)) - rng.standard_exponential(alpha.shape) / alpha
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)


def _gibbs(alpha: FloatArray, lower: FloatArray, upper: FloatArray, rng: np.random.Generator) -> FloatArray:
    """One chain per row of ``alpha`` [n, B], all pairs of a random matching renewed in each sweep."""
    points = np.tile(CappedSimplex(lower, upper).centre, (alpha.shape[0], 1))
    half = lower.size // 2
    for _ in range(_GIBBS_SWEEPS):
        order = rng.permutation(lower.size)
        one, two = order[:half], order[half : 2 * half]
        total = points[:, one] + points[:, two]
        low = np.maximum(lower[one], total - upper[two])
        high = np.maximum(low, np.minimum(upper[one], total - lower[two]))
        drawn = _cut_beta(alpha[:, one], alpha[:, two], low, high, total, rng)
        points[:, one] = drawn
        points[:, two] = total - drawn
    return points


def _cut_beta(
    a: FloatArray,
    b: FloatArray,
    low: FloatArray,
    high: FloatArray,
    total: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """total * Beta(a, b) cut to [low, high], by inversion of its distribution function."""
    uniform = rng.random(total.shape)
    if (a == 1.0).all() and (b == 1.0).all():
        return np.asarray(low + (high - low) * uniform, dtype=np.float64)
    from scipy import special

    safe = np.where(total > 0.0, total, 1.0)
    start, end = np.clip(low / safe, 0.0, 1.0), np.clip(high / safe, 0.0, 1.0)
    # In the upper half work with 1 - x, whose probabilities do not cancel.
    flip = special.betainc(a, b, start) > 0.5
    a, b = np.where(flip, b, a), np.where(flip, a, b)
    start, end = np.where(flip, 1.0 - end, start), np.where(flip, 1.0 - start, end)
    below, above = special.betainc(a, b, start), special.betainc(a, b, end)
    drawn = special.betaincinv(a, b, below + (above - below) * uniform)
    # An interval without any mass in floating point: its end nearer to the mean has nearly all of it.
    drawn = np.where(above > below, drawn, np.clip(a / (a + b), start, end))
    return np.asarray(np.clip(np.where(flip, 1.0 - drawn, drawn) * total, low, high), dtype=np.float64)
