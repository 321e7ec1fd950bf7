"""Racing merges: few tokens for many, all tokens for the best.

One rung of successive halving (Jamieson & Talwalkar, https://arxiv.org/abs/1502.07943). Every merge is scored
on a part of the windows; those that look best are scored on the rest. What the part lacks is known of the
*ensemble*, which costs next to nothing on all tokens, so a merge's loss there is the ensemble's plus the
difference of the two on the part (the difference estimator; Cochran, Sampling Techniques, 3rd ed., ch. 7).
Merge and ensemble differ far less from token to token than either varies, so an eighth of the tokens shows
nearly as much as all.
"""

import numpy as np

from cuvee.evaluation.likelihood import Evaluator
from cuvee.evaluation.scores import Scores
from cuvee.types import FloatArray, IntArray

PART = 8
"""One window of so many is in the part."""
SURVIVORS = 0.125
"""Part of the mixtures that is scored on all tokens."""


def part_windows(evaluator: Evaluator) -> IntArray:
    """The windows of the part: every ``PART``-th of each evaluation, one at least."""
    of = evaluator.window_evaluation
    chosen = [
        np.flatnonzero(of == position)[::PART] for position in range(len(evaluator.documents.evaluations))
    ]
    return np.sort(np.concatenate(chosen))


def completed(part: Scores, control_part: Scores, control: Scores) -> Scores:
    """Estimated scores on all tokens of models that were scored on a part.

    Args:
        part: of the models, on the part [..., D].
        control_part: of what stands for each of them, on the same part [..., D].
        control: the same on all tokens [..., D].

    Returns:
        Nats [..., D] of all documents. Their mean over an evaluation is unbiased; those of a single document
        are not.
    """
    ratio = control.documents.evaluation_tokens / part.documents.evaluation_tokens
    missed = part.nats - control_part.nats
    return Scores(control.documents, control.nats + missed * ratio[control.documents.evaluation])


def survivors(losses: FloatArray) -> IntArray:
    """The mixtures [<= M] to be scored on all tokens, the best first, by estimated losses [M]."""
    return np.argsort(losses, kind="stable")[: max(1, int(np.ceil(SURVIVORS * len(losses))))]
