"""What ``cuvee search`` concludes: the value objects of a decision by search.

The flow fills them, ``search.json`` keeps them, the command line and ``report/`` show them.

- Losses are in nats per token; the *target* is their weighted mean.
- ``low`` and ``high`` bound the central interval of ``SearchDecision.confidence``. NaN means "not known".
- ``shares`` are token shares [S] in the order of ``SearchDecision.sources``.
"""

import math
from dataclasses import dataclass
from typing import Literal

from cuvee.decisions.check import TrainingCheck
from cuvee.decisions.concluded import Checkable
from cuvee.decisions.interval import Interval
from cuvee.decisions.provenance import Provenance
from cuvee.decisions.shares import SourceShare, check_confidence, check_lengths, check_shares
from cuvee.decisions.verdict import Verdict
from cuvee.errors import ConfigError

Why = Literal["baseline", "method", "verify"]
"""What an experiment was asked for: to compare with, by the method, or to try what looked best at the end."""

_NAN = math.nan


@dataclass(frozen=True)
class FidelityRow:
    """A way of measuring a mixture, its costs and how far it can be trusted."""

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
    """Of one processor core, or of one GPU where the study computed there; NaN where it is not known."""
    slope: float = _NAN
    """How much a difference at the target fidelity moves this one: posterior mean over the mixtures tried."""
    bias: float = _NAN
    """Target loss here less that expected at the target fidelity, mean over the mixtures tried here."""
    noise: float = _NAN
    """Standard deviation of one experiment's target loss, as learnt."""
    rank: float = _NAN
    """Rank correlation of what was measured here with what is expected at the target fidelity."""


@dataclass(frozen=True)
class Tried:
    """An experiment, in the order in which they were made."""

    name: str
    fidelity: int
    """Index into ``SearchDecision.fidelities``."""
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
    """A mixture that was trained at the target fidelity."""

    name: str
    """Of the experiment."""
    shares: tuple[float, ...]
    measured: float
    """Target loss."""
    expected: Interval
    """Posterior of its target loss after all experiments."""


@dataclass(frozen=True, eq=False)
class SearchResult(Checkable):
    """The answer. Two are equal when their JSON is.

    Raises:
        ConfigError: shares do not sum to one.
    """

    study: str
    created_from: Provenance
    headline: tuple[str, ...]
    verdict: Verdict
    method: str
    stopped: str
    """Why the search ended."""
    tested: bool
    """The mixture was trained at the target fidelity."""
    target_tokens: int
    """Of the run that the mixture is for."""
    mixture: tuple[SourceShare, ...]
    target: dict[str, float]
    """Weights of the evaluations."""
    expected: Interval
    """Target loss of the mixture at the target fidelity."""
    against_uniform: Interval
    """The same less that of equal shares."""
    regret: Interval
    """How much lower the best mixture is expected to be: mean, and the ends of the interval."""
    better_probability: float
    """That another mixture is better by more than ``tolerance``."""
    tolerance: float
    fidelities: tuple[FidelityRow, ...]
    """From the cheapest to the target fidelity."""
    tried: tuple[Tried, ...]
    trained: tuple[TrainedMixture, ...]
    """At the target fidelity, the best first."""
    known: int
    """Experiments of earlier searches that were known before the first."""
    pool_flops: float
    """Charged for the pool."""
    flops: float
    """Spent, the pool included."""
    budget_flops: float
    simulated_epoching: bool
    warnings: tuple[str, ...]
    confidence: float = 0.8
    document_values: str = ""
    """Method by whose values documents were chosen inside each source; empty: any documents were read."""
    seed_model: str = ""
    """What branches and references start from, in words; older documents do not say it."""
    trainer: str = ""
    """Command of the user's trainer that made the trainings; empty: cuvee made them."""
    check: TrainingCheck | None = None
    """What fresh trainings say of the mixture, where `cuvee check` made them."""

    def __post_init__(self) -> None:
        check_shares(self.study, self.mixture)
        check_confidence(self.study, self.confidence)
        rows = [(one.name, one.shares) for one in self.tried]
        rows += [(one.name, one.shares) for one in self.trained]
        check_lengths(self.study, rows, len(self.mixture))
        if not self.fidelities or any(not 0 <= one.fidelity < len(self.fidelities) for one in self.tried):
            raise ConfigError(f"decision on {self.study!r}: an experiment has an unlisted fidelity")

    @property
    def begins_from(self) -> str:
        """``seed_model``, where anything began from it; a trainer without a pool has a model of its own."""
        own = bool(self.trainer) and all(row.kind == "trained" for row in self.fidelities)
        return "" if own else self.seed_model

    @property
    def largest(self) -> tuple[int, int]:
        """Parameters and tokens of the largest trainings that it rests on."""
        return self.fidelities[-1].parameters, self.fidelities[-1].tokens
