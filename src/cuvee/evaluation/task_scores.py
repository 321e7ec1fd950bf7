"""Metrics of downstream tasks, from the nats of all continuations.

Whatever has nats has metrics: a model, a merge in memory, an ensemble. The *bits per byte* of the right
answer move with every token that a model learns, and accuracies only where one choice overtakes another,
so the former decide sooner (Heineman et al. 2025, https://arxiv.org/abs/2508.13144). Accuracies and
perplexities are those of lm-evaluation-harness: ``acc`` takes the likeliest choice, ``acc_norm`` the
likeliest a character, ``acc_bytes`` a byte. Standard errors are those of the choice of questions; of
ratios by linearisation (Cochran, Sampling Techniques, 3rd ed., 6.4). Shapes: Q questions, R requests;
leading axes are models.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import log

import numpy as np

from cuvee.runs.formats.task_units import ACCURACIES, BITS_PER_BYTE
from cuvee.sources.task_requests import Kind, TaskRequests
from cuvee.types import FloatArray, IntArray

METRICS: dict[Kind, tuple[str, ...]] = {
    "choice": (BITS_PER_BYTE, *ACCURACIES),
    "answer": (BITS_PER_BYTE, "perplexity"),
    "rolling": (BITS_PER_BYTE, "byte_perplexity", "word_perplexity"),
}
"""What is measured on tasks of a kind; the first decides."""


@dataclass(frozen=True, eq=False)
class TaskShape:
    """Which requests belong to which question, and by what they are counted."""

    kind: Kind
    request: IntArray
    """Place of every choice among the requests [Q, C]; -1 where a question has fewer."""
    right: FloatArray
    """1 where a choice is right [Q, C]."""
    characters: FloatArray
    """[Q, C]; 1 where there is no choice."""
    bytes: FloatArray
    """[Q, C]; 1 where there is no choice."""
    first: IntArray
    """The choice whose bits are counted [Q]."""

    @classmethod
    def of(cls, requests: TaskRequests) -> "TaskShape":
        """Of requests that were scored in their order."""
        items = requests.items
        widest = max(len(one.requests) for one in items)
        table = np.full((len(items), widest), -1, dtype=np.int64)
        right, characters, sizes = np.zeros(table.shape), np.ones(table.shape), np.ones(table.shape)
        behind = 0
        for row, item in enumerate(items):
            count = len(item.requests)
            table[row, :count] = np.arange(behind, behind + count)
            right[row, list(item.gold)] = 1.0
            characters[row, :count], sizes[row, :count] = item.characters, item.bytes
            behind += count
        first = np.array([item.gold[0] for item in items], dtype=np.int64)
        return cls(requests.kind, table, right, characters, sizes, first)

    @property
    def chance(self) -> float:
        """The accuracy of blind guesses."""
        return float((self.right.sum(axis=1) / (self.request >= 0).sum(axis=1)).mean())


@dataclass(frozen=True, eq=False)
class TaskScores:
    """What models do on one task."""

    shape: TaskShape
    nats: FloatArray
    """-log p of every continuation [..., R]."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is measured."""
        return METRICS[self.shape.kind]

    @cached_property
    def items(self) -> Mapping[str, FloatArray]:
        """Metric -> what each question adds to it [..., Q]: 0 or 1, or the nats of the right answer."""
        found = {name: self._right_nats for name in self.metrics if name not in ACCURACIES}
        if self.shape.kind == "choice":
            one = np.ones_like(self.shape.bytes)
            lengths = dict(zip(ACCURACIES, (one, self.shape.characters, self.shape.bytes), strict=True))
            found |= {name: self._chosen_right(length) for name, length in lengths.items()}
        return found

    @property
    def means(self) -> dict[str, FloatArray]:
        """Metric -> its value [...]."""
        return {name: self._finished(name, self._ratio(name)) for name in self.metrics}

    @property
    def errors(self) -> dict[str, FloatArray]:
        """Metric -> its standard error [...]; infinite of a single question."""
        return {name: self._error(name) for name in self.metrics}

    @cached_property
    def _by_choice(self) -> FloatArray:
        """log p [..., Q, C]; minus infinity where there is no choice."""
        padded = np.concatenate([-self.nats, np.full((*self.nats.shape[:-1], 1), -np.inf)], axis=-1)
        return np.asarray(padded[..., self.shape.request])

    @property
    def _right_nats(self) -> FloatArray:
        questions = np.arange(len(self.shape.first))
        return np.asarray(-self._by_choice[..., questions, self.shape.first])

    def _chosen_right(self, lengths: FloatArray) -> FloatArray:
        chosen = np.argmax(self._by_choice / lengths, axis=-1)  # the first of equals, as the harness does
        return np.asarray(self.shape.right[np.arange(len(self.shape.first)), chosen])

    def contributions(self, metric: str) -> FloatArray:
        """What each question adds to a metric, scaled so that their mean is it [..., Q].

        Of ratios to first order about the mean of the models; of perplexities the logarithm.
        """
        counts, ratio = self._counts(metric), self._ratio(metric)
        about = np.mean(ratio)
        found = about + (self.items[metric] - about * counts) / counts.mean()
        return np.asarray(found / log(2) if metric == BITS_PER_BYTE else found)

    def _counts(self, metric: str) -> FloatArray:
        """By what a metric is divided, question by question [Q]."""
        questions = np.arange(len(self.shape.first))
        if metric in (BITS_PER_BYTE, "byte_perplexity"):
            return self.shape.bytes[questions, self.shape.first]
        if metric == "word_perplexity":
            return self.shape.characters[questions, self.shape.first]
        return np.ones(len(questions))

    def _ratio(self, metric: str) -> FloatArray:
        return np.asarray(self.items[metric].sum(axis=-1) / self._counts(metric).sum())

    @staticmethod
    def _finished(metric: str, ratio: FloatArray) -> FloatArray:
        if metric.endswith("perplexity"):
            return np.exp(ratio)
        return ratio / log(2) if metric == BITS_PER_BYTE else ratio

    def _error(self, metric: str) -> FloatArray:
        counts, ratio = self._counts(metric), self._ratio(metric)
        questions = len(counts)
        if questions == 1:
            return np.full(ratio.shape, np.inf)
        residual = self.items[metric] - ratio[..., None] * counts
        spread = np.square(residual).sum(axis=-1) * questions / (questions - 1)
        error = np.sqrt(spread) / counts.sum()
        if metric.endswith("perplexity"):
            return np.asarray(error * np.exp(ratio))
        return np.asarray(error / log(2) if metric == BITS_PER_BYTE else error)
