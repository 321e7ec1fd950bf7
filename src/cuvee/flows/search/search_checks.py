"""What a search by a trainer of the user's can be refused for before any text is read."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from cuvee.errors import ConfigError
from cuvee.runs.formats.direction import KnownDirection, named_direction
from cuvee.study.file.config import StudyConfig
from cuvee.study.trainer_runs import check_trainer, counting


def check_search(config: StudyConfig, emit: Path | None = None) -> None:
    """What can be refused before any text is read.

    Raises:
        ConfigError: the study asks its trainer for experiments that this cannot make, or for none.
    """
    if not config.search.trainer_tokens:
        if emit is not None:
            raise ConfigError("--emit writes runs of your own trainer: give search.trainer_tokens, too")
        return
    check_trainer(config, counting(config))
    _check_losses(config)
    if config.trainer.parameters is None:
        raise ConfigError("trainer.parameters: say how many; a search weighs its experiments by their FLOPs")
    if config.search.document_values or config.search.method == "duet":
        raise ConfigError("search.document_values: documents cannot be chosen for a trainer of your own")


def _check_losses(config: StudyConfig) -> None:
    """Raises: ConfigError where what counts is better when higher: a search lowers losses."""
    trainer = config.trainer
    if trainer.returns == "model":
        return
    for name in counting(config):
        known = None if _is_any(name, trainer.lower) else named_direction(name)
        if _is_any(name, trainer.higher):
            known = KnownDirection("higher", "trainer.higher names it")
        if known is not None and known.direction == "higher":
            raise ConfigError(
                f"search.trainer_tokens: {name!r} counts in the target and is better when higher "
                f"({known.reason}); a search lowers losses. If it is a loss, trainer.lower can say so; else "
                "have the trainer write a loss by that name, or use `cuvee swarm`, which knows both "
                "directions"
            )


def _is_any(name: str, patterns: Sequence[str]) -> bool:
    return any(name == one or fnmatchcase(name, one) for one in patterns)
