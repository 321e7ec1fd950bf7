"""The law of mixture and scale behind a ladder: fitted to all its runs, asked beyond them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cuvee.decisions.interval import Interval
from cuvee.errors import ConfigError
from cuvee.flows.scale.ladder import asked_for
from cuvee.laws.extrapolation import Extrapolation
from cuvee.laws.interface import NO_SOURCE, FittedLaw, LawData, Scale
from cuvee.laws.registry import law_named
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.runs.metric_names import NATS
from cuvee.runs.observations import Observations
from cuvee.search.objective import Objective
from cuvee.search.optimum import minimise
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.planned import Planned
from cuvee.types import FloatArray

LAW = "effective_data_scaling"
"""What is minimised: convex, aware of repetition, and its optimum moves with scale."""
COMPARED = ("additive_scaling", "joint_scaling", "capacity_allocation", "bimix")
LEVEL = 0.8


@dataclass(frozen=True, eq=False)
class ScaleLaw:
    """A law fitted to runs of several scales, with others beside it. Made by ``of``."""

    data: LawData
    weights: FloatArray
    """Of the metrics in the target [E]."""
    fitted: FittedLaw
    extrapolation: Extrapolation | None
    """None where there are too few runs to see how far the law can be believed."""
    others: dict[str, FittedLaw]

    @classmethod
    def of(cls, data: LawData, target: Mapping[str, float]) -> "ScaleLaw":
        """Fit to runs, see ``law_data``; ``target`` has the weight of every metric."""
        law = law_named(LAW)
        try:
            extrapolation = Extrapolation.of(law, data)
        except ConfigError:
            extrapolation = None
        others = {}
        for name in COMPARED:
            try:
                others[name] = law_named(name).fit(data)
            except ConfigError:  # these runs do not carry it: too few, or all of one size
                continue
        fitted = extrapolation.fitted if extrapolation is not None else law.fit(data)
        weights = np.array([target[name] for name in data.metrics])
        return cls(data, weights, fitted, extrapolation, others)

    @property
    def name(self) -> str:
        """What its optimum is called."""
        return f"law {LAW}"

    def optimum(self, region: Region, scale: Scale) -> Mixture:
        """The mixture with the lowest target at a scale."""
        objective = Objective(dict(zip(self.data.metrics, self.weights.tolist(), strict=True)), scale=scale)
        return minimise(objective, self.fitted, region).mixture

    def resampled(self, region: Region, scale: Scale, draws: int, seed: int) -> FloatArray:
        """Its optima [K, S] under runs drawn again with replacement; those that carry no law are left out."""
        law, rng, found = law_named(LAW), np.random.default_rng(seed), []
        for _ in range(draws):
            rows = rng.integers(len(self.data), size=len(self.data))
            try:
                again = replace(self, fitted=law.fit(self.data.select(rows)))
            except ConfigError:
                continue
            found.append(again.optimum(region, scale).shares)
        return np.array(found).reshape(len(found), len(self.data.sources))

    def target(self, mixtures: Sequence[Mixture], scale: Scale) -> list[Interval]:
        """Target losses of single trainings at a scale; the errors of metrics are taken to go together."""
        shares = np.stack([mixture.shares for mixture in mixtures])
        mean = self.fitted.costs(shares, scale) @ self.weights
        half = np.full(len(shares), np.nan)
        if self.extrapolation is not None:
            half = self.extrapolation.half_width(shares, scale, LEVEL) @ self.weights
        return [Interval(m, m - h, m + h) for m, h in zip(mean.tolist(), half.tolist(), strict=True)]


def law_data(plan: Plan, planned: Sequence[Planned], observed: Observations) -> LawData:
    """Runs that are made, with their rows, as data of laws: nats per token of every evaluation."""
    names, sources = plan.config.evaluation_names, observed.sources
    data = LawData.of(
        observed,
        [NATS + name for name in names],
        unique=np.stack([unique_tokens(plan, one) for one in planned]),
        own=[NO_SOURCE if own is None else sources.index(own) for own in plan.config.own_sources.values()],
    )
    return replace(data, metrics=names)


def unique_tokens(plan: Plan, planned: Planned) -> FloatArray:
    """Different tokens of each source that a run can draw on [S]."""
    names, material = planned.mixture.names, plan.material
    here = [sum(len(shard.tokens) for shard in material.training_shards(name)) for name in names]
    parts = [planned.run.fractions.get(name, 1.0) for name in names]
    result: FloatArray = np.array(here) * np.array(parts)
    return result


def scale_of(plan: Plan, available: Mapping[str, int], parameters: int, tokens: int) -> Scale:
    """A scale on the way to the target run, with each source repeated as often as there.

    Args:
        plan: of the study.
        available: tokens of each source that the target run can draw on.
        parameters: of the model that is asked for; given as those of the one that can be built.
        tokens: trained on.
    """
    unique = np.array([float(count) for count in available.values()]) * tokens / asked_for(plan.config)
    return Scale(float(plan.sized(parameters).build().layout.size), float(tokens), unique)
