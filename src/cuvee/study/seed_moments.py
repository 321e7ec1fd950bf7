"""Whether the seed model of a study leaves Adam's second moment, in whose metric some documents are valued.

It is known from the study file, so a method that needs it is refused, or another is the default, before any
text is read.
"""

from collections.abc import Iterable

from cuvee.errors import ConfigError
from cuvee.study.file.config import StudyConfig
from cuvee.training.recipe import ADAMW
from cuvee.valuation.methods.forward_inf import ForwardInf
from cuvee.valuation.methods.registry import valuer_named

BY_DEFAULT = "forward_inf"
"""One gradient of the target and two passes over the text."""
WITHOUT_MOMENTS = "forward_inf_raw"
"""The same along the gradient as it is."""


def default_valuer(config: StudyConfig) -> str:
    """The method of valuation of a study that names none."""
    return WITHOUT_MOMENTS if no_moments(config) else BY_DEFAULT


def check_valuers(config: StudyConfig, names: Iterable[str], key: str = "--method") -> None:
    """Refuse methods that need what the seed model does not leave.

    Args:
        config: of the study.
        names: rows of ``VALUERS``.
        key: where they are named, for messages.

    Raises:
        ConfigError: there is no such method, or it needs moments that are not there.
    """
    why = no_moments(config)
    for name in names:
        valuer = valuer_named(name)
        if why and isinstance(valuer, ForwardInf) and valuer.needs_moments:
            raise ConfigError(
                f"{key} {name}: needs the second moment that AdamW leaves behind, and {why}; say "
                f"{key} {WITHOUT_MOMENTS}"
            )


def no_moments(config: StudyConfig) -> str:
    """Why there is no second moment, with the key that decides it; empty where there is one."""
    reference = config.reference_training
    if not config.seed_training.tokens:
        return "the model of model.folder comes without it (seed_training.tokens: 0)"
    for section in ("seed_training", "reference_training"):
        if (optimizer := getattr(config, section).optimizer) != ADAMW:
            return f"{section}.optimizer is {optimizer}, which keeps none"
    if reference.optimizer_state == "fresh":
        return "reference_training.optimizer_state is fresh, which drops it"
    if config.model.adapters is not None and config.model.adapters.references:
        return "model.adapters.references is true, and adapters begin without it"
    return ""
