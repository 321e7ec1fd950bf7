"""A finished study, or a fit, opened from Python: ``cuvee.open``."""

from cuvee.notebook.law import FittedToRuns, Predicted
from cuvee.notebook.opened import Opened
from cuvee.notebook.opened_fit import OpenedFit
from cuvee.notebook.opened_study import OpenedStudy
from cuvee.notebook.opening import open
from cuvee.notebook.score_sheet import ScoreSheet

__all__ = ["FittedToRuns", "Opened", "OpenedFit", "OpenedStudy", "Predicted", "ScoreSheet", "open"]
