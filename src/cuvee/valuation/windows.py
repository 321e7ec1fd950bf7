"""Documents cut into windows that a model can read, one document a window (valuation).

The first token of a document is predicted from an end-of-text token, that of a later window from the token
before it. A document that is longer than ``most`` windows gives as many, evenly spread over it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from cuvee.types import IntArray
from cuvee.valuation.document_table import DocumentTable

_ROUND = 16  # batches are padded to a multiple of this, so that few shapes occur


@dataclass(frozen=True, eq=False)
class DocumentWindows:
    """W windows of T tokens."""

    inputs: IntArray = field(repr=False)
    """[W, T]; end-of-text tokens behind the end."""
    targets: IntArray = field(repr=False)
    """[W, T]; the same behind the end, where they count for nothing."""
    row: IntArray = field(repr=False)
    """The document of each window, as it was given [W]."""
    length: IntArray = field(repr=False)
    """Targets of each window that count [W]."""

    @classmethod
    def of(
        cls, documents: DocumentTable, rows: IntArray, context_length: int, most: int
    ) -> "DocumentWindows":
        """The windows of some documents, document by document.

        Args:
            documents: a table.
            rows: which of them.
            context_length: T.
            most: windows a document, at most.
        """
        pieces = [
            (int(row), start, min(context_length, int(documents.length[row]) - start))
            for row in rows
            for start in _starts(int(documents.length[row]), context_length, most)
        ]
        end = documents.tokenizer.end_of_text
        inputs, targets = (np.full((len(pieces), context_length), end, dtype=np.int64) for _ in range(2))
        for place, (row, start, length) in enumerate(pieces):
            tokens = documents.document(row)
            targets[place, :length] = tokens[start : start + length]
            first = max(1 - start, 0)
            inputs[place, first:length] = tokens[start + first - 1 : start + length - 1]
        columns = np.array(pieces, dtype=np.int64).reshape(-1, 3)
        return cls(inputs, targets, columns[:, 0], columns[:, 2])

    def batches(self, tokens: int) -> Iterator[tuple[IntArray, Tensor, Tensor, Tensor]]:
        """Windows of like length together, so many tokens a batch at most (one window at least).

        Yields:
            Places of the windows [B]; inputs and targets [B, T'] with T' no longer than needed; and which of
            the targets count, bool [B, T'].
        """
        order = np.argsort(-self.length, kind="stable")
        first = 0
        while first < len(order):
            longest = int(self.length[order[first]])
            wide = min(self.inputs.shape[1], -(-longest // _ROUND) * _ROUND)
            places = order[first : first + max(1, tokens // wide)]
            counted = np.arange(wide) < self.length[places, None]
            yield (
                places,
                torch.from_numpy(self.inputs[places, :wide]),
                torch.from_numpy(self.targets[places, :wide]),
                torch.from_numpy(counted),
            )
            first += len(places)


def _starts(length: int, window: int, most: int) -> list[int]:
    count = -(-length // window)
    if count <= most:
        return [place * window for place in range(count)]
    return [int(place * length / most) for place in range(most)]
