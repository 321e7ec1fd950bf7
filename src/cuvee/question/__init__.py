"""What is asked of a table of runs: which runs, which metrics, which mixtures may be chosen.

runs = read_runs([Path("runs.csv")], where={})
question = checked_directions(runs, Question(maximum={"web": 0.5}))
"""

from cuvee.question.question import Question
from cuvee.question.runs import Runs, checked_directions, read_runs

__all__ = ["Question", "Runs", "checked_directions", "read_runs"]
