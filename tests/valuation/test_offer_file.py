"""Files of offers: what is read, and what is refused with its row and key."""

from pathlib import Path

import numpy as np
import pytest

from cuvee.errors import ConfigError, CuveeError
from cuvee.sources.tokenizer import Tokenizer, train_tokenizer
from cuvee.valuation.offer_file import read_offers

GOOD = """\
offers:
  - seller: acme
    sample: one.txt
    tokens: 2e8
    price_per_million: 3.5
    least: 1e6
  - seller: books & sons
    sample: [one.txt, two.jsonl]
    tokens: 5e7
    prices:
      - {tokens: 1e7, price: 80}
      - {tokens: 5e7, price: 250}
"""


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_tokenizer(["fact and filler words"] * 4, 280, tmp_path_factory.mktemp("t") / "t")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "one.txt").write_text("a sample", encoding="utf-8")
    (tmp_path / "two.jsonl").write_text(
        '{"text": "first"}\n{"text": ""}\n{"text": "second"}\n', encoding="utf-8"
    )
    (tmp_path / "none.jsonl").write_text('{"text": ""}\n', encoding="utf-8")
    (tmp_path / "space.jsonl").write_text('{"text": " \\n"}\n', encoding="utf-8")
    return tmp_path


def test_offers_are_read_with_their_samples(folder: Path, tokenizer: Tokenizer) -> None:
    (folder / "offers.yaml").write_text(GOOD, encoding="utf-8")
    acme, books = read_offers(folder / "offers.yaml", tokenizer)
    assert (acme.seller, acme.tokens, acme.least) == ("acme", 2e8, 1e6)
    np.testing.assert_allclose(acme.prices.price(np.array([1e6, 2e8])), [3.5, 700.0])
    np.testing.assert_allclose(books.prices.price(np.array([5e6, 3e7])), [40.0, 165.0])
    assert [books.sample.text(row) for row in range(3)] == ["a sample", "first", "second"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("tokens: 2e8", "tokens: many", r"offers\.yaml: offers\.0\.tokens: must be a number, not 'many'"),
        ("tokens: 2e8\n", "\n", r"offers\.0\.tokens: is missing"),
        ("least: 1e6", "lest: 1e6", r'offers\.0: unknown key "lest"; did you mean "least"\?'),
        ("least: 1e6", "least: 1e9", r"offers\.0: offer 'acme': the least lot"),
        ("tokens: 2e8", "tokens: .inf", r"offers\.0\.tokens: must be a finite number"),
        ("tokens: 2e8", "tokens: -1", r"offers\.0: tokens: must be above zero"),
        (
            "price_per_million: 3.5",
            "price_per_million: 0",
            r"offers\.0: price_per_million: must be above zero",
        ),
        (
            "price_per_million: 3.5",
            "price_per_million: .nan",
            r"offers\.0\.price_per_million: must be a finite",
        ),
        ("price_per_million: 3.5\n", "\n", r"offers\.0: needs either price_per_million or prices"),
        ("price: 250", "price: 25", r"offers\.1: prices\.1: more tokens cannot cost less"),
        ("price: 80", "price: 0", r"offers\.1: prices\.0: a price must be above zero"),
        ("{tokens: 5e7, price: 250}", "{tokens: 4e7, price: 250}", r"offers\.1: .*prices end at 4e\+07"),
        ("books & sons", "acme", r"offers\.1\.seller: 'acme' stands in offers\.0 already"),
        ("seller: acme", "seller: ''", r"offers\.0: an offer needs the name"),
        ("seller: acme", 'seller: "a\\e[2J"', r"offers\.0: seller .* has a control character"),
        ("seller: acme", 'seller: "a\\u202e"', r"offers\.0: seller .* turns the direction"),
        ("sample: one.txt", "sample: space.jsonl", r"offers\.0: sample: no document has any text"),
        ("sample: one.txt", "sample: gone.txt", r"offers\.0: .*gone\.txt"),
        ("sample: one.txt", "sample: none.jsonl", r"offers\.0: sample: no document has any text"),
        ("sample: one.txt", "sample: []", r"offers\.0: sample: name a file"),
        ("offers:\n", "offers: []\nmore:\n", r"unknown key"),
    ],
)
def test_what_is_wrong_is_said_with_row_and_key(
    folder: Path, tokenizer: Tokenizer, old: str, new: str, said: str
) -> None:
    assert old in GOOD
    (folder / "offers.yaml").write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CuveeError, match=said):
        read_offers(folder / "offers.yaml", tokenizer)


@pytest.mark.parametrize("text", ["", "offers: []", "- seller: a", "offers: 3", "offers: [1]", "\x00"])
def test_files_without_offers_are_refused(folder: Path, tokenizer: Tokenizer, text: str) -> None:
    (folder / "offers.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"offers\.yaml"):
        read_offers(folder / "offers.yaml", tokenizer)
