"""Sections: which parts of a study file somebody has written, and what they are for."""

from pathlib import Path

from cuvee.study.file.folder import CONFIG_NAME
from cuvee.yaml_file import read_yaml

OF_OWN_MODELS = frozenset(
    {"model", "seed_training", "branch_training", "merging", "references", "candidates", "check", "order"}
    | {"scale", "search", "downstream", "estimand", "averaging_bonus"}
)
"""Keys that are of use to studies alone that train models of their own, and to searches."""


def is_trainer_alone(root: Path) -> bool:
    """Whether the study file in a folder has a trainer's command, and nothing of what ``cuvee run`` makes."""
    written = read_yaml(root / CONFIG_NAME)
    trainer = written.get("trainer")
    commanded = isinstance(trainer, dict) and bool(trainer.get("command"))
    return commanded and not OF_OWN_MODELS & set(written)
