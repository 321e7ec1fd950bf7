"""What a study asks of the runs of its trainer."""

import math

from cuvee.question.question import Question
from cuvee.runs.metric_names import NATS
from cuvee.study.file.config import StudyConfig


def question_of(config: StudyConfig, available: dict[str, int]) -> Question:
    """Target, limits and target run of a study, as a question about a table of runs.

    Args:
        config: of the study.
        available: tokens of each source at the target run.
    """
    target = config.target_run
    return Question(
        weights=_weights(config),
        minimum=config.limits.minimum,
        maximum=config.limits.maximum,
        ratios=config.limits.ratios,
        tokens=available,
        target_tokens=float(target.tokens) if target.tokens is not None else math.nan,
        max_epochs=target.max_epochs if target.tokens is not None else math.nan,
        seed=config.seed,
    )


def _weights(config: StudyConfig) -> dict[str, float]:
    """Of metrics: of those that cuvee measures by evaluation, of a trainer's own by the names it gives."""
    if config.trainer.returns == "model":
        return {NATS + name: weight for name, weight in config.target_weights.items() if weight > 0}
    return dict(config.trainer.target or config.target.weights)
