"""How sure the optima of DDO and AutoScale are.

Three runs a source are met exactly by three parameters, which leaves no residual to judge by. Known is only
the noise of a run: how far two runs of the same mixture differ. So the losses are drawn again around what was
measured, with that noise (a parametric bootstrap; Efron & Tibshirani 1993, 6.5), the base run's noise shared
by all sources, and every draw gives its own laws, optimum and progression over scales. Where laws are the
likeliest ones, what is expected of them is drawn with the losses, so that draws are as wide as what is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.ddo import AutoScale, Method, PowerLaw, optimal_amounts, power_laws
from cuvee.types import FloatArray


@dataclass(frozen=True)
class SourceRuns:
    """The runs in which the amount of one source was changed.

    Raises:
        ConfigError: not one loss for each amount.
    """

    amounts: tuple[float, ...]
    """Over that in the base run; the base run, 1, stands among them."""
    losses: tuple[float, ...]
    """Over that of the base run."""

    def __post_init__(self) -> None:
        if len(self.amounts) != len(self.losses) or 1.0 not in self.amounts:
            raise ConfigError(
                f"runs of a source need a loss for each amount and the base run among them: {self.amounts}, "
                f"{self.losses}"
            )

    def moved(self, noise: float, base: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Losses drawn again [K, R], over those of base runs drawn as ``base`` [K]."""
        drawn = 1.0 + noise * rng.normal(size=(len(base), len(self.losses)))
        moved: FloatArray = np.asarray(self.losses) * drawn / base[:, None]
        return np.where(np.asarray(self.amounts) == 1.0, 1.0, moved)


def fitted_laws(runs: Mapping[str, SourceRuns], method: Method, noise: float) -> dict[str, PowerLaw | None]:
    """The power law of every source; None where none passes through its runs."""
    return {
        name: power_laws(method, one.amounts, np.array([one.losses]), noise)[0] for name, one in runs.items()
    }


def best_amounts(laws: Mapping[str, PowerLaw | None], total: float, floor: float) -> dict[str, float]:
    """Optimal amounts; a source without a law that falls gets the floor, all equal if no law does.

    Raises:
        ConfigError: the floors exceed the total.
    """
    known = {name: law for name, law in laws.items() if law is not None and law.falls_from(floor)}
    if not known:
        return dict.fromkeys(laws, total / len(laws))
    found = optimal_amounts(known, total - floor * (len(laws) - len(known)), floor)
    return {name: found.get(name, floor) for name in laws}


def drawn_amounts(
    runs: Mapping[str, SourceRuns],
    noise: float,
    total: float,
    floor: float,
    draws: int,
    rng: np.random.Generator,
    method: Method = "published",
) -> FloatArray:
    """Optimal amounts [draws, S] under losses drawn again; sources in the order of ``runs``.

    Args:
        runs: of every source.
        noise: standard deviation of one run's loss, as a part of the loss.
        total: of all amounts.
        floor: of each. A draw in which a source's loss does not fall ever more slowly gives it the floor.
        draws: how many.
        rng: the noise.
        method: how a power law is fitted.

    Raises:
        ConfigError: the noise is negative, or the floors exceed the total.
    """
    if not 0.0 <= noise < 1.0:
        raise ConfigError(
            f"noise {noise}: give the standard deviation of a loss as a part of it, such as 0.002"
        )
    base = 1.0 + noise * rng.normal(size=draws)
    laws = {
        name: power_laws(method, one.amounts, one.moved(noise, base, rng), noise, rng)
        for name, one in runs.items()
    }
    rows = ({name: of_draws[k] for name, of_draws in laws.items()} for k in range(draws))
    return np.array([list(best_amounts(row, total, floor).values()) for row in rows])


def drawn_scales(sources: Sequence[str], optima: Sequence[FloatArray], tokens: float) -> FloatArray:
    """AutoScale's shares at so many tokens, one row [K, S] for each set of drawn optima.

    Args:
        sources: names [S].
        optima: optimal tokens [K, S] at each scale, the smallest first.
        tokens: of the run that is planned.

    Returns:
        Shares; a row of NaN where the progression of a draw does not reach so many tokens.
    """
    result = np.full(optima[0].shape, np.nan)
    for row, drawn in enumerate(zip(*(one.tolist() for one in optima), strict=True)):
        try:
            there = AutoScale.through([dict(zip(sources, one, strict=True)) for one in drawn])
            amounts = there.for_tokens(tokens)
        except ConfigError:
            continue
        result[row] = np.array([amounts[name] for name in sources]) / tokens
    return result
