"""How a model is trained, as one frozen and hashed value.

Equal recipes make comparable models: members of a pool share one, and its hash is in every run key.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import cos, pi

from cuvee.errors import ConfigError
from cuvee.hashing import digest
from cuvee.types import Json

ADAMW, MUON = "adamw", "muon"
OPTIMIZERS = (ADAMW, MUON)

Schedule = Callable[[float, float], float]
"""From the fraction of steps done after the warm-up, in [0, 1], and the share of the run that decays,
to a factor on the peak rate."""

SCHEDULES: dict[str, Schedule] = {
    "constant": lambda done, decay: 1.0,
    "linear": lambda done, decay: 1.0 - done,
    "cosine": lambda done, decay: 0.5 * (1.0 + cos(pi * done)),
    # Warm-up, stable, decay (Hu et al. 2024, MiniCPM).
    "wsd": lambda done, decay: min(1.0, (1.0 - done) / decay),
}


_LATER = {"optimizer": ADAMW, "stacked": 0, "processes": 1}
"""Fields that came later, with what they mean where they are not there."""


@dataclass(frozen=True)
class Recipe:
    """Everything about training but the model, the data and the starting point."""

    steps: int
    batch_sequences: int
    context_length: int
    learning_rate: float
    """The peak."""
    schedule: str = "linear"
    decay: float = 0.2
    """Share of the steps after the warm-up in which a ``wsd`` schedule falls."""
    warmup_steps: int = 0
    final_fraction: float = 0.0
    """The learning rate at the end as a fraction of the peak."""
    weight_decay: float = 0.1
    """On matrices; norms and biases are never decayed."""
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    clip: float = 1.0
    """Gradients longer than this are shortened to it."""
    accumulation: int = 1
    """Parts that a batch is computed in, where memory is short; it changes rounding alone."""
    tail_average: float = 0.0
    """The final parameters are the mean over this last fraction of steps; 0 keeps the last step."""
    snapshots: tuple[int, ...] = ()
    """Steps after which the parameters are kept as well."""
    optimizer_state: str = "restored"
    """``restored`` continues the seed's Adam moments, ``fresh`` starts from zero."""
    dtype: str = "float32"
    """Of the matrix products: ``float32`` or ``bfloat16``."""
    compiled: bool = False
    optimizer: str = ADAMW
    """See ``flat_optimizer.py``."""
    stacked: int = 0
    """Runs that are trained at once in one batch of models; 0: each by itself. Products of other shapes are
    rounded otherwise."""
    processes: int = 1
    """Processes, each with a GPU or a core, that share one training (``launched.py``); it changes rounding
    alone."""
    seed: int = 0
    """Order of the data, and of the initial parameters where there is no seed model."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "snapshots", tuple(self.snapshots))
        for name in ("steps", "batch_sequences", "context_length", "accumulation", "processes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"recipe: {name} must be at least 1, not {getattr(self, name)}")
        if self.schedule not in SCHEDULES:
            raise ConfigError(f"recipe: schedule '{self.schedule}' is unknown; known: {', '.join(SCHEDULES)}")
        if self.batch_sequences % (self.accumulation * self.processes):
            shared = f" times processes {self.processes}" if self.processes > 1 else ""
            raise ConfigError(
                f"recipe: accumulation {self.accumulation}{shared} does not divide "
                f"batch_sequences {self.batch_sequences}"
            )
        if not 0 <= self.tail_average < 1:
            raise ConfigError(f"recipe: tail_average must be in [0, 1), not {self.tail_average}")
        if not 0 < self.decay <= 1:
            raise ConfigError(f"recipe: decay must be in (0, 1], not {self.decay}")
        if any(not 0 < step <= self.steps for step in self.snapshots):
            raise ConfigError(f"recipe: snapshots {self.snapshots} must lie within 1 to {self.steps} steps")
        if self.dtype not in ("float32", "bfloat16"):
            raise ConfigError(f"recipe: dtype must be float32 or bfloat16, not {self.dtype}")
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(
                f"recipe: optimizer {self.optimizer!r} is unknown; known: {', '.join(OPTIMIZERS)}"
            )
        if self.stacked and self.optimizer != ADAMW:
            raise ConfigError(f"recipe: only runs of {ADAMW} are stacked, not of {self.optimizer}")
        if self.processes > 1 and (self.stacked or self.optimizer != ADAMW):
            raise ConfigError(
                f"recipe: only single runs of {ADAMW} are shared by processes, none that are stacked and "
                f"none of {MUON}, which needs whole matrices; say processes: 1 or optimizer: {ADAMW}"
            )
        if self.optimizer_state not in ("restored", "fresh"):
            raise ConfigError(
                f"recipe: optimizer_state must be restored or fresh, not {self.optimizer_state}"
            )

    @property
    def batch_tokens(self) -> int:
        return self.batch_sequences * self.context_length

    @property
    def tokens(self) -> int:
        """Tokens seen in all."""
        return self.steps * self.batch_tokens

    def learning_rate_at(self, step: int) -> float:
        """The rate applied in step ``step`` (0-based)."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        factor = SCHEDULES[self.schedule](done, self.decay)
        return self.learning_rate * (self.final_fraction + (1 - self.final_fraction) * factor)

    @property
    def hash(self) -> str:
        """Equal for models that may be averaged: everything but the order of the data."""
        return digest({name: value for name, value in self.as_json().items() if name != "seed"})

    def as_json(self) -> Json:
        said = {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }
        # Recipes of before these were known keep their hash.
        return {name: value for name, value in said.items() if name not in _LATER or value != _LATER[name]}
