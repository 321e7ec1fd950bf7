"""The mixture with the lowest merge loss inside a region, by descent in the weights (floor 4).

Tens of evaluations of 2.7 forward passes find what takes thousands of sampled merges. The merge's loss is
not convex: the result is a stationary point, the gap says how nearly. It is the optimum of the proxy on
these tokens; judge it on held-out ones and against reference runs.
"""

from cuvee.evaluation.gradient import merge_gradient
from cuvee.evaluation.likelihood import Evaluator
from cuvee.merging.pool import FlatPool
from cuvee.mixture.mirror_descent import Optimum, mirror_descent, over_sources, with_prior
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.progress import Progress, Silent
from cuvee.types import FloatArray


def merge_optimum(
    evaluator: Evaluator,
    pool: FlatPool,
    region: Region,
    target: FloatArray,
    *,
    scale: float = 1.0,
    start: Mixture | None = None,
    prior: Mixture | None = None,
    prior_strength: float = 0.0,
    tolerance: float = 1e-3,
    max_evaluations: int = 40,
    progress: Progress | None = None,
) -> Optimum:
    """Lower the weighted loss of the merge over mixtures of sources.

    Args:
        evaluator: what is scored.
        pool: the members.
        region: over sources of the pool.
        target: weight of each evaluation's nats per token [E].
        scale: of the merge; its derivative is in ``merge_gradient``.
        start: default uniform.
        prior: adds ``prior_strength`` * KL(mixture || prior); all shares of the region positive.
        prior_strength: nats of loss per nat of divergence.
        tolerance: of the gap; below what the compute type resolves it is never met (bfloat16: some 1e-4).
        max_evaluations: of 2.7 forward passes each.
        progress: told one step an evaluation.
    """
    listener = progress or Silent()
    listener.stage("descending in the mixture", max_evaluations, "evaluations")

    def in_members(weights: FloatArray) -> tuple[float, FloatArray]:
        result = merge_gradient(evaluator, pool, weights, target, scale)
        listener.advance(1, f"loss {result.value:.4f}")
        return result.value, result.weights

    objective = over_sources(in_members, pool.roster.spread(region.names))
    if prior is not None and prior_strength > 0:
        objective = with_prior(objective, prior.reindexed(region.names).shares, prior_strength)
    return mirror_descent(objective, region, start, tolerance=tolerance, max_evaluations=max_evaluations)
