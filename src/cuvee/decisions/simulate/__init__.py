"""What ``cuvee simulate`` concludes (floor 4)."""

from cuvee.decisions.simulate.decision import Simulation

__all__ = [
    "Simulation",
]
