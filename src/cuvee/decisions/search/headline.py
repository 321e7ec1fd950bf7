"""What a search says first: the answer in a few sentences."""

from cuvee.decisions.advice import advice
from cuvee.decisions.better_elsewhere import ended_worse, predicted_worse
from cuvee.decisions.check import EQUAL, borne_out
from cuvee.decisions.difference import ends, than
from cuvee.decisions.evaluations import FEW
from cuvee.decisions.search.result import SearchResult
from cuvee.decisions.search.verdict import MORE_LIKELY_THAN_NOT
from cuvee.decisions.shares import in_words
from cuvee.quantities import flops


def headline(decision: SearchResult) -> tuple[str, ...]:
    """The mixture under its verdict, what it is expected to gain, and how much may still be hidden."""
    gain, level = decision.against_uniform, f"{decision.confidence:.0%} interval"
    kinds = [
        f"{row.made} {_named(row.kind)}" for row in decision.fidelities if row.made and row.kind != "trained"
    ]
    trained = sum(row.made for row in decision.fidelities if row.kind == "trained")
    by = " by your trainer" if decision.trainer else ""
    expected = (
        f"Expected at {decision.fidelities[-1].tokens:,} tokens: {than(EQUAL, gain.mean)} ({level} "
        f"{ends(gain.low, gain.high)})." + borne_out(EQUAL, gain.low, gain.high, decision.check)
    )
    hidden = (
        f"Another mixture is better by more than {decision.tolerance:g} with probability "
        f"{decision.better_probability:.0%}; {decision.regret.mean:.4f} nats are expected to be hidden."
    )
    # Evidence against the mixture stands before evidence for it.
    early = decision.better_probability > MORE_LIKELY_THAN_NOT
    return (
        advice(decision.verdict, in_words(decision.mixture)),
        *ended_worse(decision.check),
        *decision.compared.sentences(),
        *predicted_worse([(EQUAL, gain.mean, gain.low, gain.high)], decision.check, ", or search on"),
        *((chosen_inside(decision.document_values),) if decision.document_values else ()),
        *(warning for warning in decision.warnings if warning.startswith(FEW)),
        *((hidden, expected) if early else (expected, hidden)),
        f"{flops(decision.flops)} of {flops(decision.budget_flops)} FLOPs went into "
        f"{', '.join([*kinds, f'{trained} trained{by}'])}; it stopped because: {_reasons(decision.stopped)}.",
    )


def chosen_inside(method: str) -> str:
    """What to know of a mixture whose trainings read chosen documents."""
    return (
        f"Inside each source documents were chosen by their values ({method}): a run on any documents of "
        "these shares is not what was measured. Those of the pick stand in search-documents.parquet."
    )


def _named(kind: str) -> str:
    return "frozen on the way" if kind == "checkpoint" else kind


def _reasons(stopped: str) -> str:
    return "the budget is spent" if stopped == "budget" else stopped
