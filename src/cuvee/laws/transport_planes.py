"""How far mixtures of sources are from a target by optimal transport, known for every mixture at once.

    OT(p) = max over k of  height_k + sum over sources i of slope_ki p_i

OT between the documents of a mixture and those of a target is convex in the shares p, and the dual potentials
of one transport make a plane that touches it at that mixture and lies below it everywhere: with g of the
target and f of the pool, of which f_i is the mean over the documents of source i,

    OT(p) >= <p, f> + mean g                                     equal at the mixture that was transported

So a table of planes stands for the documents. ``valuation/mixture_transport.py`` makes it.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cuvee.decisions.document import decode, encode
from cuvee.errors import ConfigError
from cuvee.seal import read_sealed, write_sealed
from cuvee.types import FloatArray

SCHEMA = 1


@dataclass(frozen=True)
class TransportPlanes:
    """Planes below OT, one a mixture that was transported.

    Raises:
        ConfigError: no plane, rows of other lengths, or a number that is not finite.
    """

    target: str
    """Name of the evaluation."""
    sources: tuple[str, ...]
    slopes: tuple[tuple[float, ...], ...]
    """[K, S]"""
    heights: tuple[float, ...]
    """[K]"""

    def __post_init__(self) -> None:
        lengths = {len(row) for row in self.slopes}
        if not self.slopes or lengths != {len(self.sources)} or len(self.heights) != len(self.slopes):
            raise ConfigError("transport: as many slopes as sources and one height are needed a plane")
        if not all(np.isfinite(part).all() for part in (self.slopes, self.heights)):
            raise ConfigError("transport: slopes and heights must be finite")

    @classmethod
    def read(cls, path: Path) -> "TransportPlanes":
        """What ``write`` wrote.

        Raises:
            ConfigError: it is not there, damaged, or no such file.
        """
        try:
            document = read_sealed(path)
            if not isinstance(document, dict) or document.pop("schema", None) != SCHEMA:
                raise ConfigError("it holds no distances of mixtures")
            return decode(cls, document, "transport")
        except (OSError, ValueError, ConfigError) as error:
            raise ConfigError(
                f"{path}: {error}; `cuvee value STUDY --method projektor` writes transport.json"
            ) from error

    def write(self, path: Path) -> None:
        """Write it with its digest."""
        write_sealed(path, {"schema": SCHEMA, **encode(self)})

    def over(self, sources: tuple[str, ...]) -> "TransportPlanes":
        """The same in another order of sources, of which some may be missing.

        Raises:
            ConfigError: a source has no documents here.
        """
        if unknown := [name for name in sources if name not in self.sources]:
            raise ConfigError(
                f"transport: nothing is known of source {unknown[0]!r}; known are {', '.join(self.sources)}"
            )
        columns = [self.sources.index(name) for name in sources]
        slopes = tuple(tuple(row[column] for column in columns) for row in self.slopes)
        return TransportPlanes(self.target, sources, slopes, self.heights)

    def distances(self, shares: FloatArray) -> FloatArray:
        """OT from mixtures [M, S] to the target [M]."""
        result: FloatArray = self._planes(shares).max(axis=1)
        return result

    def gradients(self, shares: FloatArray) -> FloatArray:
        """Derivatives in the shares, each moved alone [M, S]."""
        result: FloatArray = self._matrix[self._planes(shares).argmax(axis=1)]
        return result

    def _planes(self, shares: FloatArray) -> FloatArray:
        result: FloatArray = shares @ self._matrix.T + np.array(self.heights)
        return result

    @cached_property
    def _matrix(self) -> FloatArray:
        return np.array(self.slopes, dtype=np.float64)
