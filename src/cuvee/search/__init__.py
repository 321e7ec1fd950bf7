"""Search: the best mixture under an objective, and which experiment to make next to find it."""

from cuvee.search.baselines import Baseline, baselines, proportional, uniform, unimax
from cuvee.search.objective import Guard, Objective
from cuvee.search.optimum import Best, descend, minimise
from cuvee.search.pareto import ParetoPoint, pareto_front
from cuvee.search.proposer import History, Method, Proposer
from cuvee.search.replay import Replay
from cuvee.search.space import Experiment, Fidelity, Space
from cuvee.search.trajectory import Trajectory, trajectory_of
from cuvee.search.trials import Trials
from cuvee.search.utilimax import utilimax, utilities_of

__all__ = [
    "Baseline",
    "Best",
    "Experiment",
    "Fidelity",
    "Guard",
    "History",
    "Method",
    "Objective",
    "ParetoPoint",
    "Proposer",
    "Replay",
    "Space",
    "Trajectory",
    "Trials",
    "baselines",
    "descend",
    "minimise",
    "pareto_front",
    "proportional",
    "trajectory_of",
    "uniform",
    "unimax",
    "utilimax",
    "utilities_of",
]
