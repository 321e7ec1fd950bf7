"""A decision by search written by hand."""

from cuvee.decisions.interval import Interval
from cuvee.decisions.search.decision import SearchDecision
from cuvee.decisions.search.result import FidelityRow, TrainedMixture
from cuvee.decisions.shares import SourceShare
from cuvee.decisions.verdict import UNJUDGED
from tests.flows.scale.scale_cases import FOUND, PROVENANCE, SOURCES, Shares


def searched(
    mixture: Shares = FOUND, width: float = 0.04, tokens: int = 600_000, tested: bool = True
) -> SearchDecision:
    """The mixture was the best of two trained on so many tokens, for a run of 9,000,000."""
    expected = Interval(3.9, 3.88, 3.92)
    return SearchDecision(
        study="by hand",
        created_from=PROVENANCE,
        headline=(),
        verdict=UNJUDGED,
        method="cost_aware",
        stopped="budget",
        tested=tested,
        target_tokens=9_000_000,
        mixture=tuple(
            SourceShare(name, share, share - width, share + width, 10**6, 9 * share)
            for name, share in zip(SOURCES, mixture, strict=True)
        ),
        target=dict.fromkeys(SOURCES, 0.25),
        expected=expected,
        against_uniform=Interval(-0.1, -0.12, -0.08),
        regret=Interval(0.01, 0.0, 0.02),
        better_probability=0.1,
        tolerance=0.01,
        fidelities=(FidelityRow("trained", 1_000_000, tokens, 1e12, 2, 0, 2e12),),
        tried=(),
        trained=(
            TrainedMixture("2", mixture, 3.9, expected),
            TrainedMixture("1", (0.25,) * 4, 4.0, expected),
        ),
        known=0,
        pool_flops=0.0,
        flops=2e12,
        budget_flops=2e12,
        simulated_epoching=True,
        warnings=(),
    ).judged()
