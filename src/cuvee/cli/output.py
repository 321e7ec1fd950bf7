"""Printing results: JSON for programs, rich tables for people."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cuvee.types import Json

if TYPE_CHECKING:
    from cuvee.decisions.ablation.decision import Decision
    from cuvee.decisions.ablation.result import Loss, PredictedLosses
    from cuvee.decisions.check import TrainingCheck
    from cuvee.decisions.shares import SourceShare
    from cuvee.decisions.verdict import Verdict
    from cuvee.study.answers import AnyDecision


def print_json(value: Json) -> None:
    """One JSON object on standard output; numbers that are none must have become null before."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A compact table on standard output; columns after the first are numbers, set to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False, emoji=False).print(table)


def print_headline(headline: Sequence[str], verdict: "Verdict") -> None:
    """The first lines of an answer, its verdict behind the first of them."""
    print(headline[0])
    print(f"verdict: {verdict.title.lower()}. {verdict.why}")
    for sentence in headline[1:]:
        print(sentence)


def print_answer(answer: "AnyDecision") -> None:
    """All of an answer that fits a terminal."""
    from cuvee.cli.scale import print_scale
    from cuvee.cli.search import print_search
    from cuvee.decisions.ablation.decision import Decision
    from cuvee.decisions.scale.decision import ScaleDecision

    if isinstance(answer, Decision):
        print_decision(answer)
    elif isinstance(answer, ScaleDecision):
        print_scale(answer)
    else:
        print_search(answer)


def print_decision(decision: "Decision") -> None:
    """The headline, the mixture, and what it is predicted to do."""
    print_headline(decision.headline, decision.verdict)
    print_table(
        "Mixture",
        ["source", "share", f"{decision.confidence:.0%} interval", "epochs", ""],
        [_share_row(entry) for entry in decision.mixture],
    )
    print_table(
        "Predicted loss (nats per token)",
        ["evaluation", "this mixture", f"{decision.confidence:.0%} interval", "uniform", "proportional"],
        [
            [
                _label(row),
                number(row.pick.mean),
                _interval(row.pick),
                number(row.uniform.mean),
                number(row.proportional.mean),
            ]
            for row in decision.predictions
        ],
    )
    if decision.check is not None:
        print_arms(decision.check)
    for warning in decision.warnings:
        print(f"warning: {warning}")


def print_check(answer: "AnyDecision") -> None:
    """What fresh trainings say of an answer."""
    check = answer.check
    if check is None:
        return
    print_headline(answer.headline, answer.verdict)
    print_arms(check)


def print_arms(check: "TrainingCheck") -> None:
    """What was trained afresh, and what came out."""
    from cuvee.report import wording

    against = {one.baseline: one for one in check.comparisons}
    rows = []
    for arm in check.arms:
        row = [arm.name, number(sum(arm.losses) / len(arm.losses), 4)]
        one = against.get(arm.name)
        if one is None:
            rows.append([*row, "", "", ""])
            continue
        needed = wording.worth(one) if one.tokens_needed == one.tokens_needed else "not known"
        interval = f"{one.low:+.4f} to {one.high:+.4f}" if one.low == one.low else "not known"
        rows.append([*row, f"{one.difference:+.4f}", interval, needed])
    print_table(
        f"Checked: {check.trained} on {' to '.join(map(short, check.lengths))} tokens, {check.measured_on} "
        "(target, nats per token)",
        ["mixture", "loss", "pick against it", f"{check.confidence:.0%} interval", "tokens the pick needs"],
        rows,
    )


def number(value: float, digits: int = 3) -> str:
    """A number with so many digits after the point; a dash for one that is not known."""
    return f"{value:.{digits}f}" if value == value else "-"


def short(value: float) -> str:
    """A count in three digits with k, M, G, T, P or E behind it."""
    for suffix in ("", "k", "M", "G", "T", "P"):
        if abs(value) < 999.5:
            return f"{value:.3g}{suffix}"
        value /= 1000
    return f"{value:.3g}E"


def seconds(value: float) -> str:
    """A duration as 8s, 3m05s or 2h07m."""
    whole = round(value)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def _share_row(entry: "SourceShare") -> list[str]:
    known = entry.low == entry.low and entry.high == entry.high
    return [
        entry.source,
        f"{entry.share:.1%}",
        f"{entry.low:.1%} to {entry.high:.1%}" if known else "-",
        number(entry.epochs, 2),
        "at its cap" if entry.cap_hit else "",
    ]


def _label(row: "PredictedLosses") -> str:
    from cuvee.decisions.ablation.result import TARGET

    if row.evaluation == TARGET:
        return "target"
    return row.evaluation if row.in_pool else f"{row.evaluation} (out of pool)"


def _interval(loss: "Loss") -> str:
    return f"{loss.low:.3f} to {loss.high:.3f}" if loss.low == loss.low and loss.high == loss.high else "-"
