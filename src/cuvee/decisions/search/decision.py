"""What ``cuvee search`` concludes: the value objects of a decision by search.

The flow fills them, ``search.json`` keeps them, the command line and ``report/`` show them.

- Losses are in nats per token; the *target* is their weighted mean.
- ``low`` and ``high`` bound the central interval of ``SearchDecision.level``. NaN means "not known".
- ``shares`` are token shares [S] in the order of ``SearchDecision.sources``.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from cuvee.decisions.check import TrainingCheck
from cuvee.decisions.concluded import Checkable
from cuvee.decisions.document import decode, encode
from cuvee.decisions.interval import Interval
from cuvee.decisions.provenance import Provenance
from cuvee.decisions.search.headline import headline
from cuvee.decisions.search.verdict import verdict_of
from cuvee.decisions.shares import SourceShare, check_shares
from cuvee.decisions.verdict import UNJUDGED, Verdict
from cuvee.types import Json

Why = Literal["baseline", "method", "verify"]
"""What an experiment was asked for: to compare with, by the method, or to try what looked best at the end."""

_NAN = math.nan


@dataclass(frozen=True)
class FidelityRow:
    """A way of measuring a mixture, what it took and what it told."""

    kind: str
    parameters: int
    tokens: int
    flops: float
    """Of one experiment."""
    made: int
    failed: int
    spent: float
    """FLOPs of all of them."""
    seconds: float = _NAN
    """Of one processor core, where told."""
    slope: float = _NAN
    """How much a difference at the dearest level moves this one, as believed of the mixtures tried."""
    bias: float = _NAN
    """Target loss here less that expected at the dearest level, mean over the mixtures tried here."""
    noise: float = _NAN
    """Standard deviation of one experiment's target loss, as learnt."""
    rank: float = _NAN
    """Rank correlation of what was measured here with what is expected at the dearest level."""


@dataclass(frozen=True)
class Tried:
    """An experiment, in the order in which they were made."""

    name: str
    level: int
    """Index into ``SearchDecision.levels``."""
    why: Why
    shares: tuple[float, ...]
    loss: float
    """Measured target loss; NaN where it failed."""
    spent: float
    """FLOPs up to here, this experiment included."""
    gain: float
    """Before it: how much was expected below the best, had everything been known."""
    error: str = ""


@dataclass(frozen=True)
class TrainedMixture:
    """A mixture that was trained at the dearest level."""

    name: str
    """Of the experiment."""
    shares: tuple[float, ...]
    measured: float
    """Target loss."""
    expected: Interval
    """What is believed of it after all experiments."""


@dataclass(frozen=True, eq=False)
class SearchDecision(Checkable):
    """The answer. Two are equal when their JSON is.

    Raises:
        ConfigError: shares do not sum to one.
    """

    by: ClassVar[str] = "search"
    schema: ClassVar[int] = 3

    study: str
    created_from: Provenance
    headline: tuple[str, ...]
    verdict: Verdict
    method: str
    stopped: str
    """Why the search ended."""
    tested: bool
    """The mixture was trained at the dearest level."""
    target_tokens: int
    """Of the run that the mixture is for."""
    mixture: tuple[SourceShare, ...]
    target: dict[str, float]
    """Weights of the evaluations."""
    expected: Interval
    """Target loss of the mixture at the dearest level."""
    against_uniform: Interval
    """The same less that of equal shares."""
    regret: Interval
    """How much lower the best mixture is believed to be: mean, and the ends of the interval."""
    better_probability: float
    """That another mixture is better by more than ``tolerance``."""
    tolerance: float
    levels: tuple[FidelityRow, ...]
    """The dearest last."""
    tried: tuple[Tried, ...]
    trained: tuple[TrainedMixture, ...]
    """At the dearest level, the best first."""
    known: int
    """Experiments of earlier searches that were known before the first."""
    pool_flops: float
    """Charged for the pool."""
    flops: float
    """Spent, the pool included."""
    budget_flops: float
    simulated_epoching: bool
    warnings: tuple[str, ...]
    level: float = 0.8
    check: TrainingCheck | None = None
    """What fresh trainings say of the mixture, where `cuvee check` made them."""

    def __post_init__(self) -> None:
        check_shares(self.study, self.mixture)

    @property
    def largest(self) -> tuple[int, int]:
        """Parameters and tokens of the largest trainings that it rests on."""
        return self.levels[-1].parameters, self.levels[-1].tokens

    def unchecked(self) -> Verdict:
        """Why the search by itself cannot confirm it."""
        return verdict_of(self)

    def first_lines(self) -> tuple[str, ...]:
        """What stands at the head of its reports."""
        return headline(self)

    @classmethod
    def from_older(cls, schema: int, body: Json) -> Self | None:
        """Schema 2 had no verdict; its first line said of every mixture to train on it."""
        if schema != 2:
            return None
        return decode(cls, {**body, "verdict": encode(UNJUDGED)}, cls.by).judged()
