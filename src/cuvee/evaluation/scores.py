"""What an evaluation measured: nats of every document, and the means that are made of them.

Losses are ratios of sums: the nats of all documents of an evaluation over its tokens (or bytes), so that
a long document counts by its length. Keeping the document sums makes every difference between models
a paired one (``paired``), and lets parts of an evaluation be added up (``race``).
Shapes: D documents of all evaluations together, E evaluations; leading axes of ``nats`` are models.
"""

from dataclasses import dataclass
from functools import cached_property
from math import log

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import AnyArray, FloatArray, IntArray, Json


@dataclass(frozen=True, eq=False)
class Documents:
    """The documents of all evaluations, those of one evaluation side by side."""

    evaluations: tuple[str, ...]
    """Names [E]."""
    keys: tuple[str, ...]
    """Hash of what each evaluation predicts [E]."""
    evaluation: IntArray
    """Index of its evaluation for every document [D], ascending."""
    tokens: IntArray
    """Scored tokens of every document [D]; zero where none of its windows was chosen."""
    bytes: FloatArray
    """UTF-8 bytes of every document [D]; of a document scored in part, its part by tokens."""

    def sums(self, values: AnyArray) -> FloatArray:
        """Sums over the documents of each evaluation: [..., D] to [..., E]."""
        starts = np.searchsorted(self.evaluation, np.arange(len(self.evaluations)))
        return np.asarray(np.add.reduceat(values, starts, axis=-1, dtype=np.float64))

    def means(self, nats: AnyArray, counts: AnyArray | None = None) -> FloatArray:
        """Nats per token of each evaluation: [..., D] to [..., E].

        Args:
            nats: sums over the tokens of each document.
            counts: how often each document counts [D], as in a resample of them; None is once.
        """
        if counts is None:
            return self.sums(nats) / self.evaluation_tokens
        return np.asarray(self.sums(nats * counts) / self.sums(self.tokens * counts))

    @cached_property
    def evaluation_tokens(self) -> FloatArray:
        """Scored tokens of each evaluation [E]."""
        return self.sums(self.tokens)

    def bootstrap(self, draws: int, rng: np.random.Generator) -> FloatArray:
        """How often each document counts in resamples of them [draws, D], each evaluation for itself."""
        counts = np.zeros((draws, len(self.tokens)))
        for position in range(len(self.evaluations)):
            chosen = np.flatnonzero((self.evaluation == position) & (self.tokens > 0))
            even = np.full(len(chosen), 1 / len(chosen))
            counts[:, chosen] = rng.multinomial(len(chosen), even, size=draws)
        return counts

    @cached_property
    def counts(self) -> IntArray:
        """Documents of each evaluation of which anything is scored [E]."""
        return np.asarray(self.sums(self.tokens > 0).astype(np.int64))

    @cached_property
    def evaluation_bytes(self) -> FloatArray:
        """Bytes of each evaluation [E]."""
        return self.sums(self.bytes)

    def index(self, evaluation: str) -> int:
        """Position of an evaluation.

        Raises:
            ConfigError: there is no such evaluation.
        """
        if evaluation not in self.evaluations:
            raise ConfigError(f"no evaluation {evaluation!r}; there are {', '.join(self.evaluations)}")
        return self.evaluations.index(evaluation)

    def target(self, weights: dict[str, float]) -> FloatArray:
        """Coefficients [E] on nats per token of a weighted sum of losses; evaluations not named get zero."""
        target = np.zeros(len(self.evaluations))
        for name, weight in weights.items():
            target[self.index(name)] = weight
        return target

    @property
    def bits_per_byte_factor(self) -> FloatArray:
        """Bits per byte over nats per token, of each evaluation [E]."""
        return self.evaluation_tokens / self.evaluation_bytes / log(2)

    def as_json(self) -> Json:
        """Plain JSON; ``from_json`` reads it back."""
        return {
            "evaluations": list(self.evaluations),
            "keys": list(self.keys),
            "evaluation": self.evaluation.tolist(),
            "tokens": self.tokens.tolist(),
            "bytes": self.bytes.tolist(),
        }

    @classmethod
    def from_json(cls, value: Json) -> "Documents":
        """The documents that ``as_json`` wrote."""
        return cls(
            tuple(value["evaluations"]),
            tuple(value["keys"]),
            np.array(value["evaluation"], dtype=np.int64),
            np.array(value["tokens"], dtype=np.int64),
            np.array(value["bytes"], dtype=np.float64),
        )


@dataclass(frozen=True, eq=False)
class Scores:
    """Losses of one model, or of many along the leading axes."""

    documents: Documents
    nats: FloatArray
    """Sum of -log p over the tokens of every document [..., D]."""

    @property
    def nats_per_token(self) -> FloatArray:
        """Mean loss of each evaluation [..., E]."""
        return self.documents.means(self.nats)

    @property
    def bits_per_byte(self) -> FloatArray:
        """Loss in bits over the bytes of the text [..., E]; comparable between tokenizers."""
        return self.documents.sums(self.nats) / self.documents.evaluation_bytes / log(2)

    def __getitem__(self, model: int | slice | IntArray) -> "Scores":
        """Some of the models along the first axis."""
        return Scores(self.documents, self.nats[model])
