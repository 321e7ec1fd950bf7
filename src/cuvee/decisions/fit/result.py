"""What is concluded from a table of runs: the value objects of a decision by laws.

The flow ``flows/fit/flow.py`` fills them, ``fit.json`` keeps them, the command line and ``report/`` show
them.

Conventions of every object in this file:

- Metrics are in their own units, as the table has them. The *target* is the weighted sum of metrics, those
  that are better when higher with a minus, so that lower is always better; with one metric it is that metric.
- ``low`` and ``high`` bound the central interval of ``LawDecision.confidence``.
- NaN means "not known"; it is written as ``null``.
- ``shares`` are token shares [S] in the order of ``LawDecision.sources``.
"""

import math
from dataclasses import dataclass

from cuvee.decisions.ablation.result import TiedMixture
from cuvee.decisions.concluded import Concluded
from cuvee.decisions.interval import Interval
from cuvee.decisions.provenance import Origin
from cuvee.decisions.shares import SourceShare, check_confidence, check_lengths, check_shares
from cuvee.decisions.verdict import Verdict
from cuvee.errors import ConfigError
from cuvee.runs.formats.direction import Direction

PICK = "pick"
"""Name of the chosen mixture among the candidates."""
BEST_OBSERVED = "best observed"
"""Name of the mixture of the run with the lowest target."""

_NAN = math.nan


@dataclass(frozen=True)
class Metric:
    """One column of the table, and what the pick is expected to do to it."""

    name: str
    direction: Direction
    weight: float
    """In the target; zero for a metric that is only watched."""
    predicted: dict[str, Interval]
    """Name of a candidate -> its expected value."""


@dataclass(frozen=True)
class Candidate:
    """A mixture that stands beside the pick, or the pick itself."""

    name: str
    shares: tuple[float, ...]
    target: Interval
    measured: float = _NAN
    """The target where this mixture was really run."""
    note: str = ""


@dataclass(frozen=True)
class LawRow:
    """How well a law predicted runs it had not seen (cross-validation by run)."""

    law: str
    parameters: int
    """Fitted for each metric."""
    spearman: float
    """Of the target."""
    r_squared: float
    mean_absolute_error: float
    """Of the target."""
    coverage_80: float
    """Share of left-out runs inside their 80 % interval of the target, calibrated without them."""
    coverage_95: float
    chosen: bool = False

    @property
    def failed(self) -> bool:
        """On runs it had not seen it is worse than their mean."""
        return self.r_squared < 0.0


@dataclass(frozen=True)
class HeldOutRun:
    """A run and what a fit without it said of it."""

    name: str
    predicted: float
    """Target."""
    measured: float


@dataclass(frozen=True)
class Sensitivity:
    """What the target owes to one source, seen from the pick."""

    source: str
    more: Interval
    """Change of the target for one percentage point more, taken from all others in proportion. Near zero at
    an optimum inside the bounds, by definition."""
    without: Interval
    """Change of the target if it is left out and all others grow in proportion; NaN if it is alone."""

    @property
    def matters(self) -> bool:
        """Leaving it out changes the target, and the runs agree on the direction."""
        return self.without.low > 0.0 or self.without.high < 0.0


@dataclass(frozen=True)
class Distance:
    """How far the pick lies from the runs."""

    nearest_run: str
    nearest: float
    """Total variation to the nearest run: the share of tokens that would have to change place."""
    typical: float
    """The same from one run to its nearest other run, median."""
    outside: float
    """Total variation to the nearest mixture of the runs' mixtures (their convex hull); zero inside."""

    @property
    def extrapolates(self) -> bool:
        """The pick lies outside of what was observed, by more than runs lie apart."""
        return self.outside > 0.5 * self.typical


@dataclass(frozen=True)
class ProposedRun:
    """A run worth making."""

    name: str
    shares: tuple[float, ...]
    gain: float
    """By how much this run alone is expected to lower the target of the mixture chosen after it."""
    tells: str
    """What is learnt, in a sentence."""


@dataclass(frozen=True)
class FrontPoint:
    """A mixture that no other beats on both of two metrics, under the law."""

    name: str
    shares: tuple[float, ...]
    values: tuple[float, ...]
    """Of ``LawDecision.front_metrics``."""


