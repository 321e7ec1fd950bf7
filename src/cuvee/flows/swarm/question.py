"""What a study asks of the runs of its trainer."""

import math

from cuvee.errors import ConfigError
from cuvee.question.question import Question
from cuvee.question.said_directions import meant_by
from cuvee.question.wording import TRAINER_KEYS
from cuvee.runs.formats.direction import may_be_score, named_direction, tells_change
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
    """Metrics of the trainer's own that must count and say nothing of their direction, and the key that names
    each.

    One that is called by an evaluation is a loss where its values may be, unless its name speaks against it.
    """
    trainer = config.trainer
    if trainer.returns == "model":
        return {}
    if trainer.target:
        return {name: "trainer.target" for name, weight in trainer.target.items() if weight > 0}
    weights = trainer_weights(config)
    key = "target.weights" if weights else "trainer.metrics"
    named = [name for name, weight in weights.items() if weight > 0] or trainer.metrics
    texts = [name for name in config.evaluation_names if name in named and name not in config.sources]
    return {name: key for name in texts if no_target(name) or may_be_score(name) or tells_change(name)}
