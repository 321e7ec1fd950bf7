"""The documents of a table in a seeded order, as training batches."""

from dataclasses import dataclass, field

import numpy as np

from cuvee.errors import ConfigError
from cuvee.training.recipe import Recipe
from cuvee.types import AnyArray, FloatArray, IntArray
from cuvee.valuation.document_table import DocumentTable


@dataclass(frozen=True, eq=False)
class DocumentStream:
    """The documents of a pool in a seeded order, one behind the other, in batches; once.

    Documents end with an end-of-text token; windows may hold parts of several, as in any training. The last
    batch is filled up from the beginning.
    """

    pool: DocumentTable
    order: IntArray = field(repr=False)
    """Rows [n]."""
    ends: IntArray = field(repr=False)
    """Where each ends in the stream, its end-of-text token counted [n]."""
    context_length: int
    batch_sequences: int

    @classmethod
    def of(cls, pool: DocumentTable, recipe: Recipe, seed: int) -> "DocumentStream":
        """Shuffled.

        Raises:
            ConfigError: the pool is shorter than one batch.
        """
        order = np.random.default_rng([seed, len(pool)]).permutation(len(pool))
        ends = np.cumsum(pool.length[order] + 1)
        if ends[-1] < recipe.batch_tokens:
            raise ConfigError(
                f"training on documents: they have {int(ends[-1]):,} tokens, less than one batch of "
                f"{recipe.batch_tokens:,}; give more text, or lower reference_training.batch_tokens"
            )
        return cls(pool, order, ends, recipe.context_length, recipe.batch_sequences)

    @property
    def steps(self) -> int:
        """Batches that hold every token once; the last is filled up from the beginning."""
        return -(-int(self.ends[-1]) // (self.context_length * self.batch_sequences))

    def batch(self, step: int) -> tuple[IntArray, IntArray]:
        """Inputs and targets of a step, int64 [B, T]."""
        positions = self._positions(step)
        tokens = self._tokens(np.concatenate([positions[:1] - 1, positions]))
        shape = (self.batch_sequences, self.context_length)
        return tokens[:-1].reshape(shape), tokens[1:].reshape(shape)

    def owners(self, step: int) -> IntArray:
        """The document of each target of a step, a row of the pool [B T]."""
        places = self._positions(step) % int(self.ends[-1])
        return self.order[np.searchsorted(self.ends, places, side="right")]

    def summed(self, rows: AnyArray, weights: FloatArray | None = None) -> FloatArray:
        """Sums over the tokens of each document [n]; a token that was read twice counts once, on the mean.

        Args:
            rows: a number for each token of each step [steps, B T].
            weights: of the steps [steps]; None: all count alike.
        """
        total, length = np.zeros(len(self.pool)), int(self.ends[-1])
        again = self.steps * self.context_length * self.batch_sequences - length  # the first, at the end
        for step in range(self.steps):
            places = self._positions(step)
            twice = (places < again) | (places >= length)
            weight = 1.0 if weights is None else float(weights[step])
            read = np.asarray(rows[step], dtype=np.float64) * np.where(twice, 0.5 * weight, weight)
            np.add.at(total, self.owners(step), read)
        return total

    def _positions(self, step: int) -> IntArray:
        width = self.context_length * self.batch_sequences
        return np.arange(step * width, (step + 1) * width)

    def _tokens(self, positions: IntArray) -> IntArray:
        """Tokens at consecutive places of the endless stream."""
        length = int(self.ends[-1])
        found = np.full(len(positions), self.pool.tokenizer.end_of_text, dtype=np.int64)
        filled = 0
        while filled < len(positions):
            here = int(positions[filled]) % length
            place = int(np.searchsorted(self.ends, here, side="right"))
            row = int(self.order[place])
            begin = here - (int(self.ends[place]) - int(self.pool.length[row]) - 1)
            piece = self.pool.document(row)[begin : begin + len(positions) - filled]
            found[filled : filled + len(piece)] = piece
            filled += min(int(self.ends[place]) - here, len(positions) - filled)
        return found
