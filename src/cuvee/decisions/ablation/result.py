"""What a study concludes: the value objects of a decision.

The flow ``flows/ablation/`` fills these objects, ``decision.json`` keeps them, ``report/`` shows them.
They hold results only: nothing is fitted, judged or recomputed here.

Conventions of every object in this file:

- Losses and differences of losses are in nats per token; ``bits_per_byte`` stands beside them.
- ``low`` and ``high`` bound the interval of ``confidence`` (95 % unless the decision says otherwise).
- NaN means "not measured" or "not defined"; it is written as ``null``.
- ``shares`` are token shares [S] in the order of ``Decision.sources``.
- The name ``TARGET`` in the place of an evaluation means the weighted target itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from cuvee.decisions.ablation.order import MixtureOrder
from cuvee.decisions.ablation.tasks import TaskRow
from cuvee.decisions.baselines import BaselineMixture, Baselines
from cuvee.decisions.check import TrainingCheck
from cuvee.decisions.concluded import Checkable
from cuvee.decisions.evaluations import EvaluationRow
from cuvee.decisions.provenance import Provenance
from cuvee.decisions.shares import SourceShare, check_confidence, check_shares
from cuvee.decisions.verdict import UNTRAINED, Verdict
from cuvee.errors import ConfigError
from cuvee.honesty import scopes

TARGET = scopes.TARGET
"""Stands where an evaluation's name stands, for the weighted sum of ``Decision.target``."""

ALL_REFERENCES = scopes.ALL_REFERENCES
"""``HonestyRow.subset`` of a row over every reference; the scatter plots are titled with these rows."""

Estimand = Literal["equal_budget", "union"]
Action = Literal["add", "drop", "double"]

_NAN = math.nan


@dataclass(frozen=True)
class RunScale:
    """The size of a run."""

    parameters: int
    tokens: int


@dataclass(frozen=True)
class Loss:
    """A loss with its interval; a measured one without replicates has NaN bounds."""

    mean: float = _NAN
    """Nats per token."""
    low: float = _NAN
    high: float = _NAN
    bits_per_byte: float = _NAN
    """The mean in bits per byte."""


@dataclass(frozen=True)
class PredictedLosses:
    """The loss of one evaluation (or of ``TARGET``) under the pick and under what it competes with."""

    evaluation: str
    pick: Loss
    uniform: Loss = Loss()
    """Equal shares."""
    proportional: Loss = Loss()
    """Shares in proportion to unique tokens."""
    best_reference: Loss = Loss()
    """Measured, not predicted: the really trained mixture of lowest target loss."""
    reference_predicted: float = _NAN
    """What the pick is predicted by says of that mixture: the two compare, a measured and a predicted one do
    not."""
    in_pool: bool = False
    """The evaluation is the held-out part of a source that pool models were trained on."""


@dataclass(frozen=True)
class Gain:
    """What the pick is predicted to gain over a baseline; negative where the pick is better."""

    baseline: str
    """``EQUAL`` or ``PROPORTIONAL`` of ``cuvee.decisions.check``."""
    difference: float
    """Predicted target loss of the pick minus the baseline's, ``Decision.optimism`` taken off."""
    low: float = _NAN
    high: float = _NAN


@dataclass(frozen=True)
class TiedMixture:
    """A mixture that is tied with the pick under the evidence."""

    name: str
    shares: tuple[float, ...]
    gap: float
    """Predicted target loss minus that of the pick."""
    low: float = _NAN
    high: float = _NAN


@dataclass(frozen=True)
class HonestyRow:
    """How far one proxy, or one cheap baseline, agreed with runs that were really trained."""

    proxy: str
    is_baseline: bool
    scope: str
    """``TARGET``, the name of an evaluation, or a group such as "macro out-of-pool"."""
    subset: str
    """``ALL_REFERENCES``, or a part of them such as "within size"."""
    n: int
    """References compared."""
    pearson: float = _NAN
    pearson_low: float = _NAN
    pearson_high: float = _NAN
    spearman: float = _NAN
    pairwise: float = _NAN
    """Share of pairs ranked as the trained runs rank them (half is chance)."""
    partial: float = _NAN
    """Correlation with the number of parts held fixed."""
    slope: float = _NAN
    """Of truth on proxy; 1 means that a difference of the proxy is a difference of the truth."""
    slope_error: float = _NAN
    regret: float = _NAN
    """True loss of the proxy's favourite minus the best true loss among the references."""
    relative_regret: float = _NAN
    """Regret over what a pick at random would cost: 0 is perfect, 1 no better than chance."""
    beats_baselines: float = _NAN
    """Share of resamples in which it agrees better than every baseline; NaN for a baseline."""
    ceiling: float = _NAN
    """The correlation that a perfect proxy could reach, given the noise."""
    noise: float = _NAN
    """Standard deviation between replicates of one reference, nats per token."""
    ceiling_low: float = _NAN
    """Ends of the interval of ``ceiling``, known from few replicates."""
    ceiling_high: float = _NAN


