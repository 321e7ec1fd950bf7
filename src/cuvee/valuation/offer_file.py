"""A file of offers, read strictly.

offers:
  - seller: acme
    sample: samples/acme.jsonl.zst      # a path or a list of paths, from the file's folder
    tokens: 2e8                         # on offer
    price_per_million: 3.5              # of tokens; or prices:
    least: 1e6                          # tokens that must be bought, if any are; may be left out
  - seller: books & sons
    sample: [one.txt, two.txt]
    tokens: 5e7
    prices:                             # of so many tokens together, straight in between
      - {tokens: 1e7, price: 80}
      - {tokens: 5e7, price: 250}
"""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cuvee.errors import ConfigError, CuveeError, EmptySource
from cuvee.runs.observations import check_text
from cuvee.sources.readers import SourceSpec, read_source
from cuvee.sources.tokenizer import Tokenizer
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.offer import Offer, PriceCurve
from cuvee.yaml_file import in_plain_words, read_yaml


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class _Point(_Strict):
    tokens: float
    price: float


class _Row(_Strict):
    seller: str
    sample: str | list[str]
    tokens: float
    price_per_million: float | None = None
    prices: list[_Point] | None = None
    least: float = 1.0
    text_field: str = "text"


class _Offers(_Strict):
    offers: list[_Row] = Field(min_length=1)


def read_offers(path: Path, tokenizer: Tokenizer) -> tuple[Offer, ...]:
    """The offers of a file, with their samples tokenized.

    Args:
        path: YAML as in the module's docstring.
        tokenizer: of the study.

    Raises:
        ConfigError: the file cannot be read or says something impossible; the message names row and key.
        SourceError: a sample is missing, broken or empty.
    """
    raw = read_yaml(path)
    try:
        rows = _Offers.model_validate(raw).offers
    except ValidationError as error:
        raise in_plain_words(error, _Offers, raw, str(path)) from None
    _check_sellers([row.seller for row in rows], path)
    return tuple(
        _offer(row, f"{path}: offers.{place}", path.parent, tokenizer) for place, row in enumerate(rows)
    )


def _check_sellers(names: Sequence[str], path: Path) -> None:
    for place, name in enumerate(names):
        if (first := names.index(name)) < place:
            raise ConfigError(
                f"{path}: offers.{place}.seller: '{name}' stands in offers.{first} already; put its "
                "lots into one offer"
            )


def _offer(row: _Row, where: str, folder: Path, tokenizer: Tokenizer) -> Offer:
    try:
        if not row.seller.strip():
            raise ConfigError("an offer needs the name of its seller")
        check_text("seller", row.seller)
        curve = _curve(row)
        return Offer(row.seller, _sample(row, folder, tokenizer), row.tokens, curve, row.least)
    except CuveeError as error:
        raise type(error)(f"{where}: {error}") from error


def _curve(row: _Row) -> PriceCurve:
    if (row.prices is None) == (row.price_per_million is None):
        raise ConfigError("needs either price_per_million or prices")
    if row.prices is not None:
        return PriceCurve(tuple((one.tokens, one.price) for one in row.prices))
    assert row.price_per_million is not None
    if row.price_per_million <= 0:
        raise ConfigError(
            f"price_per_million: must be above zero, not {row.price_per_million:g}; what is free need not be "
            "bought: add it as a source"
        )
    if row.tokens <= 0:
        raise ConfigError(f"tokens: must be above zero, not {row.tokens:g}")
    return PriceCurve.linear(row.tokens, row.price_per_million)


def _sample(row: _Row, folder: Path, tokenizer: Tokenizer) -> DocumentTable:
    given = [row.sample] if isinstance(row.sample, str) else row.sample
    if not given or not all(given):
        raise ConfigError("sample: name a file that may be looked at")
    spec = SourceSpec(row.seller, tuple(str(folder / one) for one in given), row.text_field)
    texts = [one.text for one in read_source(spec) if one.text.strip()]
    if not texts:
        raise EmptySource("sample: no document has any text")
    return DocumentTable.of_texts(texts, tokenizer)
