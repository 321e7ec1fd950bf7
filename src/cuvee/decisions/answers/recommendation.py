"""The answer of one flow, as far as it can be set beside another's.

``cuvee run``, ``cuvee search`` and ``cuvee scale`` answer one study by different ways; here each is a mixture
with intervals, the run it is for, and what was really trained of it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.check import TrainingCheck
from cuvee.decisions.disagreement import SAME
from cuvee.decisions.interval import Interval
from cuvee.decisions.provenance import Provenance
from cuvee.decisions.scale.decision import ScaleDecision
from cuvee.decisions.search.decision import SearchDecision
from cuvee.decisions.shares import SourceShare
from cuvee.decisions.verdict import Verdict
from cuvee.errors import ConfigError
from cuvee.mixture.distance import total_variation


@dataclass(frozen=True)
class RunSize:
    """How large a training is.

    Raises:
        ConfigError: it has no parameters or no tokens.
    """

    parameters: int
    tokens: int

    def __post_init__(self) -> None:
        if self.parameters < 1 or self.tokens < 1:
            raise ConfigError(
                f"a training needs parameters and tokens, not {self.parameters} and {self.tokens}"
            )

    def times_to(self, other: "RunSize") -> float:
        """FLOPs of another over those of this, as they grow with parameters and tokens."""
        return (other.parameters * other.tokens) / (self.parameters * self.tokens)


@dataclass(frozen=True)
class OwnTrainings:
    """The trainings of a mixture itself."""

    size: RunSize
    trainings: int


@dataclass(frozen=True)
class Recommendation:
    """What a flow recommends."""

    flow: str
    """The command: ``run``, ``search`` or ``scale``."""
    verdict: Verdict
    shares: dict[str, Interval]
    """Source -> its share."""
    level: float
    """Of the intervals."""
    target: RunSize
    """The run that it is for."""
    trained: OwnTrainings | None
    """None where the mixture itself was never trained."""
    created_from: Provenance
    asked: Mapping[str, Any] = field(default_factory=dict)
    """Settings of ``search`` that the command line may have put in place of the file's."""

    @property
    def command(self) -> str:
        """As a user knows it."""
        return f"cuvee {self.flow}"

    @property
    def distance(self) -> float:
        """From the largest training of the mixture to the run it is for, in logarithms of FLOPs."""
        return math.inf if self.trained is None else abs(math.log(self.trained.size.times_to(self.target)))


def answer_of(decision: Decision | SearchDecision | ScaleDecision) -> Recommendation:
    """The answer in a decision of any of the three flows."""
    if isinstance(decision, Decision):
        return _of_run(decision)
    return _of_search(decision) if isinstance(decision, SearchDecision) else _of_scale(decision)


def _of_run(decision: Decision) -> Recommendation:
    # Decisions without a verdict rest on proxies: whatever those agree with, nothing was trained afresh.
    verdict = decision.verdict
    size = RunSize(decision.proxy_scale.parameters, decision.proxy_scale.tokens)
    pick = [entry.share for entry in decision.mixture]
    same = sum(bool(total_variation(reference.shares, pick) <= SAME) for reference in decision.references)
    if verdict.standing != "not checked":
        same = max(1, same + _fresh(decision.check))
    return Recommendation(
        "run",
        verdict,
        _shares(decision.mixture),
        decision.confidence,
        RunSize(decision.target_scale.parameters, decision.target_scale.tokens),
        OwnTrainings(size, same) if same else None,
        decision.created_from,
    )


def _of_search(decision: SearchDecision) -> Recommendation:
    longest = decision.fidelities[-1]
    return Recommendation(
        "search",
        decision.verdict,
        _shares(decision.mixture),
        decision.confidence,
        RunSize(longest.parameters, decision.target_tokens),
        _trained(longest.parameters, longest.tokens, int(decision.tested) + _fresh(decision.check)),
        decision.created_from,
        {"budget_flops": decision.budget_flops, "method": decision.method},
    )


def _of_scale(decision: ScaleDecision) -> Recommendation:
    pick = [entry.share for entry in decision.mixture]
    same = {
        row.shares: len(row.losses) for row in decision.checks if total_variation(row.shares, pick) <= SAME
    }
    return Recommendation(
        "scale",
        decision.verdict,
        _shares(decision.mixture),
        decision.confidence,
        RunSize(decision.parameters, decision.target_tokens),
        _trained(*decision.largest, sum(same.values()) + _fresh(decision.check)),
        decision.created_from,
    )


def _fresh(check: TrainingCheck | None) -> int:
    """Trainings of the mixture that a check made."""
    return 0 if check is None else check.seeds


def _trained(parameters: int, tokens: int, trainings: int) -> OwnTrainings | None:
    return OwnTrainings(RunSize(parameters, tokens), trainings) if trainings else None


def _shares(mixture: Sequence[SourceShare]) -> dict[str, Interval]:
    return {entry.source: Interval(entry.share, entry.low, entry.high) for entry in mixture}
