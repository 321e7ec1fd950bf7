"""Notes of a simulation: what was assumed of the table and of the runs in it."""

import math
from collections.abc import Iterator

from cuvee.decisions.simulate.decision import Simulation
from cuvee.flows.simulate.question import SimulationQuestion
from cuvee.precision import Precision


def notes(question: SimulationQuestion, simulation: Simulation) -> Iterator[str]:
    """How the numbers are to be read."""
    if simulation.law:
        noise = ", ".join(
            f"{name} {Precision.alone(size, 3).word(size)}" for name, size in simulation.noise.items()
        )
        origin = "its error on runs left out" if math.isnan(question.noise) else "as asked"
        yield (
            f"The truth is the law {simulation.law}, fitted to the runs; every run measures it with noise of "
            f"a standard deviation of {noise} ({origin})."
        )
    else:
        yield "Only mixtures that were run can be asked for; runs of a mixture at a fidelity are averaged."
    for name in ("parameters", "tokens"):
        if all(math.isnan(getattr(fidelity, name)) for fidelity in simulation.fidelities):
            yield f"No run has its {name}: they are set to 1 for all, and FLOPs are not known."
    if len(simulation.fidelities) == 1:
        yield (
            "The table has one fidelity: methods that need a cheaper one make their cheap runs at the "
            "target, and until these are made they search at random."
        )
    elif math.isnan(simulation.cheapest.rank):
        yield "The cheapest fidelity shares fewer than three mixtures with the target: no rank is known."