@dataclass(frozen=True)
class CalibratorRow:
    """One way to turn proxy scores into predicted losses, judged by leaving one reference out."""

    calibrator: str
    loo_rmse: float
    """On the target, nats per token."""
    loo_spearman: float = _NAN
    chosen: bool = False


@dataclass(frozen=True)
class AblationEffect:
    """What changing one source does to one evaluation; negative means a lower loss."""

    source: str
    action: Action
    evaluation: str
    effect: float
    low: float = _NAN
    high: float = _NAN


@dataclass(frozen=True)
class ProxyOptimum:
    """Where a raw proxy has its lowest target loss among the allowed mixtures; no reference corrects it."""

    proxy: str
    """"merge" or "ensemble"."""
    shares: tuple[float, ...]
    loss: float
    """Target loss there, by this proxy."""
    pick_loss: float
    """Target loss of the pick, by this proxy."""
    distance: float
    """From the pick: the share of tokens that changes source (total variation)."""
    gap: float = _NAN
    """The most that another allowed mixture could be lower; of the merge, whose loss is not convex, to first
    order from where a descent ended on a part of the tokens."""
    ends: tuple[float, ...] = ()
    """Target losses of what descents from different starts ended at; empty where one is enough."""


@dataclass(frozen=True)
class PoolGeometry:
    """Lengths and directions of the pool's parameter deltas, and what looks wrong about them."""

    members: tuple[str, ...]
    norms: tuple[float, ...]
    """Length of each delta [K]."""
    cosines: tuple[tuple[float, ...], ...]
    """Cosine between each two deltas [K, K]."""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_length("norms of the pool", self.norms, len(self.members))
        _check_square("cosines of the pool", self.cosines, len(self.members))


@dataclass(frozen=True)
class NextRun:
    """A mixture worth really training, and why."""

    name: str
    shares: tuple[float, ...]
    why: str


@dataclass(frozen=True)
class LedgerRow:
    """What one stage of the study cost."""

    stage: str
    kind: str
    """"trained", "merged", "ensembled", "imported", or "" where no run was made."""
    count: int
    flops: float
    seconds: float = _NAN
    """Measured, summed over workers: of processor cores, or of GPUs where the study computed there. The only
    field that changes when a study is repeated."""


@dataclass(frozen=True)
class Reference:
    """A really trained mixture, its true target loss, and what each proxy had said of it."""

    name: str
    shares: tuple[float, ...]
    truth: float
    predicted: dict[str, float]
    """Proxy or baseline (named as in ``HonestyRow.proxy``) -> its score, calibrated without this run."""


@dataclass(frozen=True)
class ProxyTrust:
    """Whether a proxy is believed, and the reason."""

    believed: bool
    why: str

    @property
    def words(self) -> str:
        """The mark of it."""
        return "Believed" if self.believed else "Not believed"


