"""Valuer: a method that says what documents are worth for a target. One file a method; see ``registry``.

Values are higher for documents to keep. A method that needs what is not at hand raises ``NotAtHand``, which
names it: nothing is ever made up.
"""

from typing import Protocol

from cuvee.types import FloatArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.substrates import Substrates


class Valuer(Protocol):
    """A way to value documents. Immutable; settings are its fields."""

    @property
    def name(self) -> str:
        """Its row in ``VALUERS``."""
        ...

    @property
    def paper(self) -> str:
        """Where it is from."""
        ...

    @property
    def unit(self) -> str:
        """Of a value."""
        ...

    @property
    def temperature(self) -> float:
        """At which documents are drawn by its values where nobody says otherwise; 0 takes the best."""
        ...

    @property
    def needs(self) -> str:
        """What must be at hand besides the documents; empty: nothing."""
        ...

    @property
    def cost(self) -> str:
        """In words."""
        ...

    @property
    def deviations(self) -> str:
        """Where it differs from its paper; empty: nowhere."""
        ...

    def value(
        self, pool: DocumentTable, target: DocumentTable, substrates: Substrates, seed: int
    ) -> FloatArray:
        """The value of each document of the pool [n], NaN where it has none.

        Args:
            pool: what may be trained on.
            target: what the model shall do well on.
            substrates: what methods share: embeddings, derivatives, transport, clients.
            seed: of all that is drawn.

        Raises:
            NotAtHand: something that it needs is missing.
        """
        ...
