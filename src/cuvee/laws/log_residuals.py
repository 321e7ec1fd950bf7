"""Formulas fitted to the logarithms of costs, from several starts.

    min over theta of  sum_r h(log y_r - log f_r(theta)) + s min(s, 0.001) sum_p ((theta_p - m_p) / d_p)^2 / 2

with h Huber's function and s the size of what is left, so that d is the deviation of a normal prior. Scaling
laws are fitted so since Hoffmann et al. (2022, https://arxiv.org/abs/2203.15556): an error of a percent
weighs the same in a long training as in a short one, and a few early losses off the law do not bend it. The
unit of the costs changes nothing.
"""

import numpy as np

from cuvee.laws.formula import FittedFormula, Formula, Standardised
from cuvee.laws.interface import LawData
from cuvee.laws.least_squares import ParameterPrior, Target, solve
from cuvee.types import FloatArray

HUBER = 1e-3
"""As in their paper."""
_FIRST_NOISE, _ROUNDS = 0.01, 3
_LEAST = 1e-9  # of a metric's median: predictions are taken for at least this


def fit_to_logs(
    formula: Formula,
    data: LawData,
    starts: FloatArray,
    deviation: FloatArray,
    *,
    lower: FloatArray | float = -np.inf,
    steps: int = 150,
) -> FittedFormula:
    """The best end of several starts, for each metric, gone on from as the noise that is found says.

    Args:
        formula: the law, of costs divided by their median.
        data: positive costs.
        starts: [E, K, P], K starts for each metric.
        deviation: of the parameters [P] from the mean of the starts, beforehand; infinity for no prior.
        lower: bounds [P] of the parameters.
        steps: of Levenberg-Marquardt.
    """
    costs = Standardised.of(data, shifted=False)
    metrics, _, width = starts.shape
    logs = np.log(np.where(costs.weights > 0, costs.values, 1.0))
    mean = starts.mean(axis=1)

    def value(theta: FloatArray) -> FloatArray:
        return np.log(np.maximum(formula.values(theta, data.shares, data.scale), _LEAST))

    def value_and_jacobian(theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        values, jacobian = formula.jacobian(theta, data.shares, data.scale)
        values = np.maximum(values, _LEAST)
        jacobian /= values[..., None]
        return np.log(values), jacobian

    def best_of(starts: FloatArray, noise: FloatArray) -> tuple[FloatArray, FloatArray]:
        count = starts.shape[1]
        precision = (noise * np.minimum(noise, HUBER))[:, None] / deviation**2
        one = np.ones(metrics * count)
        parts = (np.repeat(part, count, axis=0) for part in (logs, costs.weights, mean, precision))
        values, weights, middle, pull = parts
        target, prior = Target(values, weights, one, HUBER * one), ParameterPrior(middle, pull)
        begin = starts.reshape(metrics * count, width)
        found = solve(value, value_and_jacobian, begin, target, prior, steps=steps, lower=lower)
        objective = found.objective.reshape(metrics, count)
        place = np.arange(metrics), objective.argmin(axis=1)
        return found.parameters.reshape(metrics, count, width)[place], objective[place]

    theta, objective = best_of(starts, np.full(metrics, _FIRST_NOISE))
    for _ in range(_ROUNDS):
        missed = np.where(costs.weights > 0, np.abs(logs - value(theta)), np.nan)
        theta, objective = best_of(theta[:, None], np.nanmedian(missed, axis=1))
    return FittedFormula(formula, data.sources, data.metrics, theta, costs.shift, costs.spread, objective)
