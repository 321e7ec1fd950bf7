"""What an experiment is expected to lower the best target cost by: the knowledge gradient.

    KG(x) = min_j mu_j - E_Z min_j (mu_j + sum_m w_m C_m(j, x) / sqrt(V_m(x)) Z_m)

over a finite set of mixtures j at the target fidelity (Frazier, Powell & Dayanik 2009, "The
knowledge-gradient policy for correlated normal beliefs",
https://doi.org/10.1287/ijoc.1080.0314), with C the posterior
covariance between j and what is asked, V the variance of what would be measured. Metrics are independent
given the hyperparameters, and the target is their weighted sum. Z are antithetic normal draws.
"""

import numpy as np

from cuvee.search.places import Places
from cuvee.search.surrogate import Surrogate
from cuvee.types import FloatArray

DRAWS = 32


def knowledge_gradient(
    surrogate: Surrogate,
    weights: FloatArray,
    target: Places,
    asked: Places,
    rng: np.random.Generator,
) -> FloatArray:
    """Expected fall of the lowest target mean [A] by each experiment asked about alone.

    Args:
        surrogate: the posterior.
        weights: of the metrics [E].
        target: the mixtures among which the best is sought, at the target fidelity [J].
        asked: experiments [A].
        rng: the draws.

    Cost: O(E n (J + A)) solves and J A E draws.
    """
    mean = surrogate.mean(target) @ weights
    between, _, variance = surrogate.covariances(target, asked)
    size = np.sqrt(variance + surrogate.noise(asked.kind))
    moves = (weights[:, None, None] * between / size[:, None, :]).transpose(2, 0, 1)  # [A, E, J]
    half = rng.normal(size=(DRAWS // 2, len(weights)))
    draws = np.concatenate([half, -half])
    lowest = np.array([(mean + draws @ one).min(axis=1).mean() for one in moves])  # one by one stays in cache
    result: FloatArray = mean.min() - lowest
    return np.maximum(result, 0.0)
