"""What the time in a ledger is time of, and what it cost where an hour has a price."""

import math
from dataclasses import dataclass

from cuvee.decisions.ablation.result import LedgerRow
from cuvee.execution.tariff import HOUR, Tariff
from cuvee.quantities import MISSING


@dataclass(frozen=True)
class CostView:
    """A ledger with its tariff."""

    tariff: Tariff
    ledger: tuple[LedgerRow, ...]

    @property
    def time_head(self) -> str:
        """Over the column of times."""
        return "GPU time" if self.tariff.unit == "GPU" else "worker time"

    @property
    def priced(self) -> bool:
        """Money is shown."""
        return self.tariff.hour is not None

    def cost(self, row: LedgerRow) -> str:
        """Of a row, in words."""
        return MISSING if math.isnan(row.seconds) else self.tariff.cost(row.seconds / HOUR)

    @property
    def total(self) -> str:
        """All of it in a sentence; empty where there is no price, or no time is known."""
        hours = math.fsum(row.seconds for row in self.ledger if not math.isnan(row.seconds)) / HOUR
        if not self.priced or not hours:
            return ""
        return f"In all {self.tariff.words(hours)}, at {self.tariff.cost(1.0)} for a {self.tariff.unit}-hour."
