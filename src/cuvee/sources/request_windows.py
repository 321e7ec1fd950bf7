"""Windows of the requests of a task, in which nothing but their continuations is scored (sources).

They are cut as lm-evaluation-harness cuts with the ``max_length`` of the window: what is too long loses its
beginning, and texts fill windows whose predictions do not overlap. Each request has windows of its own, so
that none sees another; the rest of a window is padding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.hashing import digest
from cuvee.sources.evaluation_set import HALVES, PADDING, EvaluationSet, Half
from cuvee.sources.task_tokens import Pair, TaskTokens, TokenizedItem


@dataclass(frozen=True)
class Cut:
    """Which windows of a task are made, and how."""

    context_length: int
    """T."""
    half: Half | None = None
    """Which questions, every other one; None takes all. A single one is in both halves."""
    right_alone: bool = False
    """The right answers alone."""

    def items(self, tokens: TaskTokens) -> Sequence[TokenizedItem]:
        """The questions of the half."""
        if self.half is None or len(tokens.items) < len(HALVES):
            return tokens.items
        return tokens.items[HALVES.index(self.half) :: len(HALVES)]


def request_windows(name: str, tokens: TaskTokens, cut: Cut, tokenizer: str) -> EvaluationSet:
    """The windows of a task as an evaluation, whose documents are the continuations one after the other.

    Args:
        name: of the evaluation.
        tokens: what is asked.
        cut: which windows.
        tokenizer: hash of the tokenizer by which other evaluations are known.

    Raises:
        ConfigError: a continuation is longer than a window.
    """
    asked = list(_asked(tokens, cut))
    length, rolling = cut.context_length, tokens.kind == "rolling"
    if not rolling and (longest := max(len(after) for (_, after), _ in asked)) > length:
        raise ConfigError(
            f"downstream task '{name}': an answer of {longest} tokens does not fit into "
            f"model.context_length {length}; leave the task out, or raise it"
        )
    rows = [
        (owner, *pair)
        for owner, (whole, _) in enumerate(asked)
        for pair in (_rolling(*whole, length) if rolling else (whole,))
    ]
    inputs = np.full((len(rows), length), tokens.prefix, dtype=np.int64)
    targets, document = inputs.copy(), np.full(inputs.shape, PADDING, dtype=np.int32)
    for row, (owner, before, after) in enumerate(rows):
        read = (before + after)[-(length + 1) :]
        last = len(read) - 1
        inputs[row, :last], targets[row, :last] = read[:-1], read[1:]
        document[row, last - len(after) : last] = owner
    key = digest({"task": tokens.key, "cut": [cut.context_length, cut.half, cut.right_alone]})
    sizes = np.array([size for _, size in asked], dtype=np.float64)
    return EvaluationSet(name, tokenizer, key, inputs, targets, document, sizes)


def too_long(tokens: TaskTokens, context_length: int) -> int:
    """Questions of which a request is cut at its beginning to fit into a window."""
    if tokens.kind == "rolling":
        return 0
    return sum(
        any(len(before) + len(after) > context_length + 1 for before, after in item.pairs)
        for item in tokens.items
    )


def _asked(tokens: TaskTokens, cut: Cut) -> Iterator[tuple[Pair, int]]:
    """Every request with its bytes."""
    for item in cut.items(tokens):
        places = [item.first] if cut.right_alone else range(len(item.pairs))
        yield from ((item.pairs[place], item.bytes[place]) for place in places)


def _rolling(prefix: list[int], tokens: list[int], length: int) -> Iterator[Pair]:
    """Windows that are full where they can be, each predicting what the one before has left."""
    yield prefix, tokens[:length]
    for start in range(length, len(tokens), length):
        end = min(start + length, len(tokens))
        yield tokens[end - length - 1 : start], tokens[start:end]
