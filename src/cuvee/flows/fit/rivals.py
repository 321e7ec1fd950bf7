"""The laws that few runs leave possible beside the one that is minimised, each with what it would choose."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.flows.fit.fitting import Fitted
from cuvee.flows.fit.law_choice import CHOICES
from cuvee.laws.ensemble import LawEnsemble
from cuvee.laws.interface import FittedLaw, Law, LawData
from cuvee.laws.registry import law_named
from cuvee.laws.resampling import Resamples
from cuvee.laws.rivals import LEAST, RivalLaws, plausibility
from cuvee.laws.spread import Spread
from cuvee.laws.validation import FEW_RUNS
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.search.objective import Objective
from cuvee.search.optimum import minimise
from cuvee.types import FloatArray

LINEAR = "linear"
"""The simplest law, which is never chosen but may be as good with few runs."""


@dataclass(frozen=True, eq=False)
class Rival:
    """One of them."""

    law: Law
    fitted: FittedLaw
    factor: FloatArray
    """See ``Resamples.draw`` [E]."""
    weight: float
    best: Mixture
    """What it would choose."""

    def drawn(self, data: LawData, count: int, rng: np.random.Generator) -> tuple[FittedLaw, ...]:
        """The same law of other draws of the runs."""
        return Resamples.draw(self.law, self.fitted, data, count, rng, self.factor).laws if count else ()


def rivals_of(
    fitted: Fitted, chosen: str, weights: FloatArray, objective: Objective, region: Region
) -> tuple[Rival, ...]:
    """Those that left-out runs cannot tell from the law chosen; none where runs are many.

    Args:
        fitted: all laws that were compared.
        chosen: name of the law that is minimised.
        weights: of the costs in the target [E].
        objective: what each would minimise.
        region: the mixtures that may be chosen.
    """
    if len(fitted.data) >= FEW_RUNS:  # that many judge the laws themselves
        return ()
    single = {name for name in (*CHOICES, LINEAR) if not isinstance(law_named(name), LawEnsemble)} | {chosen}
    held_out = {name: one.combined(weights) for name, one in fitted.held_out.items() if name in single}
    errors = {name: one.residuals[:, 0] for name, one in held_out.items()}
    there = np.isfinite(errors[chosen])
    plausible = plausibility({name: one[there] for name, one in errors.items()}, fitted.seed)
    return tuple(
        _rival(fitted, name, weight, objective, region)
        for name, weight in plausible.items()
        if name != chosen and weight >= LEAST
    )


def laws_of(rivals: Sequence[Rival]) -> RivalLaws:
    """What widens intervals of predictions."""
    return RivalLaws(tuple(one.fitted for one in rivals), tuple(one.weight for one in rivals))


def _rival(fitted: Fitted, name: str, weight: float, objective: Objective, region: Region) -> Rival:
    validated = fitted.validated(name)
    best = minimise(objective, validated.fitted, region, seed=fitted.seed).mixture
    return Rival(law_named(name), validated.fitted, Spread.of(validated.held_out).factor, weight, best)
