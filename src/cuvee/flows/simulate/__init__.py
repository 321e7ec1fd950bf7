"""Methods of search played against runs that are already there: the flow of ``cuvee simulate``.

runs = read_table(paths, {})
played = simulate(runs.observations, SimulationQuestion(), table=runs.name, folder=out)
"""

from cuvee.decisions.simulate.decision import Simulation
from cuvee.flows.simulate.flow import Simulated, simulate
from cuvee.flows.simulate.question import SimulationQuestion
from cuvee.flows.simulate.table import read_table

__all__ = ["Simulated", "Simulation", "SimulationQuestion", "read_table", "simulate"]
