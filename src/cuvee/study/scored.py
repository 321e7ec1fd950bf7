"""Scored: mixtures with what every proxy says of them, document by document."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cuvee.evaluation.scores import Documents
from cuvee.mixture.mixture import Mixture
from cuvee.types import AnyArray, FloatArray


@dataclass(frozen=True, eq=False)
class Scored:
    """Mixtures with what every proxy says of them."""

    mixtures: tuple[Mixture, ...]
    documents: Documents
    nats: Mapping[str, FloatArray]
    """Name of the proxy -> nats of every document [M, D]."""

    @property
    def shares(self) -> FloatArray:
        """[M, S]"""
        return np.stack([mixture.shares for mixture in self.mixtures])

    def losses(self, proxy: str, counts: AnyArray | None = None) -> FloatArray:
        """Nats per token [M, E] of one proxy; ``counts`` [D] says how often each document counts."""
        return self.documents.means(self.nats[proxy], counts)

    def proxies(self, counts: AnyArray | None = None) -> dict[str, FloatArray]:
        """The same of all proxies."""
        return {name: self.losses(name, counts) for name in self.nats}

    def row(self, mixture: Mixture) -> int:
        """Where a mixture stands."""
        return [one.key for one in self.mixtures].index(mixture.key)

    def with_more(self, other: "Scored") -> "Scored":
        """The same with more mixtures behind; of one that stands in both, the first counts."""
        nats = {name: np.concatenate([nats, other.nats[name]]) for name, nats in self.nats.items()}
        return Scored((*self.mixtures, *other.mixtures), self.documents, nats)
