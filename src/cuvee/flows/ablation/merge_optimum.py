"""Where the merge has its own optimum: descents in the weights of the pool.

The loss of a merge is not convex in its weights, so there are three descents: from equal shares, from the
ensemble's optimum, and from the best candidate that is another mixture. The last two are moved a little
inwards, since mirror descent leaves no share at zero. They run on the windows on which merges are raced
(``producers/descended.py``). What they end at is scored on all windows, and so is every candidate that looks
lower: no mixture that was scored on all has a lower merge loss.
"""

from collections.abc import Sequence

import numpy as np

from cuvee.flows.ablation.findings import MergeOptimum
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.runs.roles import OPTIMUM
from cuvee.runs.run import Run
from cuvee.study.producers.descended import Descents, WeightDescent
from cuvee.study.proxies import MERGE, Proxies
from cuvee.study.scored import Scored
from cuvee.types import FloatArray

STARTS = 3
_INWARDS = 0.1
"""Part of a start that is equal shares."""
_APART = 0.01
"""Total variation from which on two starts are two."""


def merge_optimum(
    proxies: Proxies, region: Region, scored: Scored, ensemble: Mixture, target: FloatArray
) -> MergeOptimum:
    """Find it, or read what was found from the store.

    Args:
        proxies: of the study.
        region: the mixtures that are allowed.
        scored: the candidates, with what the proxies say of them.
        ensemble: the ensemble's optimum in the region.
        target: weight of each evaluation [E].
    """
    names = region.names
    allowed = [row for row, one in enumerate(scored.mixtures) if region.contains(one, 1e-6)]
    candidates = [scored.mixtures[row] for row in allowed]
    losses = scored.losses(MERGE)[allowed] @ target
    near = [ensemble, *(candidates[row] for row in np.argsort(losses, kind="stable"))]
    runs = _descents(proxies, region, _starts(region, near), target)
    ends = [run.mixture.reindexed(names) for run in runs]
    ended = proxies.whole_merges(ends, OPTIMUM) @ target
    lower = [one for one, loss in zip(candidates, losses, strict=True) if loss < ended.min()]
    mixtures = [*ends, *lower]
    found = proxies.whole_merges(mixtures, OPTIMUM) @ target
    lowest = int(np.argmin(found))
    gap = float(runs[lowest].details["gap"]) if lowest < len(runs) else float("nan")
    return MergeOptimum(mixtures[lowest], float(found[lowest]), gap, tuple(ended.tolist()))


def _starts(region: Region, near: Sequence[Mixture]) -> list[Mixture]:
    """Equal shares, as far as they are allowed, and mixtures near the first of others that lie apart."""
    even = region.kl_project(np.full(len(region.names), 1.0 / len(region.names)))
    found = [even]
    for one in near:
        start = one.reindexed(region.names).blend(even, _INWARDS)
        if len(found) < STARTS and all(start.total_variation(other) > _APART for other in found):
            found.append(start)
    return found


def _descents(proxies: Proxies, region: Region, starts: Sequence[Mixture], target: FloatArray) -> list[Run]:
    """The rows of descents, made where the store does not have them."""
    runner, cost = proxies.runner, proxies.noise_cost
    noise = float(cost @ target) if cost is not None else 0.0
    descents = Descents(runner.plan, MERGE, proxies.pool, proxies.ensemble)
    asked = [WeightDescent(start, region, target, noise) for start in starts]
    runner.make(descents, asked)
    runs = [run for run in runner.known(descents, asked) if run is not None]
    assert len(runs) == len(asked)  # they were made, or the flow would have ended
    return runs
