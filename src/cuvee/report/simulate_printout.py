"""A simulation on a terminal: first lines, what each method needs, how far it is off, and the fidelities."""

import math

from cuvee.decisions.simulate.decision import CostToReach, MethodRow, SimulatedFidelity, Simulation
from cuvee.report.printout import Grid, Printout, noted
from cuvee.report.simulate_view import SimulateView
from cuvee.report.wording import PLAIN_MISSING, percent, plain, plain_percent


def simulate_printout(view: SimulateView) -> Printout:
    """All of a simulation that fits a terminal."""
    simulation = view.decision
    return (
        *simulation.headline,
        _costs(view),
        _regrets(view),
        _fidelities(simulation),
        *noted(simulation.notes),
    )


def _costs(view: SimulateView) -> Grid:
    """What each method costs, and how long it took where that is known."""
    gaps = [plain_percent(reach.gap, 0) for reach in view.rows[0].reach]
    timed = bool(view.seconds)
    return Grid(
        "Runs at the target until one is within 10% or 1% of the way from the best mixture to the median "
        "one: median of the searches, 90% of them, and those that failed (a dash: not within the "
        "budget)" + ("; seconds for each run asked for" if timed else ""),
        (
            "method",
            *(word for gap in gaps for word in (f"to {gap}", "90%", "failed")),
            *(["s/run"] if timed else []),
        ),
        tuple(
            (
                row.name,
                *(word for reach in row.reach for word in _reached(reach)),
                *([plain(view.seconds[row.name], 2)] if timed else []),
            )
            for row in view.rows
        ),
    )


def _reached(reach: CostToReach) -> tuple[str, str, str]:
    median, high = (
        f"{cost:.1f}" if math.isfinite(cost) else PLAIN_MISSING for cost in (reach.median, reach.high)
    )
    return median, high, plain_percent(reach.failures, 0)


def _regrets(view: SimulateView) -> Grid:
    return Grid(
        "Distance of the recommended mixture from the best when so many runs are spent (median; a dash: none "
        "is recommended yet)",
        ("method", *(f"{one.budget:g}" for one in view.rows[0].regret)),
        tuple((row.name, *_distances(row)) for row in view.rows),
    )


def _distances(row: MethodRow) -> list[str]:
    return [percent(one.median) if math.isfinite(one.median) else PLAIN_MISSING for one in row.regret]


def _fidelities(simulation: Simulation) -> Grid:
    return Grid(
        "Fidelities",
        ("fidelity", "price", "mixtures", "shared with the target", "ranks as the target", ""),
        tuple(map(_fidelity_row, simulation.fidelities)),
    )


def _fidelity_row(row: SimulatedFidelity) -> tuple[str, ...]:
    counts = str(row.mixtures), str(row.common)
    mark = "target" if row.is_target else ""
    return row.name, f"{row.price:.3g}", *counts, plain(row.rank, 2), mark
