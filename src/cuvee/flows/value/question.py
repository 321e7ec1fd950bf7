"""What ``cuvee value`` is asked."""

import shlex
from dataclasses import dataclass

from cuvee.errors import ConfigError
from cuvee.quantities import not_percent

BASELINES = ("dsir", "random")
"""Beside which every method stands."""
FEWEST_SEEDS = 2
PREFIX = "evaluations."


@dataclass(frozen=True)
class ValueQuestion:
    """A target, methods, and whether models are trained on what the methods keep.

    Raises:
        ConfigError: no method, a share outside (0, 1), or trainings at fewer than two seeds.
    """

    target: str
    """Name of an evaluation of the study."""
    methods: tuple[str, ...]
    """Rows of ``VALUERS``; the first decides about the mixture and the verdict."""
    sources: bool = False
    """Value sources exactly as well, by merges and ensembles of all their coalitions."""
    retrain: float = 0.0
    """Share of the pool's tokens that each method keeps to be trained on; 0 trains nothing."""
    seeds: int = 3
    """Trainings of each selection."""
    whole: bool = False
    """Train one epoch of all documents beside them."""
    confidence: float = 0.95

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", self.target.removeprefix(PREFIX))
        if not self.methods:
            raise ConfigError("value: name at least one method")
        if not 0.0 <= self.retrain < 1.0:
            raise ConfigError(f"value: --retrain {self.retrain:g}: {not_percent(self.retrain)}, below 1")
        if self.retrain and self.seeds < FEWEST_SEEDS:
            raise ConfigError(
                f"value: --seeds {self.seeds}: one training shows no noise; give {FEWEST_SEEDS} or more"
            )

    @property
    def command(self) -> str:
        """What asks the same, an encoder and a judge aside."""
        words = ["cuvee", "value", "study.yaml", "--target", self.target]
        words += [word for name in self.methods for word in ("--method", name)]
        words += ["--sources"] if self.sources else []
        words += ["--retrain", f"{self.retrain:g}", "--seeds", str(self.seeds)] if self.retrain else []
        return shlex.join(words)

    @property
    def all_methods(self) -> tuple[str, ...]:
        """Those asked for, and the baselines behind them."""
        return tuple(dict.fromkeys((*self.methods, *BASELINES)))
