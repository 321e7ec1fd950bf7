"""What a search says first: the answer in a few sentences (floor 7)."""

from cuvee.quantities import flops
from cuvee.study.search.decision import SearchDecision, Standing


def headline(decision: SearchDecision) -> tuple[str, ...]:
    """The mixture, what it is expected to gain, and how much may still be hidden."""
    rows = sorted(decision.mixture, key=lambda entry: -entry.share)
    mixture = ", ".join(f"{entry.share:.0%} {entry.source}" for entry in rows if entry.share >= 0.005)
    gain, dearest = decision.against_uniform, decision.levels[-1]
    level = f"{decision.level:.0%} interval"
    against = f"{gain.mean:+.4f} nats per token ({level} {gain.low:+.4f} to {gain.high:+.4f})"
    told: dict[Standing, str] = {
        "untested": f"No mixture was trained at the dearest level; expected against equal shares: {against}.",
        "baseline": "Equal shares themselves did best of all that was trained.",
        "unsure": f"Against equal shares {against}: it may be no better.",
        "better": f"Against equal shares {against}, at {dearest.tokens:,} tokens.",
    }
    first = "Keep equal shares" if decision.standing == "baseline" else f"Train on {mixture}"
    kinds = [
        f"{row.made} {_named(row.kind)}" for row in decision.levels if row.made and row.kind != "trained"
    ]
    trained = sum(row.made for row in decision.levels if row.kind == "trained")
    return (
        f"{first}.",
        told[decision.standing],
        f"Another mixture is better by more than {decision.tolerance:g} with probability "
        f"{decision.better_probability:.0%}; {decision.regret.mean:.4f} nats are expected to be hidden.",
        f"{flops(decision.flops)} of {flops(decision.budget_flops)} FLOPs went into "
        f"{', '.join([*kinds, f'{trained} trained'])}; it stopped because: {_reasons(decision.stopped)}.",
    )


def _named(kind: str) -> str:
    return "frozen on the way" if kind == "checkpoint" else kind


def _reasons(stopped: str) -> str:
    return "the budget is spent" if stopped == "budget" else stopped
