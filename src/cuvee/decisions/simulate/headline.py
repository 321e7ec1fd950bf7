"""What a simulation says first."""

import math

from cuvee.decisions.simulate.decision import ADAPTIVE, SIMPLE, MethodComparison, Simulation

_AGREES = 0.9
_DISAGREES = 0.5


def headline(simulation: Simulation) -> tuple[str, ...]:
    """Which method gets there for least, whether adaptivity pays, and what the cheapest fidelity says."""
    return (_best(simulation), *_adaptivity(simulation), *_cheapest(simulation))


def _best(simulation: Simulation) -> str:
    first = simulation.ranked[0]
    searches = f"median of {simulation.seeds} searches" if simulation.seeds > 1 else "one search"
    for reach in reversed(first.reach):
        if math.isfinite(reach.median):
            others = [row.name for row in simulation.methods if row is not first]
            against = "random" if "random" in others else others[-1] if others else ""
            beside = ""
            if against:
                there = next(r for r in simulation.method(against).reach if r.gap == reach.gap)
                beside = f"; {against} {_after(there.median, simulation.budget)}"
            return (
                f"Best here is {first.name}: within {reach.gap:.0%} of the best mixture "
                f"{_after(reach.median, simulation.budget)} ({searches}){beside}."
            )
    return (
        f"No method comes within {first.reach[0].gap:.0%} of the best mixture in half of its searches of "
        f"{simulation.budget:g} runs."
    )


def _adaptivity(simulation: Simulation) -> list[str]:
    if not simulation.comparisons:
        return []
    savings = ", ".join(_saving_in_words(one, simulation.budget) for one in simulation.comparisons)
    begin = {
        "pays": f"Adaptivity pays here: {ADAPTIVE} needs less than {SIMPLE}.",
        "costs": f"Adaptivity does not pay here: {ADAPTIVE} needs more than the simple {SIMPLE}.",
        "not clear": f"Whether adaptivity pays is not clear here: {ADAPTIVE} differs from the simple "
        f"{SIMPLE} by no more than chance, or in both directions.",
    }
    return [f"{begin[simulation.verdict]} In the median {ADAPTIVE} takes {savings}."]


def _saving_in_words(one: MethodComparison, budget: float) -> str:
    times = one.simple / one.adaptive if math.isfinite(one.simple) and math.isfinite(one.adaptive) else 1.0
    by = ""
    if times >= 1.05:
        by = f" ({times:.1f} times less)"
    elif times <= 1 / 1.05:
        by = f" ({1 / times:.1f} times more)"
    return (
        f"{_runs(one.adaptive, budget)} against {_runs(one.simple, budget)} to come within {one.gap:.0%}{by}"
    )


def _cheapest(simulation: Simulation) -> list[str]:
    if len(simulation.fidelities) == 1:
        return ["There is one fidelity only, so nothing can be learnt from cheaper runs."]
    level = simulation.cheapest
    if level.is_target or math.isnan(level.rank):
        return []
    how = (
        "agrees with the target" if level.rank >= _AGREES
        else "says little of the target" if level.rank < _DISAGREES
        else "agrees with the target in part"
    )  # fmt: skip
    return [
        f"The cheapest fidelity, {level.name}, costs {level.price:.2g} of a run at the target and {how}: it "
        f"ranks mixtures at {level.rank:.2f}."
    ]


def _after(cost: float, budget: float) -> str:
    return f"after {_runs(cost, budget)}" if math.isfinite(cost) else f"not within {budget:g} runs"


def _runs(cost: float, budget: float) -> str:
    return f"{cost:.1f} runs" if math.isfinite(cost) else f"more than {budget:g} runs"
