"""Agreement between two columns of numbers, weighted by how often each row counts.

Every function takes *weights*: ones for the plain statistic, the counts of a bootstrap draw for a
resampled one. So 2,000 resamples are one matrix product and need no loop. A row that counts
twice acts exactly as if it were written twice.

Shapes: ``n`` rows; ``...`` any leading axes (bootstrap draws). Where a statistic does not exist
(a constant column, fewer than ``MINIMUM_ROWS`` rows) it is NaN; nothing warns.
"""

import numpy as np

from cuvee.types import BoolArray, FloatArray, IntArray

MINIMUM_ROWS = 4
_MINIMUM_DISTINCT = 3
_RELATIVE_ZERO = 1e-24  # of a sum of squares: twelve digits of the values


def centred(values: FloatArray, groups: IntArray, weights: FloatArray) -> FloatArray:
    """[..., n] ``values`` minus the weighted mean of their group.

    Args:
        values: [..., n].
        groups: [n] group number of each row, 0 to G - 1.
        weights: [..., n].
    """
    member = np.asarray(groups[:, None] == np.arange(int(groups.max(initial=-1)) + 1), dtype=np.float64)
    total = weights @ member
    mean = (weights * values) @ member / np.where(total > 0, total, 1.0)
    return np.asarray(values - mean @ member.T)


def correlation(first: FloatArray, second: FloatArray, groups: IntArray, weights: FloatArray) -> FloatArray:
    """[...] Pearson correlation pooled within groups (each column centred in its group).

    Args:
        first: [..., n].
        second: [..., n].
        groups: [n] group of each row; one group gives the plain correlation.
        weights: [..., n].
    """
    x, y = centred(first, groups, weights), centred(second, groups, weights)
    xx, yy, xy = (weights * x * x).sum(-1), (weights * y * y).sum(-1), (weights * x * y).sum(-1)
    size_x = (weights * np.square(first)).sum(-1)
    size_y = (weights * np.square(second)).sum(-1)
    exists = (xx > _RELATIVE_ZERO * size_x) & (yy > _RELATIVE_ZERO * size_y) & _enough(weights)
    denominator = np.sqrt(np.where(exists, xx * yy, 1.0))
    return np.asarray(np.where(exists, np.clip(xy / denominator, -1.0, 1.0), np.nan))


def ranks(values: FloatArray, groups: IntArray, weights: FloatArray) -> FloatArray:
    """[..., n] average ranks within each group (ties share their mean rank), cost O(draws n^2).

    Args:
        values: [..., n].
        groups: [n].
        weights: [..., n].
    """
    difference = values[..., :, None] - values[..., None, :]
    same = groups[:, None] == groups[None, :]
    below = ((difference > 0) + 0.5 * (difference == 0)) * same
    return np.asarray((below @ weights[..., None])[..., 0] + 0.5)


def rank_correlation(
    first: FloatArray, second: FloatArray, groups: IntArray, weights: FloatArray
) -> FloatArray:
    """[...] Spearman correlation, ranked and centred within groups; columns and weights [..., n]."""
    return correlation(ranks(first, groups, weights), ranks(second, groups, weights), groups, weights)


def partial_correlation(
    first: FloatArray,
    second: FloatArray,
    controls: tuple[FloatArray, ...],
    groups: IntArray,
    weights: FloatArray,
) -> FloatArray:
    """[...] correlation of two columns [..., n] after both are regressed on the controls, each [n].

    By the recursion r_xy.z = (r_xy - r_xz r_yz) / sqrt((1 - r_xz^2)(1 - r_yz^2)). A constant
    control explains nothing and is passed over; a column wholly explained by a control gives NaN.
    """
    if not controls:
        return correlation(first, second, groups, weights)
    *others, last = controls
    rest = tuple(others)
    between = partial_correlation(first, second, rest, groups, weights)
    with_first = _or_zero(partial_correlation(first, last, rest, groups, weights))
    with_second = _or_zero(partial_correlation(second, last, rest, groups, weights))
    left = (1 - with_first**2) * (1 - with_second**2)
    exists = left > 1e-9
    value = (between - with_first * with_second) / np.sqrt(np.where(exists, left, 1.0))
    return np.asarray(np.where(exists, np.clip(value, -1.0, 1.0), np.nan))


