"""The mixture with the lowest merge loss inside a region, by descent in the weights.

    L(w) = merge on a part + ensemble on all - ensemble on the part - c sum_k w_k^2

The first three terms are how a race estimates the loss of a merge (``race``), the last takes out what
averaging alone gains (``averaging_bonus``). A step takes a forward and a backward pass over the part, and
arithmetic for the ensemble; tens of steps find what takes thousands of sampled merges.

The merge's loss is not convex: a descent ends at a stationary point, and its gap says how nearly. Several
starts say whether there is one. It is the optimum of the proxy on these tokens; judge it by reference runs.
"""

from dataclasses import dataclass
from functools import cached_property

from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.gradient import merge_gradient
from cuvee.evaluation.likelihood import Evaluator
from cuvee.evaluation.race import completed, part_windows
from cuvee.evaluation.scores import Scores
from cuvee.merging.interface import Merger
from cuvee.merging.pool import FlatPool
from cuvee.mixture.mirror_descent import Optimum, mirror_descent, over_sources
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.types import FloatArray


@dataclass(frozen=True, eq=False)
class MergeLoss:
    """The weighted loss of merges of a pool, estimated from a part of the windows."""

    evaluator: Evaluator
    """Of all windows."""
    pool: FlatPool
    merger: Merger
    ensemble: Ensemble
    """Of the same pool on all windows."""
    target: FloatArray
    """Weight of each evaluation's nats per token [E], not negative."""
    noise_cost: float = 0.0
    """c: what the training noise of one branch adds to the weighted loss."""

    @cached_property
    def part(self) -> Evaluator:
        """The windows on which merges are scored."""
        return self.evaluator.select(part_windows(self.evaluator))

    @cached_property
    def _ensemble_part(self) -> Ensemble:
        return self.ensemble.select(self.evaluator, part_windows(self.evaluator))

    def value_and_gradient(self, weights: FloatArray) -> tuple[float, FloatArray]:
        """The estimated loss and its derivatives in the weights [K] of the members.

        Args:
            weights: [K] on the simplex.
        """
        merged = merge_gradient(self.part, self.pool, self.merger, weights, self.target)
        whole = self.ensemble.value_and_gradient(weights, self.target)
        part = self._ensemble_part.value_and_gradient(weights, self.target)
        noise = self.noise_cost * float(weights @ weights), 2 * self.noise_cost * weights
        value = merged[0] + whole[0] - part[0] - noise[0]
        return value, merged[1] + whole[1] - part[1] - noise[1]

    def estimated(self, weights: FloatArray) -> Scores:
        """Estimated nats of every document [D] of one merge; the noise is left in, as it is part of them."""
        part = self.part.score(self.merger.merge(self.pool, weights))
        return completed(part, self._ensemble_part.score(weights), self.ensemble.score(weights))

    def optimum(self, region: Region, start: Mixture, *, tolerance: float, max_evaluations: int) -> Optimum:
        """Lower the loss over mixtures of sources.

        Args:
            region: over sources of the pool.
            start: a source without a share there stays without.
            tolerance: of the gap; below what the compute type resolves it is never met (bfloat16: some 1e-4).
            max_evaluations: of 2.7 forward passes over the part each.
        """
        objective = over_sources(self.value_and_gradient, self.pool.roster.spread(region.names))
        return mirror_descent(objective, region, start, tolerance=tolerance, max_evaluations=max_evaluations)
