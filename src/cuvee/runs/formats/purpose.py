"""Purpose: which numbers of a run are no metrics to choose a mixture by, as their names say.

A loss on the run's own training stream falls by choosing easy text. Timers, rates, counters, settings and
spreads are beside the question. One list, by which readers, ``cuvee fit`` and ``cuvee doctor`` know them.
"""

import re
from collections.abc import Collection

from cuvee.runs.formats.direction import CONFIDENCE, LOWER_WORDS, named_direction, words_of

TRAINING = "a value on the training stream, which falls by choosing easy text"
TIMER = "a time"
RATE = "a rate"
COUNTER = "a counter"
RESOURCE = "what the machine did"
SETTING = "a setting"
SPREAD = "a spread"

_TRAIN = frozenset({"train", "training", "trn", "trainer", "minibatch"})
_HELD_OUT = frozenset(
    {"val", "valid", "validation", "eval", "evals", "evaluation", "test", "dev", "heldout", "downstream"}
)
_WORDS: dict[str, frozenset[str]] = {
    TIMER: frozenset(
        {"runtime", "time", "timing", "timestamp", "timers", "elapsed", "duration", "latency", "walltime"}
        | {"wallclock", "clock", "seconds", "secs", "minutes", "mins", "hours", "eta", "timings"}
    ),
    RATE: frozenset(
        {
            "throughput",
            "perf",
            "tps",
            "wps",
            "qps",
            "mfu",
            "hfu",
            "speed",
            "bandwidth",
            "utilization",
            "utilisation",
        }
    ),
    COUNTER: frozenset(
        {"epoch", "epochs", "step", "steps", "iteration", "iterations", "iter", "iters", "timestamp", "index"}
        | {
            "idx",
            "id",
            "row",
            "rank",
            "seed",
            "tokens",
            "samples",
            "examples",
            "documents",
            "docs",
            "batches",
        }
        | {"count", "counts", "counter", "progress", "checkpoint"}
    ),
    RESOURCE: frozenset(
        {
            "system",
            "flops",
            "flop",
            "flos",
            "tflops",
            "gflops",
            "memory",
            "mem",
            "vram",
            "gpu",
            "gpus",
            "cpu",
            "watts",
        }
        | {"power", "energy", "kwh", "temperature", "gib", "mib", "gb", "mb", "cost", "price", "usd"}
    ),
    SETTING: frozenset(
        {
            "lr",
            "wd",
            "optim",
            "optimizer",
            "warmup",
            "batchsize",
            "size",
            "interval",
            "freq",
            "frequency",
            "every",
            "params",
        }
        | {"parameters", "layers", "heads", "dim", "gradnorm", "grad", "gradient", "dropout", "decay"}
    ),
    SPREAD: frozenset({"stderr", "std", "stddev", "stdev", "variance", "var", "sem", *CONFIDENCE}),
}
_SHORT = frozenset({"s", "ms", "sec", "hr", "hrs", "h", "min"})
"""Units of time that may as well be names of sources: believed at the end of a name without a direction."""
_PER_TIME = re.compile(r"\bper (s|sec|second|seconds|minute|min|hour|h|day|step|gpu|device|watt)\b")
_SETTINGS = ("learning rate", "batch size", "weight decay", "grad norm", "param norm", "loss scale")
_HOW_MANY = frozenset({"num", "n", "total", "count", "counts", "number", "seen", "of", "per"})
"""Words before the name of a text that make a number of it: ``num_docs`` counts, whatever ``docs`` is."""
_OF_A_LOSS = frozenset({"tokens", "count", "counts", "counter"})
"""What counts even behind a word for a loss."""
_SEPARATOR = re.compile(r"[/.:]")


def no_target(name: str, texts: Collection[str] = ()) -> str:
    """Why a metric of this name is nothing to choose a mixture by; empty where it may be.

    The words behind the last separator decide, since those before it often name a group or a text: an
    evaluation on ``new_york_times`` is a loss, ``eval/total_time`` is none.

    Args:
        name: of the metric.
        texts: names of sources and evaluations: a metric that bears one alone is a measure of it, and one
            that ends with it no counter.
    """
    parts = [words for part in _SEPARATOR.split(name) if (words := words_of(part))]
    if not parts or name in texts:
        return ""
    why = _counted(parts, bool(named_direction(name)))
    if why == COUNTER and (_behind_loss(parts[-1]) or any(_ends_with(name, text) for text in texts)):
        why = ""
    return why or (TRAINING if _on_training(parts) else "")


def _behind_loss(words: list[str]) -> bool:
    """Whether the last word stands behind one for a loss: ``eval_loss_docs`` is one on a text called docs."""
    return words[-1] not in _OF_A_LOSS and any(" ".join(words[-1 - n : -1]) in LOWER_WORDS for n in (1, 2, 3))


def _ends_with(name: str, text: str) -> bool:
    words, end = words_of(name), words_of(text)
    before = words[: -len(end)]
    return bool(end) and words[-len(end) :] == end and not (before and before[-1] in _HOW_MANY)


def _on_training(parts: list[list[str]]) -> bool:
    places = [set(parts[-1]) & (_TRAIN | _HELD_OUT), {word for part in parts for word in part}]
    words = next((one for one in places if one & (_TRAIN | _HELD_OUT)), set())
    return bool(words & _TRAIN) and not words & _HELD_OUT


def _counted(parts: list[list[str]], known: bool) -> str:
    """The kind of number that the last part names: a time, a rate, a counter, ...

    Args:
        parts: the words of each part of the name.
        known: the name says whether lower is better, as names of losses and accuracies do.
    """
    last = parts[-1]
    spoken = " ".join(last)
    if _PER_TIME.search(spoken):
        return RATE
    if any(setting in spoken for setting in _SETTINGS):
        return SETTING
    if not known or len(last) > 1:  # loss/index is a loss on a text called index
        for kind, words in _WORDS.items():
            if last[-1] in words:
                return kind
    if known:
        return ""
    if last[-1] in _SHORT or spoken.startswith("time per"):
        return TIMER
    kinds = [kind for word in last for kind, words in _WORDS.items() if word in words]
    if len(kinds) > 1:
        return kinds[0]
    # Longer names rather name a text or a task, such as time_travel_stories.
    inside = [*last[:-1], *parts[0]] if len(last) <= 2 else parts[0] if len(parts) > 1 else []
    return next((kind for kind, words in _WORDS.items() if words & set(inside)), "")
