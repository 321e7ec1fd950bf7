"""Direction: whether a metric is better lower or higher, only as far as it is known.

Laws lower what is asked of them, so a wrong direction turns an answer around. Nothing is guessed: a
metric is known by the file that holds it, by the definition of a format, or by an unmistakable word in
its name. Every other metric stays unknown, and the user is asked.
"""

import re
from dataclasses import dataclass
from typing import Literal

from cuvee.runs.formats.task_units import known_unit

Direction = Literal["lower", "higher"]

LOWER_WORDS = frozenset(
    {"loss", "nll", "bpb", "perplexity", "ppl", "bits per byte", "nats per token", "cross entropy"}
    | {"losses", "error rate", "wer", "cer", "mse", "rmse", "mae", "brier"}
)
HIGHER_WORDS = frozenset(
    {"acc", "accuracy", "exact match", "em", "f1", "win rate", "winrate", "win", "wins", "elo", "reward"}
    | {"rewards", "bleu", "sacrebleu", "rouge", "chrf", "chr f", "meteor", "bertscore", "auc", "auroc", "mcc"}
    | {"precision", "recall", "ndcg", "mrr"}
)
BENCHMARKS = frozenset(
    {"arc", "boolq", "copa", "csqa", "gsm8k", "hellaswag", "humaneval", "mbpp", "mmlu", "naturalqs"}
    | {"openbookqa", "obqa", "piqa", "race", "sciq", "siqa", "socialiqa", "squad", "triviaqa", "winogrande"}
    | {"bbh", "gpqa", "ifeval", "math500", "drop", "truthfulqa", "agieval", "ceval", "cmmlu", "alpacaeval"}
)
"""Names of benchmarks that are mostly given as accuracies."""
SCORE_WORDS = frozenset(
    {"score", "scores", "rating", "quality", "grade", "rank", "points", "utility", "preference", "pass"}
)
"""Words of what is mostly better when higher, but not always: no loss by definition, and no direction."""
CONFIDENCE = frozenset({"ci", "ci90", "ci95", "ci99", "halfwidth"})
"""Words of the width or the ends of an interval."""
# What has one of these beside it is not the loss or the accuracy itself.
_CHANGE_WORDS = frozenset(
    {"gain", "gains", "decrease", "increase", "delta", "diff", "difference", "change", "improvement"}
    | {"reduction", "neg", "negative", "inverse", "stderr", "std", "var", "variance", "rank", "ratio"}
    | CONFIDENCE
    | {"scale", "weight", "coef", "spike", "spikes", "multiplier", "factor", "fn", "function", "type"}
)
_CHANGE_ENDING = "drop"
_LOWER_ENDINGS = ("crossentropy", "crossentropyloss")
_PASS_AT = re.compile(r"\bpass ?(@|at|\^) ?(\d|k\b)")
_PARTS = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|[@^]|\d+")


@dataclass(frozen=True)
class KnownDirection:
    """A direction, and why it is known."""

    direction: Direction
    reason: str
    """A short clause, such as ``the name says loss``."""


def tells_change(name: str) -> bool:
    """Whether a name is that of a change or a spread, whose direction no word in it can give."""
    words = words_of(name)
    return any(word in _CHANGE_WORDS or word.endswith(_CHANGE_ENDING) for word in words)


def may_be_score(name: str) -> bool:
    """Whether a name is that of a benchmark or a score, which no format may take for a loss."""
    words = {word.rstrip("0123456789") for word in words_of(name)} | set(words_of(name))
    return bool(words & (BENCHMARKS | SCORE_WORDS))


def named_direction(name: str) -> KnownDirection | None:
    """The direction that a metric's name gives; none where its words give none, or both."""
    if known := known_unit(name):  # the task behind it may be called race or drop
        return KnownDirection(known, f"the name says {name.partition('/')[0]}")
    words = words_of(name)
    if tells_change(name):
        return None
    bare = [word.rstrip("0123456789") or word for word in words]  # bleu4 is a bleu, but f1 no f
    pairs = [
        " ".join(ones[i : i + n])
        for ones in (words, bare)
        for n in (1, 2, 3)
        for i in range(len(ones) - n + 1)
    ]
    lower = [word for word in pairs if word in LOWER_WORDS or word.endswith(_LOWER_ENDINGS)]
    higher = [word for word in pairs if word in HIGHER_WORDS]
    if match := _PASS_AT.search(" ".join(words)):
        higher.append(match.group().replace(" ", ""))
    if bool(lower) == bool(higher):
        return None
    if lower:
        return KnownDirection("lower", f"the name says {lower[0]}")
    return KnownDirection("higher", f"the name says {higher[0]}")


def words_of(name: str) -> list[str]:
    """The words of a name in small letters: ``valLoss/web_2`` has val, loss, web and 2."""
    return [word.lower() for word in _PARTS.findall(name)]
