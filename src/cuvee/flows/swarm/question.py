"""What a study asks of the runs of its trainer."""

import math

from cuvee.errors import ConfigError
from cuvee.question.question import Question
from cuvee.question.said_directions import meant_by
from cuvee.question.wording import TRAINER_KEYS
from cuvee.runs.formats.direction import named_direction
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


def check_directions(config: StudyConfig) -> None:
    """Refuse a target whose directions nothing gives, before anything is trained for it.

    Raises:
        ConfigError: neither the name of a metric nor the study file says whether lower is better.
    """
    trainer = config.trainer
    weights = trainer_weights(config) if trainer.returns == "metrics" else {}
    said = (*trainer.lower, *trainer.higher)
    for name in (one for one, weight in weights.items() if weight > 0):
        if named_direction(name) is None and not any(meant_by(one, [name]) for one in said):
            key = "trainer.target" if trainer.target else "target.weights"
            raise ConfigError(
                f"{key}: whether {name!r} is better lower or higher does not follow from its name; "
                f"{TRAINER_KEYS.direction(name)}"
            )
