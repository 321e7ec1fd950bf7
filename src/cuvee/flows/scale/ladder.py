"""The ladder of scales from what can be paid to the target run. Plans only; nothing is trained.

At every rung direct data optimisation needs a base run of equal amounts and runs in which one source has more
or less (Kang et al. 2025, https://arxiv.org/abs/2407.20177); one scale above, the mixtures found are trained.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.mixture.mixture import Mixture
from cuvee.quantities import flops
from cuvee.study.file.config import StudyConfig
from cuvee.study.plan.lengths import LEAST_STEPS, interpolated
from cuvee.study.plan.mixtures import check_sources

CHECKED = 5
"""Mixtures trained above the rungs, at most: equal and proportional shares, and three that were found."""

_PRECISION = 1e-3
_DRAWN = 17


@dataclass(frozen=True)
class ScaledRun:
    """A run of a rung: the base run, one of its replicates, or one with another amount of a source."""

    mixture: Mixture
    tokens: int
    replica: int = 0
    source: str = ""
    """The source whose amount was changed; empty for base runs."""
    factor: float = 1.0
    """Its amount over that in the base run."""


@dataclass(frozen=True)
class Rung:
    """One scale."""

    parameters: int
    tokens: int
    """Of the base run, and of every mixture that is compared with it."""

    def runs(self, sources: tuple[str, ...], factors: tuple[float, ...], replicates: int) -> list[ScaledRun]:
        """The design of direct data optimisation: the base runs first."""
        each = self.tokens / len(sources)
        found = [
            ScaledRun(Mixture.uniform(sources), self.tokens, replica) for replica in range(1 + replicates)
        ]
        for name in sources:
            for factor in factors:
                amounts = {other: each * (factor if other == name else 1.0) for other in sources}
                total = math.fsum(amounts.values())
                found.append(ScaledRun(Mixture.normalised(amounts), round(total), 0, name, factor))
        return found


def asked_for(config: StudyConfig) -> int:
    """Tokens of the target run; to be asked before any text is read.

    Raises:
        ConfigError: they are not known, or there is one source only.
    """
    if config.target_run.tokens is None:
        raise ConfigError("target_run.tokens: missing; `cuvee scale` decides for a run of so many tokens")
    check_sources(config)
    return config.target_run.tokens


@dataclass(frozen=True)
class Ladder:
    """Rungs for direct data optimisation, and one above them at which its mixtures are trained."""

    rungs: tuple[Rung, ...]
    check: Rung | None
    """None where the mixtures found are not trained."""
    target: Rung

    @classmethod
    def of(cls, config: StudyConfig, size: int, training_flops: Callable[[int], float]) -> "Ladder":
        """As high as the budget reaches, and not above the target run.

        Args:
            config: the study.
            size: parameters of its model.
            training_flops: a token, of a model of so many parameters.

        Raises:
            ConfigError: the target run is unknown, there is one source only, or the budget is too small (the
                message names the least that would do).
        """
        target = asked_for(config)
        settings = config.scale
        least = LEAST_STEPS * config.reference_training.batch_tokens
        levels = settings.rungs + (settings.seeds > 0)

        largest = config.target_run.parameters if config.model.folder is None else None

        def rung_at(lowest: float, tokens: float) -> Rung:
            # Parameters grow from the study's to the target's as tokens do, on a line in logarithms.
            place = math.log(tokens / lowest) / math.log(target / lowest) if target > lowest else 1.0
            return Rung(interpolated(size, largest or size, place), round(tokens))

        def ladder(lowest: float) -> "Ladder":
            tokens = [lowest * settings.step**level for level in range(levels)]
            made = [rung_at(lowest, min(amount, target)) for amount in tokens]
            end = rung_at(lowest, target)
            return cls(tuple(made[: settings.rungs]), made[-1] if settings.seeds else None, end)

        def cost(lowest: float) -> float:
            return sum(
                training_flops(rung.parameters) * tokens for rung, tokens in ladder(lowest).trained(config)
            )

        highest = target / settings.step ** (levels - 1)
        if highest < least:
            raise ConfigError(
                f"target_run.tokens: {target:,} leave no room for {levels} scales of which each has "
                f"{settings.step:g} times the tokens of the one below; take fewer `scale.rungs` or a smaller "
                f"`scale.step`, or train the mixtures at the target itself with `cuvee run`"
            )
        if cost(least) > settings.budget_flops:
            raise ConfigError(
                f"scale.budget_flops: {flops(settings.budget_flops, 3)} are too few; the smallest "
                f"ladder, from {least:,} tokens on, takes {flops(cost(least), 3)}"
            )
        if cost(highest) <= settings.budget_flops:
            return ladder(highest)
        low, high = math.log(least), math.log(highest)
        while high - low > _PRECISION:
            middle = 0.5 * (low + high)
            low, high = (middle, high) if cost(math.exp(middle)) <= settings.budget_flops else (low, middle)
        return ladder(math.exp(low))

    def trained(self, config: StudyConfig) -> Iterator[tuple[Rung, int]]:
        """Rungs with all tokens that are trained on at each."""
        settings = config.scale
        for rung in self.rungs:
            runs = rung.runs(config.pool_sources, settings.factors, settings.replicates)
            yield rung, sum(run.tokens for run in runs)
        if self.check is not None:
            yield self.check, self.check.tokens * CHECKED * settings.seeds

    @property
    def scales(self) -> tuple[Rung, ...]:
        """Everything between the lowest rung and the target that a report draws, the ends included."""
        first, last = self.rungs[0], self.target
        steps = np.linspace(0.0, 1.0, _DRAWN)
        return tuple(
            Rung(
                interpolated(first.parameters, last.parameters, s), interpolated(first.tokens, last.tokens, s)
            )
            for s in steps.tolist()
        )
