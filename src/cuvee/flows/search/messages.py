"""A line for every experiment, for those who watch."""

from collections.abc import Sequence

import numpy as np

from cuvee.decisions.shares import LEAST_NAMED, parts_in_words
from cuvee.flows.search.findings import Made
from cuvee.flows.search.menu import Menu
from cuvee.search.proposer import Proposer

_SHARES_SHOWN = 3


def experiment_line(menu: Menu, proposer: Proposer, made: Sequence[Made], spent: float) -> str:
    """What was tried last, the best so far, what was spent, and what was expected to be hidden before."""
    last = made[-1]
    weights, fidelity = proposer.weights, menu.space.fidelities[last.experiment.fidelity]
    loss = float(last.losses @ weights) if not last.error else float("nan")
    _, costs = proposer.history.target_costs()
    budget = menu.runner.plan.config.search.budget_flops
    best = f"best {costs.min():.4f}" if len(costs) else "none at the target fidelity yet"
    gain = f", {last.gain:.4f} hidden before" if last.gain == last.gain else ""
    size = fidelity_name(fidelity.kind, fidelity.tokens, menu)
    outcome = f"failed ({last.error})" if last.error else f"loss {loss:.4f}"
    return (
        f"{len(made):>4}  {size:<26}{_main_shares(menu, last)}: {outcome}; {best}; "
        f"{spent / budget:.0%} spent{gain}"
    )


def fidelity_name(kind: str, tokens: float, menu: Menu) -> str:
    """In two or three words."""
    if kind in ("merged", "ensembled"):
        return kind
    target = menu.space.fidelities[menu.space.target].tokens
    if kind == "checkpoint":
        return f"frozen at {tokens / target:.0%}"
    return f"trained on {tokens:,.0f}"


def _main_shares(menu: Menu, made: Made) -> str:
    row = made.experiment.row
    order = np.argsort(-row, kind="stable")[:_SHARES_SHOWN]
    parts = parts_in_words((menu.space.sources[i], row[i]) for i in order)
    rest = float(row.sum() - row[order].sum())
    return ", ".join([*parts, *([f"{rest:.0%} others"] if rest >= LEAST_NAMED else [])])
