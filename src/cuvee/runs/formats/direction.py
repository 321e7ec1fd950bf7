"""Direction: whether a metric is better lower or higher, only as far as it is known (floor 3).

Laws lower what is asked of them, so a wrong direction turns an answer around. Nothing is guessed: a
metric is known by the file that holds it, by the definition of a format, or by an unmistakable word in
its name. Every other metric stays unknown, and the user is asked.
"""

import re
from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower", "higher"]

LOWER_WORDS = frozenset(
    {"loss", "nll", "bpb", "perplexity", "ppl", "bits per byte", "nats per token", "cross entropy"}
)
HIGHER_WORDS = frozenset({"acc", "accuracy", "exact match", "f1", "win rate", "winrate"})
# What has one of these beside it is not the loss or the accuracy itself.
_CHANGE_WORDS = frozenset(
    {"gain", "gains", "decrease", "increase", "delta", "diff", "difference", "change", "improvement"}
    | {"reduction", "neg", "negative", "inverse", "stderr", "std", "var", "variance", "rank", "ratio"}
    | {"scale", "weight", "coef", "spike", "spikes", "multiplier", "factor", "fn", "function", "type"}
)
_CHANGE_ENDING = "drop"
_PASS_AT = re.compile(r"\bpass ?(@|at) ?\d")
_PARTS = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|@|\d+")


@dataclass(frozen=True)
class Known:
    """A direction, and why it is known."""

    direction: Direction
    reason: str
    """A short clause, such as ``the name says loss``."""


def tells_change(name: str) -> bool:
    """Whether a name is that of a change or a spread, whose direction no word in it can tell."""
    words = _words(name)
    return any(word in _CHANGE_WORDS or word.endswith(_CHANGE_ENDING) for word in words)


def named_direction(name: str) -> Known | None:
    """What the words of a metric's name tell; none where they tell nothing, or both."""
    words = _words(name)
    if tells_change(name):
        return None
    pairs = [" ".join(words[i : i + n]) for n in (1, 2, 3) for i in range(len(words) - n + 1)]
    lower = [word for word in pairs if word in LOWER_WORDS]
    higher = [word for word in pairs if word in HIGHER_WORDS]
    if match := _PASS_AT.search(" ".join(words)):
        higher.append(match.group().replace(" ", ""))
    if bool(lower) == bool(higher):
        return None
    if lower:
        return Known("lower", f"the name says {lower[0]}")
    return Known("higher", f"the name says {higher[0]}")


def _words(name: str) -> list[str]:
    return [word.lower() for word in _PARTS.findall(name)]
