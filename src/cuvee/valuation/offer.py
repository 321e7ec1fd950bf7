"""Offer: what a seller sells, at which price, and the sample that may be looked at before buying.

The setting of the data acquisition challenge of DataPerf (DAM, https://www.dataperf.org): sellers, price
curves, partial disclosure, a budget.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import FloatArray
from cuvee.valuation.document_table import DocumentTable


@dataclass(frozen=True)
class PriceCurve:
    """What so many tokens cost: straight lines between points, from nothing for nothing.

    Raises:
        ConfigError: no point, tokens that do not rise, a price that falls or is not above zero.
    """

    points: tuple[tuple[float, float], ...]
    """Tokens and their price, both rising."""

    def __post_init__(self) -> None:
        if not self.points:
            raise ConfigError("prices: name at least one point, tokens and their price")
        before = (0.0, 0.0)
        for place, (tokens, price) in enumerate(self.points):
            if not (isfinite(tokens) and tokens > before[0]):
                raise ConfigError(f"prices.{place}: tokens must rise from point to point, not {tokens:g}")
            if not (isfinite(price) and price > 0):
                raise ConfigError(
                    f"prices.{place}: a price must be above zero, not {price:g}; what is free need not be "
                    "bought: add it as a source"
                )
            if price < before[1]:
                raise ConfigError(f"prices.{place}: more tokens cannot cost less than fewer do")
            before = (tokens, price)

    @classmethod
    def linear(cls, tokens: float, price_per_million: float) -> "PriceCurve":
        """The same price for every token."""
        return cls(((float(tokens), price_per_million * tokens / 1e6),))

    @property
    def tokens(self) -> float:
        """The most that has a price."""
        return self.points[-1][0]

    def price(self, tokens: FloatArray) -> FloatArray:
        """Of so many tokens, at most ``self.tokens``."""
        known = np.array([(0.0, 0.0), *self.points])
        found: FloatArray = np.interp(tokens, known[:, 0], known[:, 1])
        return found


@dataclass(frozen=True, eq=False)
class Offer:
    """What one seller sells.

    Raises:
        ConfigError: nothing is sold, more than has a price, or less than the least lot.
    """

    seller: str
    sample: DocumentTable = field(repr=False)
    """Documents that stand for all of it."""
    tokens: float
    """On offer."""
    prices: PriceCurve
    least: float = 1.0
    """Tokens that must be bought, if any are."""

    def __post_init__(self) -> None:
        if not self.seller:
            raise ConfigError("an offer needs the name of its seller")
        for name in ("tokens", "least"):
            if not (isfinite(value := getattr(self, name)) and value >= 1):
                raise ConfigError(f"offer '{self.seller}': {name} must be at least 1, not {value:g}")
        if self.tokens > self.prices.tokens:
            raise ConfigError(
                f"offer '{self.seller}': {self.tokens:g} tokens are on offer, and prices end at "
                f"{self.prices.tokens:g}; name the price of all"
            )
        if self.least > self.tokens:
            raise ConfigError(
                f"offer '{self.seller}': the least lot of {self.least:g} tokens is more than the "
                f"{self.tokens:g} on offer"
            )


def samples_of(offers: Sequence[Offer]) -> DocumentTable:
    """The samples of all sellers as one table; its sources are the sellers, in order.

    Raises:
        ConfigError: no offer, a seller twice, or samples of different tokenizers.
    """
    if not offers:
        raise ConfigError("offers: there is none; name at least one")
    names = [one.seller for one in offers]
    if twice := sorted({one for one in names if names.count(one) > 1}):
        raise ConfigError(f"offers: seller '{twice[0]}' stands twice; put its lots into one offer")
    samples = [one.sample for one in offers]
    if len({one.tokenizer.hash for one in samples}) > 1:
        raise ConfigError("offers: samples have tokens of different tokenizers; tokenize all by one")
    shards = np.cumsum([0, *(len(one.tokens) for one in samples)])
    return replace(
        samples[0],
        sources=tuple(names),
        source=np.repeat(np.arange(len(samples)), [len(one) for one in samples]),
        shard=np.concatenate([one.shard + first for one, first in zip(samples, shards, strict=False)]),
        start=np.concatenate([one.start for one in samples]),
        length=np.concatenate([one.length for one in samples]),
        tokens=tuple(array for one in samples for array in one.tokens),
        content=tuple(text for one in samples for text in one.content),
        ids=None,
        labels=None,
    )