@dataclass(frozen=True, eq=False)
class AblationResult(Checkable):
    """The answer of a study. Two decisions are equal when their JSON is.

    Raises:
        ConfigError: shares, matrices or names do not fit together (the message says what and where).
    """

    study: str
    created_from: Provenance
    estimand: Estimand
    headline: tuple[str, ...]
    """Plain sentences, the most important first."""
    believed_proxy: str
    """The proxy that the pick rests on, e.g. "merge + own share"."""
    believed: bool
    """It agreed with the trained references, better than the baselines did, and nothing said first takes that
    away."""
    why: str
    """A sentence or two on ``believed``."""
    target_scale: RunScale
    """The run the decision is for."""
    proxy_scale: RunScale
    """One reference run."""
    mixture: tuple[SourceShare, ...]
    """The pick, one entry a source."""
    target: dict[str, float]
    """Evaluation -> weight in what is minimised."""
    predictions: tuple[PredictedLosses, ...]
    verdict: Verdict = UNTRAINED
    """Whether the pick may be acted on; documents of schema 1 have none."""
    check: TrainingCheck | None = None
    """What fresh trainings say of the pick; None where there were none."""
    gains: tuple[Gain, ...] = ()
    """What was predicted of it before they were made."""
    optimism: float = _NAN
    """By how much a mixture looks better for having been chosen, nats per token of the target."""
    evaluations: tuple[EvaluationRow, ...] = ()
    best_reference: str = ""
    """Name of the mixture behind ``PredictedLosses.best_reference``; empty for none."""
    tied: tuple[TiedMixture, ...] = ()
    honesty: tuple[HonestyRow, ...] = ()
    calibrators: tuple[CalibratorRow, ...] = ()
    ablation: tuple[AblationEffect, ...] = ()
    best_subset: tuple[str, ...] = ()
    """Sources of the best equally weighted subset."""
    best_weights: tuple[float, ...] = ()
    """The ensemble's own optimum among the allowed mixtures [S]."""
    optima: tuple[ProxyOptimum, ...] = ()
    """Of merge and ensemble, as they are before any calibration; older documents have none."""
    merging: str = "linear"
    """How branches were merged: a row of ``cuvee.merging.registry``."""
    interactions: tuple[tuple[float, ...], ...] = ()
    """Effect of a pair on the target beyond the sum of its two effects [S, S]; empty if not measured."""
    geometry: PoolGeometry | None = None
    next_runs: tuple[NextRun, ...] = ()
    references: tuple[Reference, ...] = ()
    order: MixtureOrder | None = None
    """Whether their order survives other conditions; None where nobody asked, and in older documents."""
    tasks: tuple[TaskRow, ...] = ()
    """Metrics of downstream tasks; empty where the study names none."""
    ledger: tuple[LedgerRow, ...] = ()
    proxy_over_direct: dict[str, float] = field(default_factory=dict)
    """What is compared -> cost by proxies / cost of training each mixture."""
    doubts: tuple[str, ...] = ()
    """Why nothing here may be relied on; said before all else."""
    warnings: tuple[str, ...] = ()
    confidence: float = 0.95
    seed_model: str = ""
    """What branches and references start from, in words; older documents do not say it."""
    baselines: tuple[BaselineMixture, ...] = ()
    """What the pick is compared with; in older documents the arms of ``check`` say it."""
    by_references: ProxyTrust | None = None
    """What the references alone say of the proxy; in older documents ``believed`` and ``why`` do."""

    def __post_init__(self) -> None:
        count = len(self.mixture)
        check_shares(self.study, self.mixture)
        check_confidence(self.study, self.confidence)
        if TARGET in self.target:
            raise ConfigError(
                f"decision on {self.study!r}: no evaluation may be called {TARGET!r}; rename it"
            )
        named = [(mixture.name, mixture.shares) for mixture in self.tied]
        named += [(run.name, run.shares) for run in self.next_runs]
        named += [(f"the optimum of {one.proxy}", one.shares) for one in self.optima]
        named += [(reference.name, reference.shares) for reference in self.references]
        named += [(baseline.name, baseline.shares) for baseline in self.baselines]
        for name, shares in named:
            _check_length(f"shares of {name!r}", shares, count)
        if self.best_weights:
            _check_length("best_weights", self.best_weights, count)
        if self.interactions:
            _check_square("interactions", self.interactions, count)
        unknown = [name for name in self.best_subset if name not in self.sources]
        unknown += [row.source for row in self.ablation if row.source not in self.sources]
        if unknown:
            raise ConfigError(f"decision on {self.study!r}: {unknown[0]!r} is not a source of it")

    @property
    def compared(self) -> Baselines:
        """The baselines as they were compared."""
        return Baselines.of(self.mixture, self.check, self.baselines)

    def shares(self) -> dict[str, float]:
        """The picked mixture by name."""
        return {entry.source: entry.share for entry in self.mixture}


def _check_length(what: str, values: Sequence[object], expected: int) -> None:
    if len(values) != expected:
        raise ConfigError(f"decision: {what}: {len(values)} values where {expected} are needed")


def _check_square(what: str, rows: Sequence[Sequence[object]], expected: int) -> None:
    _check_length(what, rows, expected)
    for row in rows:
        _check_length(f"a row of {what}", row, expected)
