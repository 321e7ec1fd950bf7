"""Measuring models: likelihood, many merges at once, paired differences, ensembles, optima of proxies."""

from cuvee.evaluation.averaging_bonus import averaging_bonus, noise_penalty
from cuvee.evaluation.descent import MergeLoss
from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.gradient import merge_gradient
from cuvee.evaluation.learning_curves import LearningCurves
from cuvee.evaluation.likelihood import Evaluator
from cuvee.evaluation.paired import Paired, compare, standard_errors
from cuvee.evaluation.race import completed, part_windows, survivors
from cuvee.evaluation.scores import Documents, Scores
from cuvee.evaluation.scoring import score_merges
from cuvee.evaluation.signal_to_noise import SignalToNoise
from cuvee.evaluation.task_scores import TaskScores, TaskShape
from cuvee.mixture.mirror_descent import Optimum, mirror_descent

__all__ = [
    "Documents",
    "Ensemble",
    "Evaluator",
    "LearningCurves",
    "MergeLoss",
    "Optimum",
    "Paired",
    "Scores",
    "SignalToNoise",
    "TaskScores",
    "TaskShape",
    "averaging_bonus",
    "compare",
    "completed",
    "merge_gradient",
    "mirror_descent",
    "noise_penalty",
    "part_windows",
    "score_merges",
    "standard_errors",
    "survivors",
]
