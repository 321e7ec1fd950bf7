"""What a decision across scales says first."""

from cuvee.decisions.advice import advice
from cuvee.decisions.better_elsewhere import ended_worse
from cuvee.decisions.evaluations import FEW
from cuvee.decisions.scale.result import ScaleResult
from cuvee.decisions.shares import in_words


def headline(decision: ScaleResult) -> tuple[str, ...]:
    """The mixture under its verdict, what its trainings took, and how the best mixture moves."""
    mixture = f"{in_words(decision.mixture)} ({decision.method})"
    return (
        advice(decision.verdict, mixture),
        *ended_worse(decision.check),
        *decision.compared.sentences(),
        *(warning for warning in decision.warnings if warning.startswith(FEW)),
        *_speed(decision),
        *_moves(decision),
    )


def _speed(decision: ScaleResult) -> list[str]:
    """Of the mixture that the method had where mixtures were trained."""
    if decision.check is not None:  # what fresh trainings save stands with them
        return []
    row = next((one for one in decision.checks if one.name == decision.method), None)
    if row is None or "uniform" not in row.speedup:
        return []
    needed = row.speedup["uniform"]
    bound = "" if "uniform" not in row.bounds else "at most " if needed.mean > 1 else "at least "
    part, low, high = (1.0 / times for times in (needed.mean, needed.high, needed.low))
    return [
        f"At {decision.check_tokens:,} tokens the mixture of '{row.name}' took {bound}{part:.0%} of the "
        f"tokens of equal shares to reach their loss ({low:.0%} to {high:.0%})."
    ]


def _moves(decision: ScaleResult) -> list[str]:
    """The source whose share moves most on the way of the chosen method."""
    points = [point for point in decision.path if point.method == decision.method]
    if len(points) < 2:
        return []
    first, last = points[0], points[-1]
    moves = [b.mean - a.mean for a, b in zip(first.shares, last.shares, strict=True)]
    place = max(range(len(moves)), key=lambda i: abs(moves[i]))
    return [
        f"From {first.tokens:,} to {last.tokens:,} tokens the best share of {decision.sources[place]} goes "
        f"from {first.shares[place].mean:.0%} to {last.shares[place].mean:.0%}; no other moves more."
    ]
