"""Acquire: what to buy from which seller under a budget, from samples alone (DataPerf's DAM setting).

    max over x of  U(x) = sum_s q_s h(x_s),     h(x) = D (1 - exp(-x / D)),     sum_s price_s(x_s) <= budget

q_s is the worth of a token (``worth.py``), x_s the tokens bought of a seller, D the tokens that the run will
read: of one seller it cannot read more, and what it has bought of it already makes more of it worth less.

Lots are bought by the greatest gain for their price; a lot may be as large as the seller has, so that a least
lot or a discount for large ones is no obstacle. With straight prices and small lots that is the optimum, U
being concave; with others at least half of it, as the best single purchase is compared too. The budget is
never overdrawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import FloatArray, IntArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.offer import Offer, samples_of
from cuvee.valuation.substrates import Substrates
from cuvee.valuation.valuer import Valuer
from cuvee.valuation.worth import TokenWorth, worths_of

LOTS = 200
"""Lots into which an offer is divided: chosen by hand, half a per cent of it is left unbought at most."""


@dataclass(frozen=True)
class Purchase:
    """What is bought of one seller."""

    seller: str
    tokens: int
    price: float
    utility: float
    """What it adds to U, in the unit of values times tokens."""
    interval: tuple[float, float]
    """Of the utility, over other documents in the sample."""
    why: str
    """In words, also where nothing is bought."""


@dataclass(frozen=True)
class Purchases:
    """What is bought of all sellers, in the order of the offers; sellers of whom nothing is bought too."""

    rows: tuple[Purchase, ...]
    budget: float
    method: str
    """That valued, or the baseline that did not."""
    unit: str
    """Of a value."""

    @property
    def price(self) -> float:
        """Of all together."""
        return float(sum(one.price for one in self.rows))

    @property
    def tokens(self) -> int:
        """Of all together."""
        return sum(one.tokens for one in self.rows)

    @property
    def utility(self) -> float:
        """Of all together."""
        return float(sum(one.utility for one in self.rows))


@dataclass(frozen=True)
class _Step:
    """A larger lot of one seller."""

    rate: float
    """Utility for its price."""
    tokens: float
    """To have then."""
    cost: float


@dataclass(frozen=True, eq=False)
class Market:
    """Offers whose worth is known."""

    offers: tuple[Offer, ...]
    worths: tuple[TokenWorth, ...]
    budget: float
    run_tokens: float
    method: str
    unit: str

    @classmethod
    def of(
        cls,
        offers: Sequence[Offer],
        target: DocumentTable,
        budget: float,
        run_tokens: float,
        valuer: Valuer,
        substrates: Substrates,
        seed: int,
    ) -> "Market":
        """Value what sellers show.

        Args:
            offers: one a seller.
            target: what the model shall do well on.
            budget: in the unit of prices.
            run_tokens: that the training will read.
            valuer: any method, of the documents of all samples together.
            substrates: what it needs.
            seed: of the method and of the bootstrap.

        Raises:
            ConfigError: no offer, no budget, a seller twice, or no value.
            NotAtHand: something that the method needs is missing.
        """
        for name, value in (("budget", budget), ("run_tokens", run_tokens)):
            if not (isfinite(value) and value > 0):
                raise ConfigError(f"acquire: {name} must be above zero and finite, not {value:g}")
        samples = samples_of(offers)
        values = valuer.value(samples, target, substrates, seed)
        worths = worths_of(samples, values, seed)
        return cls(tuple(offers), worths, float(budget), float(run_tokens), valuer.name, valuer.unit)

    def best(self) -> Purchases:
        """By gain for the price."""
        bought = self._greedy()
        single = max(range(len(self.offers)), key=lambda place: self._utility(place, self._fill(place)))
        alone = [self._fill(place) if place == single else 0.0 for place in range(len(self.offers))]
        if self._total(alone) > self._total(bought):
            bought = alone
        return self._purchases(bought, self.method)

    def by_size(self) -> Purchases:
        """Baseline: the largest offers first, as much as can be paid."""
        return self._in_order(np.argsort([-one.tokens for one in self.offers], kind="stable"), "by size")

    def by_price(self) -> Purchases:
        """Baseline: the cheapest tokens first."""
        prices = [float(one.prices.price(np.array(one.tokens))) / one.tokens for one in self.offers]
        return self._in_order(np.argsort(prices, kind="stable"), "by price")

    def at_random(self, seed: int) -> Purchases:
        """Baseline: sellers in a random order."""
        order = np.random.default_rng([seed, len(self.offers)]).permutation(len(self.offers))
        return self._in_order(order, "random")

    def _greedy(self) -> list[float]:
        bought, left = [0.0] * len(self.offers), self.budget
        steps = [self._step(place, 0.0, left) for place in range(len(self.offers))]
        while True:
            place = max(range(len(steps)), key=lambda one: steps[one].rate)
            step = steps[place]
            if step.rate <= 0:
                return bought
            if step.cost <= left:
                left, bought[place] = left - step.cost, step.tokens
            # Others stay as they are until money runs short for them.
            steps[place] = self._step(place, bought[place], left)

    def _step(self, place: int, have: float, left: float) -> "_Step":
        """The greatest gain for its price that can be paid; the fewest tokens where many are alike."""
        lots = self._lots(place)
        lots = lots[lots > have]
        cost = self.offers[place].prices.price(lots) - self._price(place, have)
        lots, cost = lots[cost <= left], cost[cost <= left]
        if not len(lots):
            return _Step(0.0, have, 0.0)
        gain = self._utilities(place, lots) - self._utility(place, have)
        # A flat piece of a curve costs nothing: it is taken before all others.
        rate = np.where(cost > 0, gain / np.where(cost > 0, cost, 1.0), np.where(gain > 0, np.inf, 0.0))
        best = int(np.argmax(rate))
        return _Step(float(rate[best]), float(lots[best]), float(cost[best]))

    def _lots(self, place: int) -> FloatArray:
        """Tokens that can be bought of a seller, whole numbers, rising."""
        offer = self.offers[place]
        steps = np.floor(np.linspace(0.0, offer.tokens, LOTS + 1))
        steps = np.unique(np.concatenate([[np.ceil(offer.least)], steps]))
        return steps[(steps >= offer.least) & (steps <= offer.tokens)]

    def _fill(self, place: int, left: float | None = None) -> float:
        """The most tokens of a seller that can be paid."""
        lots = self._lots(place)
        paid = lots[self.offers[place].prices.price(lots) <= (self.budget if left is None else left)]
        return float(paid[-1]) if len(paid) else 0.0

    def _in_order(self, order: IntArray, method: str) -> Purchases:
        bought, left = [0.0] * len(self.offers), self.budget
        for place in order:
            bought[place] = self._fill(int(place), left)
            left -= self._price(int(place), bought[place])
        return self._purchases(bought, method)

    def _price(self, place: int, tokens: float) -> float:
        return float(self.offers[place].prices.price(np.array(tokens)))

    def _effective(self, tokens: FloatArray) -> FloatArray:
        """h of the module's docstring."""
        found: FloatArray = -self.run_tokens * np.expm1(-tokens / self.run_tokens)
        return found

    def _utilities(self, place: int, tokens: FloatArray) -> FloatArray:
        return self.worths[place].mean * self._effective(tokens)

    def _utility(self, place: int, tokens: float) -> float:
        return float(self._utilities(place, np.array(tokens)))

    def _total(self, bought: Sequence[float]) -> float:
        return sum(self._utility(place, tokens) for place, tokens in enumerate(bought))

    def _purchases(self, bought: Sequence[float], method: str) -> Purchases:
        rows = tuple(self._purchase(place, tokens) for place, tokens in enumerate(bought))
        return Purchases(rows, self.budget, method, self.unit)

    def _purchase(self, place: int, tokens: float) -> Purchase:
        worth, effective = self.worths[place], float(self._effective(np.array(tokens)))
        low, high = (end * effective if effective else 0.0 for end in worth.interval)
        price = self._price(place, tokens)
        return Purchase(
            self.offers[place].seller, int(tokens), price, worth.mean * effective, (low, high),
            self._why(place, tokens),
        )  # fmt: skip

    def _why(self, place: int, tokens: float) -> str:
        offer, worth = self.offers[place], self.worths[place]
        if not worth.documents:
            return f"no document of its sample has a value by {self.method}"
        doubt = "; its sample is one document, which says little" if worth.documents == 1 else ""
        if not tokens:
            if worth.mean <= 0:
                return f"no document of its sample is worth more than the median of all samples{doubt}"
            if self._price(place, float(np.ceil(offer.least))) > self.budget:
                return f"its least lot of {offer.least:,.0f} tokens costs more than the budget{doubt}"
            return f"others are worth more for their price{doubt}"
        rank = 1 + sum(one.mean > worth.mean for one in self.worths)
        share = tokens / offer.tokens
        return f"number {rank} of {len(self.offers)} in worth a token; {share:.0%} of its offer{doubt}"


def acquire(
    offers: Sequence[Offer],
    target: DocumentTable,
    budget: float,
    *,
    run_tokens: float,
    valuer: Valuer,
    substrates: Substrates,
    seed: int,
) -> Purchases:
    """What to buy under a budget; see ``Market.of`` for what is asked and raised."""
    return Market.of(offers, target, budget, run_tokens, valuer, substrates, seed).best()
