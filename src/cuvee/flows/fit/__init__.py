"""From a table of runs to a mixture: the flow of ``cuvee fit`` and ``cuvee optimise``.

runs = read_runs([Path("runs.csv")], {})
answer = decide(runs.observations, checked_directions(runs, Question()), table=runs.name)
"""

from cuvee.decisions.fit.decision import LawDecision
from cuvee.flows.fit.flow import FitResult, decide

__all__ = ["FitResult", "LawDecision", "decide"]
