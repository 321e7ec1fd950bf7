"""Planned: a training with what it is for, as producers are asked for it."""

from dataclasses import dataclass

from cuvee.mixture.mixture import Mixture
from cuvee.study.plan.agenda import Intended
from cuvee.training.run import TrainingRun

_NAMED = 3


@dataclass(frozen=True)
class Planned:
    """A training run with what it is for."""

    run: TrainingRun
    role: str
    """One of ``runs/roles.py``."""
    mixture: Mixture
    """Over the sources of the study."""
    measured_along: int = 0
    """How often the run is measured on its way, besides the end."""
    until: int = 0
    """The step after which the run is frozen; 0 goes to the end."""

    @property
    def tokens(self) -> int:
        """Trained on, to the end or to where it is frozen."""
        return self.until * self.run.recipe.batch_tokens or self.run.recipe.tokens

    @property
    def intended(self) -> Intended:
        """As it stands on the agenda of the study."""
        return Intended(self.run.key, self.role, self.run.recipe.steps, self.run.flops)

    @property
    def sources(self) -> str:
        """What it is trained on, in a few words."""
        names = self.mixture.support
        return "+".join(names) if len(names) <= _NAMED else f"{len(names)} sources"
