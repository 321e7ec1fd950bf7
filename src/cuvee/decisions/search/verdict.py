"""Whether the mixture that a search ends with may be acted on.

The pick is the one of the lowest expected loss among the mixtures trained to the end, each once. The training
that chose it cannot check it: the lowest of many noisy measurements flatters itself.
"""

from collections.abc import Iterator

from cuvee.decisions.search.result import SearchResult
from cuvee.decisions.verdict import Verdict

MORE_LIKELY_THAN_NOT = 0.5
"""Probability of a better mixture from which on a search has ended too early."""


def verdict_of(decision: SearchResult) -> Verdict:
    """The standing of a decision, from what stands in it; its own ``verdict`` is not read."""
    return Verdict("not checked", " ".join(_reasons(decision)))


def keeps_equal_shares(decision: SearchResult) -> bool:
    """The pick is no other mixture than that of equal shares."""
    even = 1.0 / len(decision.mixture)
    return all(abs(entry.share - even) < 1e-9 for entry in decision.mixture)


def _reasons(decision: SearchResult) -> Iterator[str]:
    count, tokens = len(decision.trained), decision.fidelities[-1].tokens
    if decision.better_probability > MORE_LIKELY_THAN_NOT:
        yield (
            f"Another mixture is better with probability {decision.better_probability:.0%}, by "
            f"{decision.regret.mean:.4f} nats per token as far as it is known: a larger budget may find it."
        )
    if not decision.tested:
        yield f"No mixture was trained at the target fidelity, {tokens:,} tokens."
        return
    if keeps_equal_shares(decision):
        yield f"Equal shares did best of {count} mixtures trained on {tokens:,} tokens, once each."
        return
    yield (
        f"It is expected to be the best of {count} mixtures trained on {tokens:,} tokens, and was chosen by "
        "the same trainings, one each: only trainings at fresh seeds can check it."
    )
    if not decision.against_uniform.high < 0:
        yield "It may be no better than equal shares."
