"""Metrics of downstream tasks as studies name them, ``acc/arc_easy``, and their directions.

The unit before the slash gives the direction; the name of the task says nothing of it (``race``, ``drop``).
"""

from typing import Literal

BITS_PER_BYTE = "bits_per_byte"
"""Of the right answers of a task, or of its texts; the one metric of tasks that decides."""
ACCURACIES = ("acc", "acc_norm", "acc_bytes")
"""Of tasks with choices: better when higher."""
PERPLEXITIES = ("perplexity", "byte_perplexity", "word_perplexity")
_LOWER = ("nats_per_token", BITS_PER_BYTE, *PERPLEXITIES)


def of_task(metric: str, task: str) -> str:
    """The name of a metric of a downstream task."""
    return f"{metric}/{task}"


def known_unit(name: str) -> Literal["lower", "higher"] | None:
    """The direction that the unit before the slash gives; None for a unit that is not of studies."""
    unit, slash, _ = name.partition("/")
    if not slash:
        return None
    if unit in ACCURACIES:
        return "higher"
    return "lower" if unit in _LOWER else None
