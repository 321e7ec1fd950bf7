"""What ``cuvee acquire`` prints first: the answer in a sentence."""

import pytest

from cuvee.cli.acquire import printed
from cuvee.flows.value.buying import Buying
from cuvee.valuation.offers import Purchase, Purchases


def bought(*rows: Purchase) -> Buying:
    return Buying("questions", Purchases(rows, 50.0, "dsir", "nats per token"), ())


def test_the_answer_is_a_sentence_of_what_to_buy(capsys: pytest.CaptureFixture[str]) -> None:
    little = Purchase("books & sons", 2_500, 0.2, 13.1, (4.5, 23.6), "number 2 of 3")
    most = Purchase("acme", 128_000, 44.8, 1.3e5, (1.2e5, 1.3e5), "number 1 of 3")
    nothing = Purchase("cheap", 0, 0.0, 0.0, (0.0, 0.0), "others are worth more")
    printed(bought(little, most, nothing))
    first = capsys.readouterr().out.splitlines()[0]
    said = "Buy 128k tokens of acme for 44.80, 2.5k tokens of books & sons for 0.20: 45.00 of 50."
    assert first == said
    printed(bought(nothing))
    assert capsys.readouterr().out.startswith("Buy nothing: no offer is worth its price within 50.")
