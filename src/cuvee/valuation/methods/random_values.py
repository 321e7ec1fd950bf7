"""Random values: the baseline that every method stands beside."""

from dataclasses import dataclass

import numpy as np

from cuvee.types import FloatArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.substrates import Substrates


@dataclass(frozen=True)
class RandomValues:
    """Independent uniform numbers."""

    temperature: float = 0.0
    name: str = "random"
    paper: str = ""
    unit: str = "none"
    needs: str = ""
    cost: str = "none"
    deviations: str = ""

    def value(
        self, pool: DocumentTable, target: DocumentTable, substrates: Substrates, seed: int
    ) -> FloatArray:
        """See ``Valuer.value``."""
        result: FloatArray = np.random.default_rng([seed, len(pool)]).random(len(pool))
        return result
