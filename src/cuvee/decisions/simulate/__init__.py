"""What ``cuvee simulate`` concludes."""

from cuvee.decisions.simulate.decision import Simulation

__all__ = [
    "Simulation",
]
