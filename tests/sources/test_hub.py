"""Datasets of the Hugging Face hub, with the library replaced at its seam."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from cuvee.errors import BrokenRecord, ConfigError, MissingSource
from cuvee.sources.hub import parse_address
from cuvee.sources.readers import SourceSpec, read_source


class FakeDatasets(ModuleType):
    def __init__(self, rows: list[dict[str, Any]]) -> None:
        super().__init__("datasets")
        self.rows = rows
        self.asked: list[Any] = []

    def load_dataset(self, name: str, config: str | None, *, split: str, streaming: bool) -> Iterator[Any]:
        if name == "none/such":
            raise RuntimeError("no network")
        self.asked.append((name, config, split, streaming))
        return iter(self.rows)


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch) -> FakeDatasets:
    fake = FakeDatasets([{"text": "a"}, {"text": "b"}])
    monkeypatch.setitem(sys.modules, "datasets", fake)
    return fake


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("hub:name", ("name", None, "train")),
        ("hub:owner/name", ("owner/name", None, "train")),
        ("hub:owner/name:test", ("owner/name", None, "test")),
        ("hub:owner/name/config:train[:10%]", None),
        ("hub:owner/name/config:validation", ("owner/name", "config", "validation")),
        ("hub:", None),
        ("hub:a/b/c/d", None),
        ("hub:a//b", None),
    ],
)
def test_addresses(address: str, parts: tuple[str, str | None, str] | None) -> None:
    if parts is None:
        with pytest.raises(ConfigError, match="hub:owner/name/config:split"):
            parse_address(address)
    else:
        assert parse_address(address) == parts


def test_rows_are_streamed(datasets: FakeDatasets) -> None:
    found = list(read_source(SourceSpec("s", ("hub:owner/name/en:test",))))
    assert [document.text for document in found] == ["a", "b"]
    assert found[1].location == "hub:owner/name/en:test:2"
    assert datasets.asked == [("owner/name", "en", "test", True)]


def test_broken_rows_are_told(datasets: FakeDatasets) -> None:
    datasets.rows = [{"text": None}, {"body": "x"}, {"text": "a"}]
    told: list[str] = []
    spec = SourceSpec("s", ("hub:name",), allow_broken=True)
    assert [d.text for d in read_source(spec, lambda error: told.append(str(error)))] == ["a"]
    assert "hub:name:1: field 'text' must be a string" in told[0]
    assert "no field 'text' (fields: body); set text_field" in told[1]
    with pytest.raises(BrokenRecord):
        list(read_source(SourceSpec("s", ("hub:name",))))


def test_a_dataset_that_cannot_be_opened_is_told(datasets: FakeDatasets) -> None:
    with pytest.raises(MissingSource, match="no network"):
        list(read_source(SourceSpec("s", ("hub:none/such",))))


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"pip install 'cuvee\[hub\]'"):
        list(read_source(SourceSpec("s", ("hub:name",))))
