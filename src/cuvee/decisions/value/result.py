"""What a valuation found: values by source, best and worst documents, agreement, trainings on selections."""

from dataclasses import dataclass

from cuvee.decisions.concluded import Concluded
from cuvee.decisions.interval import Interval
from cuvee.decisions.provenance import Provenance
from cuvee.decisions.shares import SourceShare, check_shares
from cuvee.decisions.verdict import Verdict


@dataclass(frozen=True)
class ValuedDocument:
    """A document with its value by one method."""

    id: str
    source: str
    tokens: int
    value: float
    text: str
    """How it begins."""


@dataclass(frozen=True)
class ValuedSource:
    """What a source is worth by one method."""

    source: str
    documents: int
    """That have a value."""
    tokens: int
    value: Interval
    """Mean of its documents, weighted by tokens; the interval is over other documents of the source."""


@dataclass(frozen=True)
class Valued:
    """What one method says."""

    method: str
    paper: str
    """Where it is from; empty for a baseline of no paper."""
    unit: str
    not_run: str
    """Why it was not run; empty where it was. Then all below is empty."""
    coverage: float
    """Share of the documents that have a value; NaN where it was not run."""
    sources: tuple[ValuedSource, ...]
    """In the order of the study."""
    best: tuple[ValuedDocument, ...]
    """Highest value first."""
    worst: tuple[ValuedDocument, ...]
    """Lowest value first."""


@dataclass(frozen=True)
class MethodAgreement:
    """How two methods rank the same documents."""

    one: str
    other: str
    rank: float
    """Spearman's correlation over the documents that both value."""


@dataclass(frozen=True)
class SourcePlayer:
    """A source in the game of all sources, in nats per token of the target; higher is better."""

    source: str
    shapley: Interval
    """The mean over all orders of what it adds."""
    left_out: Interval
    """What is lost without it, all others being there."""


@dataclass(frozen=True)
class SourceGame:
    """Exact values of sources, by one proxy of coalitions."""

    by: str
    """The proxy."""
    coalitions: int
    players: tuple[SourcePlayer, ...]
    """In the order of the study."""


@dataclass(frozen=True)
class SelectionArm:
    """Trainings on the documents that one method keeps."""

    name: str
    """A method, or what all are compared with."""
    documents: int
    tokens: int
    """Of the training; every arm but one epoch of everything has the same."""
    target: tuple[float, ...]
    """Loss on the target in nats per token, one a seed."""
    others: tuple[float, ...]
    """Mean loss on the other evaluations, one a seed; empty where there is none."""
    to_random: Interval
    """Loss on the target minus that of random documents; NaN for these themselves."""
    to_dsir: Interval
    """The same to the documents that DSIR keeps."""


@dataclass(frozen=True)
class Retraining:
    """What trainings on selections said, measured on documents that no method has seen."""

    share: float
    """Of the pool's tokens that each method kept."""
    parameters: int
    documents: int
    """Of the target, that the losses are measured on."""
    noise: float
    """Standard deviation of one training about its selection, in nats per token."""
    flops: float
    arms: tuple[SelectionArm, ...]
    """Lowest loss on the target first."""


@dataclass(frozen=True, eq=False)
class ValueResult(Concluded):
    """All but what follows from it.

    Raises:
        ConfigError: shares do not sum to one.
    """

    study: str
    created_from: Provenance
    headline: tuple[str, ...]
    verdict: Verdict
    target: str
    """Name of the evaluation that documents are valued for."""
    target_documents: int
    """Behind the values; those that judge retraining are others."""
    documents: int
    """Of the pool."""
    tokens: int
    """Of the pool."""
    mixture: tuple[SourceShare, ...]
    """A prior of the mixture, by UtiliMax from the values of the first method."""
    methods: tuple[Valued, ...]
    """In the order in which they were asked for, baselines last."""
    agreement: tuple[MethodAgreement, ...]
    games: tuple[SourceGame, ...]
    """Empty where sources were not valued exactly."""
    retraining: Retraining | None
    warnings: tuple[str, ...]
    confidence: float

    def __post_init__(self) -> None:
        check_shares(self.study, self.mixture)

    @property
    def first(self) -> Valued:
        """The first method that was run; what the mixture and the verdict are of."""
        return next(one for one in self.methods if not one.not_run)
