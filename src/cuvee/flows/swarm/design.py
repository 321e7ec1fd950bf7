"""Which mixtures the runs of a trainer are made on."""

from cuvee.mixture import designs
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.study.plan.mixtures import baselines


def design(region: Region, available: dict[str, int], count: int, seed: int) -> list[Mixture]:
    """Equal and proportional shares as far as they are allowed, then mixtures spread evenly over the region.

    Without caps a larger design begins with a smaller one, so that more runs can be asked for later.
    """
    if region.totals.is_point:
        return [region.expand(region.totals.centre)]
    first = [one for one in baselines(region, available) if region.contains(one)]
    spread = designs.space_filling(region, count, seed)
    return list({one.key: one for one in (*first, *spread)}.values())[:count]