def pair_accuracy(
    proxy: FloatArray, truth: FloatArray, groups: IntArray, weights: FloatArray, tie: float
) -> FloatArray:
    """[...] share of pairs inside a group that the proxy orders as the truth does.

    Pairs whose truths differ by no more than ``tie`` are left out; equal proxies count one half.
    Columns and weights [..., n].
    """
    gap = truth[..., :, None] - truth[..., None, :]
    valid = (np.abs(gap) > tie) & (groups[:, None] == groups[None, :])
    agreement = np.sign(gap) * np.sign(proxy[..., :, None] - proxy[..., None, :])
    right = np.where(valid, 0.5 + 0.5 * agreement, 0.0)
    total = _pairs(valid.astype(np.float64), weights)
    good = _pairs(right, weights)
    exists = (total > 0) & _enough(weights)
    return np.asarray(np.where(exists, good / np.where(exists, total, 1.0), np.nan))


def regret(
    proxy: FloatArray, truth: FloatArray, groups: IntArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """([...], [...]) what following the proxy costs, in loss and relative to picking blindly.

    The regret of a group is the truth of the proxy's best row (mean over ties) minus the best
    truth; groups are averaged by their number of rows. The relative regret divides by what a
    row picked at random would cost: 0 is a perfect pick, 1 no better than chance.
    """
    present = np.asarray(weights > 0)
    lost = np.zeros(weights.shape[:-1])
    blind = np.zeros(weights.shape[:-1])
    for group in range(int(groups.max(initial=-1)) + 1):
        inside = present & (groups == group)
        count = np.where(inside, weights, 0.0)
        size = count.sum(-1)
        filled = np.where(size > 0, size, 1.0)
        best = _best(truth, inside)
        picked = np.where(proxy == _best(proxy, inside)[..., None], count, 0.0)
        picks = picked.sum(-1)
        cost = (picked * truth).sum(-1) / np.where(picks > 0, picks, 1.0) - best
        lost += np.where(size > 0, size * cost, 0.0)
        blind += np.where(size > 0, size * ((count * truth).sum(-1) / filled - best), 0.0)
    total = weights.sum(-1)
    exists = _enough(weights)
    value = np.where(exists, lost / np.where(total > 0, total, 1.0), np.nan)
    apart = exists & (blind > 0)
    return value, np.asarray(np.where(apart, lost / np.where(apart, blind, 1.0), np.nan))


def slope(proxy: FloatArray, truth: FloatArray, groups: IntArray) -> tuple[float, float]:
    """Least-squares slope of truth on proxy, pooled within groups, and its standard error.

    Columns [n]. A slope of one means that the proxy's differences can be read as they are.
    """
    ones = np.ones(len(truth))
    x, y = centred(proxy, groups, ones), centred(truth, groups, ones)
    xx = float(x @ x)
    freedom = len(truth) - len(np.unique(groups)) - 1
    if len(truth) < MINIMUM_ROWS or xx <= _RELATIVE_ZERO * float(proxy @ proxy):
        return float("nan"), float("nan")
    value = float(x @ y) / xx
    residual = y - value * x
    error = float(np.sqrt(residual @ residual / freedom / xx)) if freedom > 0 else float("nan")
    return value, error


def _pairs(matrix: FloatArray, weights: FloatArray) -> FloatArray:
    """[...] sum of a matrix [..., n, n] over pairs, each as often as its two rows count."""
    return np.asarray(((matrix @ weights[..., None])[..., 0] * weights).sum(-1))


def _best(values: FloatArray, inside: BoolArray) -> FloatArray:
    return np.asarray(np.where(inside, values, np.inf).min(axis=-1))


def _enough(weights: FloatArray) -> BoolArray:
    distinct = (weights > 0).sum(-1)
    return np.asarray((weights.sum(-1) >= MINIMUM_ROWS) & (distinct >= _MINIMUM_DISTINCT))


def _or_zero(values: FloatArray) -> FloatArray:
    return np.asarray(np.where(np.isnan(values), 0.0, values))
