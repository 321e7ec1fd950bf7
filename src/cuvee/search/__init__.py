"""Search: the best mixture of a region under an objective, and what it is compared with (floor 5)."""

from cuvee.search.baselines import Baseline, baselines, proportional, uniform, unimax
from cuvee.search.objective import Guard, Objective
from cuvee.search.optimum import Best, descend, minimise
from cuvee.search.pareto import ParetoPoint, pareto_front
from cuvee.search.utilimax import utilimax, utilities_of

__all__ = [
    "Baseline",
    "Best",
    "Guard",
    "Objective",
    "ParetoPoint",
    "baselines",
    "descend",
    "minimise",
    "pareto_front",
    "proportional",
    "uniform",
    "unimax",
    "utilimax",
    "utilities_of",
]
