"""Buying under a budget: exact optima on small markets, samples that mislead, and offers that are none."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest

from cuvee.errors import ConfigError, EmptySource
from cuvee.sources.tokenizer import Tokenizer, train_tokenizer
from cuvee.types import FloatArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.methods.ask_llm import AskLLM
from cuvee.valuation.methods.random_values import RandomValues
from cuvee.valuation.offer import Offer, PriceCurve, samples_of
from cuvee.valuation.offers import Market, Purchases, acquire
from cuvee.valuation.substrates import Substrates
from cuvee.valuation.worth import TokenWorth, worths_of
from tests.valuation.judging import ReadingJudge

READER = Substrates(judge=ReadingJudge(lambda prompt: 0.9 if "fact" in prompt else 0.1))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_tokenizer(["fact and filler words"] * 4, 280, tmp_path_factory.mktemp("t") / "t")


def offer(
    tokenizer: Tokenizer, seller: str, texts: list[str], tokens: float, price: float, least: float = 1.0
) -> Offer:
    sample = DocumentTable.of_texts(texts, tokenizer)
    return Offer(seller, sample, tokens, PriceCurve.linear(tokens, price), least)


def market(tokenizer: Tokenizer, worths: list[float], offers: list[Offer], budget: float) -> Market:
    known = tuple(TokenWorth(5, one, (one, one)) for one in worths)
    return Market(tuple(offers), known, budget, run_tokens=400.0, method="given", unit="none")


def small_offers(tokenizer: Tokenizer, seed: int) -> tuple[list[Offer], list[float]]:
    """Three sellers of 12 tokens at most: 13^3 ways to buy."""
    rng = np.random.default_rng(seed)
    sample = DocumentTable.of_texts(["fact"], tokenizer)
    sizes = rng.integers(4, 13, 3)
    curves = []
    for size in sizes:
        prices = (
            np.cumsum(rng.uniform(0.5, 2.0, 2)) if seed % 2 else np.array([1.0, 2.0]) * rng.uniform(0.5, 2)
        )
        curves.append(PriceCurve(((size / 2, float(prices[0])), (float(size), float(prices[1])))))
    least = [1.0, 1.0, 1.0] if seed % 3 else [3.0, 1.0, 4.0]
    offers = [
        Offer(f"s{place}", sample, float(size), curve, one)
        for place, (size, curve, one) in enumerate(zip(sizes, curves, least, strict=True))
    ]
    return offers, rng.uniform(0, 1, 3).tolist()


@pytest.mark.parametrize("seed", range(12))
def test_what_is_bought_is_close_to_the_exact_optimum(tokenizer: Tokenizer, seed: int) -> None:
    """Half of it is certain; 90 % is what holds here, with discounts, least lots and lots of a twelfth."""
    offers, worths = small_offers(tokenizer, seed)
    one = market(tokenizer, worths, offers, budget=2.5)
    best, exact = one.best(), 0.0
    ranges = [[0, *range(int(np.ceil(offer.least)), int(offer.tokens) + 1)] for offer in offers]
    for amounts in product(*ranges):
        price = sum(float(o.prices.price(np.array(float(x)))) for o, x in zip(offers, amounts, strict=True))
        if price <= 2.5:
            gains = (w * 400.0 * -np.expm1(-x / 400.0) for w, x in zip(worths, amounts, strict=True))
            exact = max(exact, float(sum(gains)))
    assert best.price <= 2.5
    assert best.utility <= exact + 1e-9
    assert best.utility >= 0.9 * exact


def test_one_seller_is_bought_until_its_next_token_is_worth_less_than_anothers(tokenizer: Tokenizer) -> None:
    """At an optimum the gain for the price is the same: q exp(-x / D) at equal prices."""
    offers = [offer(tokenizer, name, ["fact"], 4000, 1.0) for name in "ab"]
    bought = market(tokenizer, [1.0, 0.5], offers, budget=0.001).best()
    x, y = (row.tokens for row in bought.rows)
    assert x + y == pytest.approx(1000, abs=40)
    assert x - y == pytest.approx(400 * np.log(2), abs=40)


def test_a_discount_and_a_least_lot_are_seen_ahead(tokenizer: Tokenizer) -> None:
    sample = DocumentTable.of_texts(["fact"], tokenizer)
    bulk = Offer("bulk", sample, 200.0, PriceCurve(((10.0, 5.0), (200.0, 6.0))))
    whole = Offer("whole", sample, 100.0, PriceCurve(((100.0, 3.0),)), least=100.0)
    bought = market(tokenizer, [1.0, 1.0], [bulk, whole], budget=9.0).best()
    assert [row.tokens for row in bought.rows] == [200, 100] and bought.price == pytest.approx(9.0)
    poor = market(tokenizer, [1.0, 1.0], [bulk, whole], budget=2.9).best()
    assert poor.rows[1].tokens == 0 and "least lot of 100 tokens costs more" in poor.rows[1].why


def test_good_text_is_bought_and_baselines_buy_by_what_they_say(tokenizer: Tokenizer) -> None:
    """The good seller is neither the largest nor the cheapest."""
    target = DocumentTable.of_texts(["fact"], tokenizer)
    offers = [
        offer(tokenizer, "large", ["filler"] * 8, 9e6, 2.0),
        offer(tokenizer, "good", ["fact fact"] * 8, 3e6, 3.0),
        offer(tokenizer, "cheap", ["words", "and", "filler"], 4e6, 0.5),
    ]
    settled = Market.of(offers, target, 6.0, 1e7, AskLLM(), READER, seed=0)
    best = settled.best()
    assert best == acquire(offers, target, 6.0, run_tokens=1e7, valuer=AskLLM(), substrates=READER, seed=0)
    assert best.rows[1].tokens == pytest.approx(2e6, rel=0.01) and best.method == "ask_llm"
    assert best.rows[0].tokens == 0 and best.rows[1].why.startswith("number 1 of 3")
    low, high = best.rows[1].interval
    assert 0 <= low <= best.rows[1].utility <= high
    baselines: list[Purchases] = [settled.by_size(), settled.by_price(), settled.at_random(3)]
    assert [one.method for one in baselines] == ["by size", "by price", "random"]
    assert baselines[0].rows[0].tokens == pytest.approx(3e6, rel=0.02)
    assert baselines[1].rows[2].tokens == 4e6
    for one in (best, *baselines):
        assert one.price <= 6.0 and one.utility <= best.utility + 1e-9
    assert settled.at_random(3) == settled.at_random(3)


@dataclass(frozen=True)
class Given(RandomValues):
    """Values that are known."""

    values: tuple[float, ...] = ()

    def value(
        self, pool: DocumentTable, target: DocumentTable, substrates: Substrates, seed: int
    ) -> FloatArray:
        """See ``Valuer.value``."""
        return np.array(self.values)


def test_a_single_lucky_document_does_not_spend_the_budget(tokenizer: Tokenizer) -> None:
    """Its seller is shrunk towards all; one with many good documents is hardly."""
    values = np.array([3.0] + [0.0, 4.0] * 20 + [0.0, 0.4] * 20)
    texts = ["fact"] * len(values)
    names = ["lucky"] + ["steady"] * 40 + ["plain"] * 40
    samples = DocumentTable.of_texts(texts, tokenizer, sources=names)
    lucky, steady, plain = worths_of(samples, values, seed=0)
    assert lucky.mean < 2.8 and lucky.interval == (0.0, np.inf) and lucky.documents == 1
    assert abs(steady.mean - 2.0) < abs(lucky.mean - 2.8)
    assert steady.interval[0] <= steady.mean <= steady.interval[1] < np.inf
    assert plain.mean < steady.mean
    assert worths_of(samples, values, seed=0) == (lucky, steady, plain)


def test_worth_is_weighted_by_tokens_and_counts_from_the_median(tokenizer: Tokenizer) -> None:
    samples = DocumentTable.of_texts(["a", "a" * 3, "b"], tokenizer, sources=["x", "x", "y"])
    length = samples.length / samples.length[:2].sum()
    one = worths_of(samples, np.array([5.0, 1.0, 2.0]), 0)[0]
    two = worths_of(samples, np.array([5.0, 1.0, np.nan]), 0)
    assert two[1].mean == 0.0 and two[1].documents == 0
    assert two[0].mean == pytest.approx(length[0] * 2.0)
    assert 0.0 <= one.mean <= length[0] * 3.0


def test_sellers_without_a_value_are_not_bought_and_it_says_why(tokenizer: Tokenizer) -> None:
    offers = [offer(tokenizer, name, ["fact", "fact"], 1e6, 1.0) for name in ("<script>", "b", "c")]
    valuer = Given(values=(np.nan, np.nan, 1.0, 2.0, 0.0, 0.0))
    bought = Market.of(offers, offers[0].sample, 9.0, 1e6, valuer, Substrates(), 0).best()
    assert bought.rows[0].tokens == 0 and bought.rows[0].seller == "<script>"
    assert "no document of its sample has a value" in bought.rows[0].why
    assert bought.rows[1].tokens == 1_000_000


@pytest.mark.parametrize("budget", [0.0, -1.0, float("nan"), float("inf")])
def test_a_budget_must_be_one(tokenizer: Tokenizer, budget: float) -> None:
    offers = [offer(tokenizer, "a", ["fact"], 100, 1.0)]
    with pytest.raises(ConfigError, match="budget must be above zero"):
        Market.of(offers, offers[0].sample, budget, 1e6, RandomValues(), Substrates(), 0)
    with pytest.raises(ConfigError, match="run_tokens must be above zero"):
        Market.of(offers, offers[0].sample, 1.0, budget, RandomValues(), Substrates(), 0)


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf")])
def test_a_price_must_be_one(price: float) -> None:
    with pytest.raises(ConfigError, match=r"prices\.0: a price must be above zero"):
        PriceCurve.linear(100, price)
    with pytest.raises(ConfigError, match=r"prices\.1: "):
        PriceCurve(((1.0, 2.0), (2.0, price)))


def test_offers_that_are_none_are_refused(tokenizer: Tokenizer) -> None:
    sample = DocumentTable.of_texts(["fact"], tokenizer)
    curve = PriceCurve.linear(100, 1.0)
    for curve_points, said in (
        ((), "name at least one point"),
        (((0.0, 1.0),), "tokens must rise"),
        (((2.0, 1.0), (2.0, 2.0)), "tokens must rise"),
        (((2.0, 2.0), (3.0, 1.0)), "cannot cost less"),
    ):
        with pytest.raises(ConfigError, match=said):
            PriceCurve(curve_points)
    for wrong, said in (
        (("", sample, 100.0, curve), "name of its seller"),
        (("a", sample, 0.0, curve), "tokens must be at least 1"),
        (("a", sample, float("nan"), curve), "tokens must be at least 1"),
        (("a", sample, 101.0, curve), "prices end at 100"),
        (("a", sample, 100.0, curve, 101.0), "least lot of 101"),
    ):
        with pytest.raises(ConfigError, match=said):
            Offer(*wrong)
    one = Offer("a", sample, 100.0, curve)
    with pytest.raises(ConfigError, match="there is none"):
        samples_of([])
    with pytest.raises(ConfigError, match="seller 'a' stands twice"):
        samples_of([one, one])
    with pytest.raises(EmptySource):
        DocumentTable.of_texts([], tokenizer)


def test_samples_keep_their_text_and_their_seller(tokenizer: Tokenizer) -> None:
    offers = [offer(tokenizer, "a", ["fact one", "two"], 10, 1.0), offer(tokenizer, "b", ["three"], 10, 1.0)]
    joined = samples_of(offers)
    assert [joined.text(row) for row in range(3)] == ["fact one", "two", "three"]
    assert joined.sources == ("a", "b") and joined.source.tolist() == [0, 0, 1]
    with pytest.raises(ConfigError, match="no document of any sample"):
        worths_of(joined, np.full(3, np.nan), 0)
