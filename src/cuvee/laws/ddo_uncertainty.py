"""How sure the optima of DDO and AutoScale are (floor 4).

Three runs a source are met exactly by three parameters, which leaves no residual to judge by. Known is only
the noise of a run: how far two runs of the same mixture differ. So the losses are drawn again around what was
measured, with that noise (a parametric bootstrap; Efron & Tibshirani 1993, 6.5), the base run's noise shared
by all sources, and every draw gives its own laws, optimum and progression over scales.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.ddo import AutoScale, PowerLaw, optimal_amounts
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


def drawn_amounts(
    runs: Mapping[str, SourceRuns],
    noise: float,
    total: float,
    floor: float,
    draws: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Optimal amounts [draws, S] under losses drawn again; sources in the order of ``runs``.

    Args:
        runs: of every source.
        noise: standard deviation of one run's loss, as a part of the loss.
        total: of all amounts.
        floor: of each. A draw in which a source's loss does not fall ever more slowly gives it the floor.
        draws: how many.
        rng: the noise.

    Raises:
        ConfigError: the noise is negative, or the floors exceed the total.
    """
    if not 0.0 <= noise < 1.0:
        raise ConfigError(
            f"noise {noise}: give the standard deviation of a loss as a part of it, such as 0.002"
        )
    names = list(runs)
    result = np.empty((draws, len(names)))
    for row in range(draws):
        base = 1.0 + noise * rng.normal()
        laws: dict[str, PowerLaw] = {}
        for name in names:
            one = runs[name]
            moved = 1.0 + noise * rng.normal(size=len(one.losses))
            losses = [
                1.0 if amount == 1.0 else loss * factor / base
                for amount, loss, factor in zip(one.amounts, one.losses, moved.tolist(), strict=True)
            ]
            try:
                laws[name] = PowerLaw.fit(one.amounts, losses)
                optimal_amounts({name: laws[name]}, 1.0, floor if floor < 1.0 else 0.0)
            except ConfigError:
                laws.pop(name, None)
        held = floor * (len(names) - len(laws))
        found = optimal_amounts(laws, total - held, floor) if laws else {}
        result[row] = [found.get(name, floor) for name in names]
    return result


def drawn_scales(sources: Sequence[str], small: FloatArray, large: FloatArray, tokens: float) -> FloatArray:
    """AutoScale's shares at so many tokens, one row [K, S] for each pair of drawn optima.

    Args:
        sources: names [S].
        small: optimal tokens at the small scale [K, S].
        large: at the large one [K, S].
        tokens: of the run that is planned.

    Returns:
        Shares; a row of NaN where the progression of a draw does not reach so many tokens.
    """
    result = np.full(small.shape, np.nan)
    for row, pair in enumerate(zip(small.tolist(), large.tolist(), strict=True)):
        try:
            few, many = (dict(zip(sources, amounts, strict=True)) for amounts in pair)
            there = AutoScale(few, many).for_tokens(tokens)
        except ConfigError:
            continue
        result[row] = np.array([there[name] for name in sources]) / tokens
    return result
