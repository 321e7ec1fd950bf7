"""Selection: which documents to keep under a token budget, by their values.

Documents are taken in the order of their values until the budget is spent; one that does not fit any more is
left out. At a ``temperature`` t they are drawn without replacement with odds exp(value / t) instead (Gumbel
top-k, as DSIR does with log importance weights at 1, and density sampling with minus the log of the density).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import BoolArray, FloatArray, IntArray
from cuvee.valuation.document_table import DocumentTable

Diversify = Callable[[IntArray, int], IntArray]
"""From rows in the order of their values and a number of documents to as many of them, spread out."""


@dataclass(frozen=True, eq=False)
class Selection:
    """Documents that are kept."""

    documents: DocumentTable = field(repr=False)
    """The pool."""
    rows: IntArray = field(repr=False)
    """Which of them, best first; one that is repeated stands as often as it is read [k]."""
    budget_tokens: int

    @property
    def tokens(self) -> int:
        """Of all that is kept, repetitions counted."""
        return int(self.documents.length[self.rows].sum())

    @property
    def shares(self) -> FloatArray:
        """Of the tokens, by source [S]."""
        lengths = self.documents.length[self.rows].astype(np.float64)
        by_source = np.bincount(
            self.documents.source[self.rows], weights=lengths, minlength=len(self.documents.sources)
        )
        result: FloatArray = by_source / by_source.sum()
        return result


def select(
    values: FloatArray,
    documents: DocumentTable,
    budget_tokens: int,
    *,
    dropped: BoolArray | None = None,
    gate: float = 0.0,
    diversify: Diversify | None = None,
    max_epochs: int = 1,
    temperature: float = 0.0,
    seed: int = 0,
) -> Selection:
    """Keep the best documents under a budget.

    Args:
        values: of each document [n], higher = keep; documents without a value (NaN) are never kept.
        documents: n documents.
        budget_tokens: at most so many are kept.
        dropped: documents that are left out whatever their value [n]: duplicates, for one.
        gate: share of the documents, those of the lowest values, that are never kept, in [0, 1).
        diversify: picks among what passes the gate; None takes the best.
        max_epochs: how often the same document may be kept, where the budget is larger than what there is.
        temperature: 0 takes the best; see the head of this file.
        seed: of what is drawn.

    Raises:
        ConfigError: an argument is out of range, or nothing fits into the budget.
    """
    _check(values, documents, budget_tokens, gate, max_epochs, temperature)
    allowed = np.isfinite(values) & (True if dropped is None else ~dropped)
    order = _order(values, np.flatnonzero(allowed), temperature, seed)
    order = order[: len(order) - int(gate * len(order))]
    if diversify is not None and len(order):
        order = diversify(order, _count(documents, order, budget_tokens))
    rows = _within(np.tile(order, max_epochs), documents.length, budget_tokens)
    if not len(rows):
        shortest = int(documents.length[order].min()) if len(order) else 0
        raise ConfigError(
            f"selection: no document fits into {budget_tokens:,} tokens; the shortest of {len(order)} has "
            f"{shortest:,}"
        )
    return Selection(documents, rows, budget_tokens)


def _check(
    values: FloatArray,
    documents: DocumentTable,
    budget: int,
    gate: float,
    max_epochs: int,
    temperature: float,
) -> None:
    if len(values) != len(documents):
        raise ConfigError(f"selection: {len(values)} values for {len(documents)} documents")
    if budget < 1:
        raise ConfigError(f"selection: the budget must be at least one token, not {budget}")
    if not 0.0 <= gate < 1.0:
        raise ConfigError(f"selection: gate must be in [0, 1), not {gate}")
    if max_epochs < 1:
        raise ConfigError(f"selection: max_epochs must be at least 1, not {max_epochs}")
    if not (temperature >= 0.0 and np.isfinite(temperature)):
        raise ConfigError(f"selection: temperature must be a number from 0 on, not {temperature}")
    if np.isinf(values).any():
        raise ConfigError("selection: a value is infinite")


def _order(values: FloatArray, rows: IntArray, temperature: float, seed: int) -> IntArray:
    """Rows, best first; equal values in the order of a seeded shuffle, not in that of the file."""
    rng = np.random.default_rng([seed, len(values)])
    shuffled = rows[rng.permutation(len(rows))]
    keys = values[shuffled]
    if temperature > 0.0:
        keys = keys / temperature + rng.gumbel(size=len(shuffled))
    result: IntArray = shuffled[np.argsort(-keys, kind="stable")]
    return result


def _count(documents: DocumentTable, order: IntArray, budget: int) -> int:
    """Documents that the budget pays for, were they of the mean length."""
    return min(len(order), max(1, round(budget / float(documents.length[order].mean()))))


def _within(rows: IntArray, lengths: IntArray, budget: int) -> IntArray:
    """Rows taken in order while they fit; one that does not is passed over, and shorter ones follow."""
    kept, left = [], budget
    shortest = int(lengths[rows].min()) if len(rows) else 0
    for row in rows:
        if left < shortest:
            break
        if lengths[row] <= left:
            kept.append(row)
            left -= int(lengths[row])
    return np.array(kept, dtype=np.int64)
