"""Measuring models: likelihood, many merges at once, paired differences, ensembles, optima of proxies."""

from cuvee.evaluation.averaging_bonus import averaging_bonus, noise_penalty
from cuvee.evaluation.descent import merge_optimum
from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.gradient import MergeGradient, merge_gradient
from cuvee.evaluation.learning_curves import LearningCurves
from cuvee.evaluation.likelihood import Evaluator
from cuvee.evaluation.paired import Paired, compare, standard_errors
from cuvee.evaluation.race import completed, part_windows, survivors
from cuvee.evaluation.scores import Documents, Scores
from cuvee.evaluation.scoring import iterate_scores, score_members, score_merges, weights_of
from cuvee.mixture.mirror_descent import Optimum, mirror_descent

__all__ = [
    "Documents",
    "Ensemble",
    "Evaluator",
    "LearningCurves",
    "MergeGradient",
    "Optimum",
    "Paired",
    "Scores",
    "averaging_bonus",
    "compare",
    "completed",
    "iterate_scores",
    "merge_gradient",
    "merge_optimum",
    "mirror_descent",
    "noise_penalty",
    "part_windows",
    "score_members",
    "score_merges",
    "standard_errors",
    "survivors",
    "weights_of",
]