@dataclass(frozen=True, eq=False)
class LawResult(Concluded):
    """The answer to a table of runs. Two decisions are equal when their JSON is.

    Raises:
        ConfigError: shares do not fit the sources or do not sum to one.
    """

    table: str
    created_from: Origin
    runs: int
    """Used by the fit; ``mixtures`` of them differ."""
    parameters: float
    """Of the runs; NaN where unknown."""
    tokens: float
    target_tokens: float
    """Tokens of the run the decision is for; NaN where unknown."""
    headline: tuple[str, ...]
    verdict: Verdict
    law: str
    laws: tuple[LawRow, ...]
    mixture: tuple[SourceShare, ...]
    gap: float
    """Upper bound on how much lower the law's target gets anywhere in the region; NaN if not certified."""
    metrics: tuple[Metric, ...]
    candidates: tuple[Candidate, ...]
    """The pick first, then the baselines."""
    tied: tuple[TiedMixture, ...]
    sensitivities: tuple[Sensitivity, ...]
    distance: Distance
    next_runs: tuple[ProposedRun, ...]
    expected_gain: float
    """By how much knowing the law exactly would lower the target of the choice, on average."""
    likely_gain: float
    """The same, below which it lies with the probability ``confidence``."""
    held_out: tuple[HeldOutRun, ...] = ()
    """Under the chosen law; of many runs an even choice."""
    notes: tuple[str, ...] = ()
    """What was mended, left out or assumed on the way."""
    warnings: tuple[str, ...] = ()
    """What is known of the runs that may spoil the answer; it stands in the first lines."""
    confidence: float = 0.8
    front_metrics: tuple[str, ...] = ()
    """Two metrics of which was asked what one costs the other, or none."""
    front: tuple[FrontPoint, ...] = ()
    """From the best for the first of them to the best for the second."""
    law_reason: str = ""
    """Why this law, as the end of a sentence; empty where the question names it."""
    spread: float = _NAN
    """Standard deviation of the target among the runs."""
    better: tuple[str, ...] = ()
    """Runs and baselines within the limits that the law itself predicts to be better: the search failed."""
    measured_better: tuple[str, ...] = ()
    """Runs within the limits that were measured better than the pick can be expected, the best first."""
    measured_lower: tuple[str, ...] = ()
    """Runs within the limits that were measured lower than is expected of the pick, the best first."""
    different: int = 0
    """Different mixtures among the runs; older documents do not say it."""
    target_parameters: float = _NAN
    """Parameters of the run the decision is for; NaN where unknown."""
    at_target: bool = False
    """The law knows sizes: what is predicted is predicted of the run the decision is for."""

    def __post_init__(self) -> None:
        count = len(self.mixture)
        check_shares(self.table, self.mixture)
        listed = [(one.name, one.shares) for one in self.candidates]
        listed += [(one.name, one.shares) for one in self.tied]
        listed += [(one.name, one.shares) for one in self.next_runs]
        listed += [(one.name, one.shares) for one in self.front]
        check_lengths(self.table, listed, count)
        check_confidence(self.table, self.confidence)
        if len(self.sensitivities) != count:
            raise ConfigError(f"decision on {self.table!r}: sensitivities are not one for each source")
        if PICK not in {one.name for one in self.candidates}:
            raise ConfigError(f"decision on {self.table!r}: no candidate is the pick")
        if self.law not in {one.law for one in self.laws}:
            raise ConfigError(f"decision on {self.table!r}: its law {self.law!r} is not among the laws")
        if self.target_tokens <= 0:
            raise ConfigError(f"decision on {self.table!r}: target_tokens must be positive")

    @property
    def mixtures(self) -> int:
        """Different mixtures among the runs; as many as runs where a document does not say it."""
        return self.different or self.runs

    @property
    def pick(self) -> Candidate:
        """The mixture chosen, as a candidate."""
        return self.candidate(PICK)

    def candidate(self, name: str) -> Candidate:
        """The candidate of that name.

        Raises:
            KeyError: there is none.
        """
        for candidate in self.candidates:
            if candidate.name == name:
                return candidate
        raise KeyError(name)
