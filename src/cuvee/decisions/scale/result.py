"""What ``cuvee scale`` concludes: the value objects of a decision across scales.

The flow fills them, ``scale.json`` keeps them, the command line and ``report/`` show them.

- Losses are in nats per token; the *target* is their weighted mean.
- ``low`` and ``high`` bound the central interval of ``ScaleDecision.confidence``. NaN means "not known".
- ``shares`` are token shares [S] in the order of ``ScaleDecision.sources``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from cuvee.decisions.check import TrainingCheck
from cuvee.decisions.concluded import Checkable
from cuvee.decisions.interval import Interval
from cuvee.decisions.provenance import Provenance
from cuvee.decisions.shares import SourceShare, check_confidence, check_lengths, check_shares
from cuvee.decisions.verdict import Verdict
from cuvee.errors import ConfigError

_NAN = math.nan


@dataclass(frozen=True)
class SourceLaw:
    """(n + a)^-b + c of one source at one rung; NaN where no falling power law passes through its runs."""

    source: str
    changes: tuple[float, ...]
    """Of the target loss, as a part of it, at each of ``ScaleDecision.factors``."""
    a: float = _NAN
    b: float = _NAN
    c: float = _NAN
    a_error: float = _NAN
    b_error: float = _NAN
    c_error: float = _NAN


@dataclass(frozen=True)
class RungRow:
    """One scale at which the best mixture was sought."""

    parameters: int
    tokens: int
    runs: int
    flops: float
    seconds: float
    """Of one processor core, or of one GPU where the study computed there; NaN where it is not known."""
    noise: float
    """Standard deviation of a training's target loss, as a part of it."""
    base: float
    """Target loss of equal amounts, mean over trainings."""
    optimum: tuple[Interval, ...]
    """Shares [S] of direct data optimisation."""
    laws: tuple[SourceLaw, ...]


@dataclass(frozen=True)
class PathPoint:
    """The best mixture at one scale, as a method has it."""

    method: str
    parameters: int
    tokens: int
    shares: tuple[Interval, ...]


@dataclass(frozen=True)
class Checked:
    """A mixture that was trained above the rungs."""

    name: str
    shares: tuple[float, ...]
    losses: tuple[float, ...]
    """Target loss of every training."""
    loss: Interval
    """Their mean, with the noise of a training."""
    predicted: Interval
    """The target loss as the law of the rungs had it."""
    speedup: dict[str, Interval]
    """Name of another -> its tokens over those this one needed to reach its final loss, with the ends over
    trainings; below one where it was not reached."""
    bounds: tuple[str, ...] = ()
    """Those of which ``speedup`` is a bound: one of the two was there at its first measurement on the way."""
    document_error: dict[str, float] = field(default_factory=dict)
    """Name of another -> standard error of the difference of their losses by the choice of documents; NaN
    where it is not known."""


@dataclass(frozen=True)
class LawCheck:
    """How well a law of the rungs predicted the trainings above them."""

    law: str
    error: float
    """Mean absolute error of the target."""
    difference_error: float
    """The same of differences to equal shares, which are what a choice rests on."""
    inside: float
    """Share of trainings inside the intervals."""


@dataclass(frozen=True, eq=False)
class ScaleResult(Checkable):
    """The answer. Two are equal when their JSON is.

    Raises:
        ConfigError: shares do not sum to one.
    """

    study: str
    created_from: Provenance
    headline: tuple[str, ...]
    verdict: Verdict
    """Of the mixture recommended, which need not be one that was trained."""
    method: str
    """What the mixture comes from: a name of ``checks``."""
    parameters: int
    """Of the target run's model."""
    target_tokens: int
    mixture: tuple[SourceShare, ...]
    target: dict[str, float]
    """Weights of the evaluations."""
    predicted: Interval
    """Target loss of the mixture at the target run."""
    predicted_uniform: Interval
    factors: tuple[float, ...]
    noise: float
    """The same above the rungs."""
    rungs: tuple[RungRow, ...]
    path: tuple[PathPoint, ...]
    """How the best mixture moves with scale, method by method, the smallest scale first."""
    checks: tuple[Checked, ...]
    check_parameters: int
    """Zero where nothing was trained above the rungs."""
    check_tokens: int
    laws: tuple[LawCheck, ...]
    flops: float
    """Of all trainings."""
    budget_flops: float
    simulated_epoching: bool
    warnings: tuple[str, ...]
    confidence: float = 0.8
    documents: int = 0
    """Of the evaluation that has the fewest, among those that count in the target; 0 where an older document
    does not say it."""
    seed_model: str = ""
    """What every training starts from, in words; older documents do not say it."""
    check: TrainingCheck | None = None
    """What fresh trainings say of the mixture, where `cuvee check` made them."""

    def __post_init__(self) -> None:
        check_shares(self.study, self.mixture)
        check_confidence(self.study, self.confidence)
        rows: list[tuple[str, Sequence[object]]] = [("a rung", one.optimum) for one in self.rungs]
        rows += [("a point of the path", one.shares) for one in self.path]
        rows += [(one.name, one.shares) for one in self.checks]
        check_lengths(self.study, rows, len(self.mixture))
        if not self.rungs or min(self._tokens) < 1:
            raise ConfigError(f"decision on {self.study!r}: rungs and points of the path need tokens")

    @property
    def _tokens(self) -> list[int]:
        return [*(one.tokens for one in self.rungs), *(one.tokens for one in self.path)]

    @property
    def largest(self) -> tuple[int, int]:
        """Parameters and tokens of the largest trainings that it rests on."""
        if self.check_tokens:
            return self.check_parameters, self.check_tokens
        return self.rungs[-1].parameters, self.rungs[-1].tokens
