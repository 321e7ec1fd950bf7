"""What a study asks of the runs of its trainer."""

import math

from cuvee.errors import ConfigError
from cuvee.question.question import Question
from cuvee.question.said_directions import meant_by
from cuvee.question.wording import TRAINER_KEYS
from cuvee.runs.formats.direction import named_direction
from cuvee.runs.formats.purpose import no_target
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
    said = (*config.trainer.lower, *config.trainer.higher)
    for name, key in _asked_by_name(config).items():
        if named_direction(name) is None and not any(meant_by(one, [name]) for one in said):
            raise ConfigError(
                f"{key}: whether {name!r} is better lower or higher does not follow from its name; "
                f"{TRAINER_KEYS.direction(name)}"
            )


def _asked_by_name(config: StudyConfig) -> dict[str, str]:
    """Metrics of the trainer's own that must count, and the key that names each; without a target those of an
    evaluation that is called as counters are, which no values can then make a loss."""
    trainer = config.trainer
    if trainer.returns == "model":
        return {}
    if weights := trainer_weights(config):
        key = "trainer.target" if trainer.target else "target.weights"
        return {name: key for name, weight in weights.items() if weight > 0}
    texts = [name for name in config.evaluation_names if name not in config.sources]
    counters = [name for name in texts if name in trainer.metrics and no_target(name)]
    return dict.fromkeys(counters, "trainer.metrics")
