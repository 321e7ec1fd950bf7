"""The best mixture at every rung, and the progression through them.

Direct data optimisation at each rung, AutoScale beyond; how sure both are is drawn from the noise of a run.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.flows.scale.ladder import Rung, ScaledRun
from cuvee.laws.ddo import AutoScale, Method, PowerLaw
from cuvee.laws.ddo_uncertainty import SourceRuns, best_amounts, drawn_amounts, drawn_scales, fitted_laws
from cuvee.mixture.mixture import Mixture
from cuvee.types import FloatArray

ASSUMED_NOISE = 0.002
"""Standard deviation of a loss, as a part of it, where no base run was trained again."""

LEAST_NOISE = 1e-5
DRAWS = 200
_POOLED = 1.0


@dataclass(frozen=True, eq=False)
class RungLosses:
    """What was measured at a rung."""

    rung: Rung
    runs: tuple[ScaledRun, ...]
    target: FloatArray
    """Target loss of every run [R]."""

    @property
    def bases(self) -> FloatArray:
        """Target losses of the base run and its replicates."""
        return self.target[[not run.source for run in self.runs]]

    def by_source(self) -> dict[str, SourceRuns]:
        """Losses over that of the base run with the same initial parameters and seed."""
        base = float(self.target[0])
        found: dict[str, tuple[list[float], list[float]]] = {}
        for run, loss in zip(self.runs, self.target.tolist(), strict=True):
            if run.source:
                amounts, losses = found.setdefault(run.source, ([1.0], [1.0]))
                amounts.append(run.factor)
                losses.append(loss / base)
        return {name: SourceRuns(tuple(amounts), tuple(losses)) for name, (amounts, losses) in found.items()}


@dataclass(frozen=True, eq=False)
class Optima:
    """Optimal amounts at all rungs. Made by ``of``."""

    sources: tuple[str, ...]
    noise: tuple[float, ...]
    """Standard deviation of a loss at every rung, as a part of it."""
    laws: tuple[dict[str, PowerLaw | None], ...]
    """Of every rung; None where no falling power law passes through a source's runs."""
    amounts: tuple[FloatArray, ...]
    """Optimal tokens [S] at every rung."""
    drawn: tuple[FloatArray, ...]
    """The same under losses drawn again [K, S]."""

    @classmethod
    def of(cls, rungs: Sequence[RungLosses], method: Method, least: float, seed: int) -> "Optima":
        """Fit, optimise and draw.

        Args:
            rungs: the smallest first.
            method: how power laws are fitted.
            least: amount of any source, over that in the base run.
            seed: of the draws.

        Cost: seconds.
        """
        sources = rungs[0].runs[0].mixture.names
        noise = noise_of(rungs)
        laws, amounts, drawn = [], [], []
        for index, one in enumerate(rungs):
            each, runs = one.rung.tokens / len(sources), one.by_source()
            found = fitted_laws(runs, method, noise[index])
            best = best_amounts(found, float(len(sources)), least)
            rng = np.random.default_rng([seed, index])
            moved = drawn_amounts(runs, noise[index], float(len(sources)), least, DRAWS, rng, method)
            laws.append(found)
            amounts.append(each * np.array([best[name] for name in sources]))
            drawn.append(each * moved)
        return cls(sources, noise, tuple(laws), tuple(amounts), tuple(drawn))

    def at_rung(self, index: int) -> Mixture:
        """The optimum of direct data optimisation there."""
        return Mixture.normalised(dict(zip(self.sources, self.amounts[index].tolist(), strict=True)))

    def drawn_at_rung(self, index: int) -> FloatArray:
        """Shares [K, S]."""
        drawn: FloatArray = self.drawn[index] / self.drawn[index].sum(axis=1, keepdims=True)
        return drawn

    def at(self, tokens: float) -> Mixture:
        """AutoScale's mixture for a run of so many tokens.

        Raises:
            ConfigError: the progression does not reach there.
        """
        line = AutoScale.through([dict(zip(self.sources, one.tolist(), strict=True)) for one in self.amounts])
        return Mixture.normalised(line.for_tokens(tokens))

    def drawn_at(self, tokens: float) -> FloatArray:
        """Shares [K, S] under the draws; those that do not reach so many tokens are left out."""
        shares = drawn_scales(self.sources, self.drawn, tokens)
        return shares[np.isfinite(shares).all(axis=1)]


def noise_of(rungs: Sequence[RungLosses]) -> tuple[float, ...]:
    """How far trainings of one mixture differ at every rung, as a part of the loss.

    Short trainings differ more than long ones, but few of them say little, so each rung's variance is drawn
    towards the mean over rungs as if that were known from ``_POOLED`` more trainings.
    """
    variances, freedom = [], []
    for one in rungs:
        relative = one.bases / one.bases.mean()
        freedom.append(len(relative) - 1)
        variances.append(float(relative.var(ddof=1)) if len(relative) > 1 else math.nan)
    known = [variance for variance in variances if math.isfinite(variance)]
    if not known:
        return (ASSUMED_NOISE,) * len(rungs)
    mean = math.fsum(known) / len(known)
    return tuple(
        max(LEAST_NOISE, math.sqrt(((variance * n if n else 0.0) + mean * _POOLED) / (n + _POOLED)))
        for variance, n in zip(variances, freedom, strict=True)
    )
