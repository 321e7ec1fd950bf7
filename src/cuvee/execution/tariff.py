"""Tariff: what computes, and what an hour of it costs."""

from dataclasses import dataclass
from typing import Literal

from cuvee.quantities import money, number
from cuvee.types import Json

HOUR = 3600.0
"""Seconds."""


@dataclass(frozen=True)
class Tariff:
    """What the work time of a study is time of, and its price. Nothing that is measured depends on it."""

    unit: Literal["core", "GPU"] = "core"
    hour: float | None = None
    """Price of one of them for an hour; None where the study file gives none."""
    currency: str = ""

    def price(self, hours: float) -> float | None:
        """Of so many hours of one of them; None where an hour has no price."""
        return None if self.hour is None else hours * self.hour

    def cost(self, hours: float) -> str:
        """The price in words; empty where there is none."""
        return "" if self.hour is None else money(hours * self.hour, self.currency)

    def words(self, hours: float) -> str:
        """``0.52 GPU-hours, 1.30 USD``: hours where a GPU computes or they have a price; else empty."""
        if self.unit == "core" and self.hour is None:
            return ""
        said = [f"{number(hours, 2)} {self.unit}-hours", self.cost(hours)]
        return ", ".join(one for one in said if one)

    def as_json(self, hours: float) -> Json:
        """So many hours with their price."""
        return {
            "unit": self.unit,
            "hours": hours,
            "price": self.price(hours),
            "currency": self.currency if self.hour is not None else None,
        }


CORES = Tariff()
"""Processor cores without a price: what counts where nothing is said."""
