"""Into which parts a source is divided, and which document goes where (sources).

    eval                    held out
    seed                    what the seed model is trained on
    unit-0 ... unit-(n-1)   what the pool models are trained on, one each

A document's hash alone decides, so that it stays in its part when others come or go; only in a
source so small that a part would be empty are documents moved.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cuvee.errors import ConfigError, EmptySource
from cuvee.sources.permutation import mix64
from cuvee.sources.shards import digest_order

EVAL = "eval"
"""The held-out part."""

SEED = "seed"
"""The part that the seed model is trained on."""

PartIndices = npt.NDArray[np.int16]


def unit_part(index: int) -> str:
    """The part that pool model ``index`` of a source is trained on."""
    return f"unit-{index}"


@dataclass(frozen=True)
class SplitOptions:
    """How training sources are divided."""

    eval_fraction: float = 0.05
    """Probability that a document is held out; 0 holds out nothing."""

    seed_fraction: float = 0.2
    """Probability that a document that is not held out goes to the seed model; 0 makes no such part."""

    units: int = 1
    """Units of each source, which share the rest evenly."""

    def __post_init__(self) -> None:
        for name in ("eval_fraction", "seed_fraction"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be in [0, 1); got {getattr(self, name)}")
        if not 1 <= self.units < 1 << 14:
            raise ConfigError(f"units must be in [1, 16383]; got {self.units}")

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that every source has: held out, seed, units."""
        optional = ((EVAL, self.eval_fraction), (SEED, self.seed_fraction))
        units = tuple(unit_part(index) for index in range(self.units))
        return tuple(name for name, fraction in optional if fraction > 0) + units

    def assign(self, digests: npt.NDArray[np.uint8]) -> PartIndices:
        """The part of each document by the first 8 bytes of its hash, as an index into ``parts``.

        Args:
            digests: SHA-256 of each document, uint8 [D, 32].

        Returns:
            int16 [D].
        """
        # Mixed, because many corpora were cut by the value of a SHA-256: in such a corpus all hashes
        # are small, and would all be held out.
        words = mix64(np.ascontiguousarray(digests[:, :8]).view(">u8")[:, 0].astype(np.uint64))
        held_out = self.eval_fraction
        first_unit = len(self.parts) - self.units
        assigned = (first_unit + words % np.uint64(self.units)).astype(np.int16)
        assigned[words < _threshold(held_out + (1 - held_out) * self.seed_fraction)] = first_unit - 1
        assigned[words < _threshold(held_out)] = 0
        return assigned

    def divide(
        self, source: str, digests: npt.NDArray[np.uint8], shortage: str = ""
    ) -> tuple[PartIndices, int]:
        """The same, but no part stays empty: it gets the document of lowest hash of the largest part.

        Args:
            source: name of the source, for the message.
            digests: SHA-256 of each document, uint8 [D, 32], all different.
            shortage: why there may be too few of them, for the message.

        Returns:
            The part of each document, int16 [D], and how many documents were moved.

        Raises:
            EmptySource: there are fewer documents than parts.
        """
        parts = self.parts
        if len(digests) < len(parts):
            raise EmptySource(_too_few(source, len(digests), parts, shortage))
        assigned = self.assign(digests)
        counts = np.bincount(assigned, minlength=len(parts))
        empty = np.flatnonzero(counts == 0)
        order = digest_order(digests)
        for part in empty:
            donor = int(np.argmax(counts))
            document = order[assigned[order] == donor][0]
            assigned[document] = part
            counts[donor] -= 1
            counts[part] += 1
        return assigned, len(empty)


def _too_few(source: str, documents: int, parts: tuple[str, ...], shortage: str) -> str:
    count = "1 document" if documents == 1 else f"{documents} documents"
    why = f": {shortage}" if shortage else ""
    advice = (
        "give it more documents, ask for fewer units, or set chunk_characters to cut long ones into pieces"
    )
    if shortage and not documents:
        advice = "give it other documents, or leave it out"
    head = f"source '{source}' has {count} to use but {len(parts)} parts need one each ({', '.join(parts)})"
    return f"{head}{why}; {advice}"


def _threshold(probability: float) -> np.uint64:
    return np.uint64(min(int(probability * 2**64), 2**64 - 1))
