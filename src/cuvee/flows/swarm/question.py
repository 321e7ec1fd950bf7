"""What a study asks of the runs of its trainer."""

import math

from cuvee.question.question import Question
from cuvee.study.file.config import StudyConfig
from cuvee.study.plan.commanded_run import trainer_weights


def question_of(config: StudyConfig, available: dict[str, int]) -> Question:
    """Target, limits and target run of a study, as a question about a table of runs.

    Args:
        config: of the study.
        available: tokens of each source at the target run.
    """
    target = config.target_run
    return Question(
        weights=trainer_weights(config),
        minimum=config.limits.minimum,
        maximum=config.limits.maximum,
        ratios=config.limits.ratios,
        tokens=available,
        target_tokens=float(target.tokens) if target.tokens is not None else math.nan,
        max_epochs=target.max_epochs if target.tokens is not None else math.nan,
        seed=config.seed,
    )
