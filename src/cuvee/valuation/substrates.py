"""Substrates: what methods of valuation share, made when it is first asked for and kept by content.

Three of them carry most methods: embeddings, directional derivatives along a training, and optimal transport
between embeddings. What is not at hand is None, and a method that needs it says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cuvee.errors import ConfigError
from cuvee.hashing import digest
from cuvee.progress import Progress, Silent
from cuvee.types import Float32Array
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.embeddings import Embedder, ProxyStates, embedded
from cuvee.valuation.kept_rows import KeptRows, by_blocks
from cuvee.valuation.proxy_model import ProxyModel

if TYPE_CHECKING:
    from cuvee.valuation.judge import LanguageJudge
    from cuvee.valuation.proxy_training import ProxyTraining


class NotAtHand(ConfigError):
    """A method needs a model, a library, labels or more text; the message says how to get them."""


@dataclass(frozen=True, eq=False)
class Substrates:
    """What is at hand for one valuation."""

    proxy: ProxyModel | None = None
    """The study's own small model."""
    training: "ProxyTraining | None" = None
    """A training of that model which can be given any documents."""
    judge: "LanguageJudge | None" = None
    """A language model that gives log-probabilities of answers."""
    encoder: Embedder | None = None
    """What embeds documents; None takes the proxy's states."""
    kept: KeptRows = field(default_factory=KeptRows)
    progress: Progress = field(default_factory=Silent)

    @property
    def embedder(self) -> Embedder:
        """What embeds documents.

        Raises:
            NotAtHand: there is neither an encoder nor a proxy.
        """
        if self.encoder is not None:
            return self.encoder
        return ProxyStates(self.needed_proxy("embeddings"))

    def needed_proxy(self, what: str) -> ProxyModel:
        """The proxy.

        Raises:
            NotAtHand: there is none.
        """
        if self.proxy is None:
            raise NotAtHand(f"{what}: a proxy model is needed; value inside a study, whose seed model is one")
        return self.proxy

    def needed_training(self, what: str) -> "ProxyTraining":
        """The training.

        Raises:
            NotAtHand: there is none.
        """
        if self.training is None:
            raise NotAtHand(f"{what}: a training of a proxy is needed; value inside a study, which has one")
        return self.training

    def embeddings(self, documents: DocumentTable) -> Float32Array:
        """Unit vectors of documents [n, d], memory-mapped where rows are kept.

        Cost: one forward pass over at most some windows a document, once for a pool and an embedder.
        """
        embedder = self.embedder
        key = digest(["embeddings", 1, embedder.key, documents.key])
        self.progress.stage("embedding documents", len(documents), "documents")

        def blocks(done: int) -> Iterator[Float32Array]:
            self.progress.done_before(done)
            for block in embedded(embedder, documents, done):
                yield block
                self.progress.advance(len(block))

        return self.kept.array(key, (len(documents), embedder.width), "float32", by_blocks(blocks))
