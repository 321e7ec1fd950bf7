"""The documents of a source, each in one part."""

import json
from pathlib import Path

import pytest

from cuvee.errors import SourceError
from cuvee.lineage.divided_text import check_divided
from cuvee.sources.readers import SourceSpec


def spec(folder: Path, name: str, *texts: str) -> SourceSpec:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return SourceSpec(name, (str(path),))


def test_parts_that_are_the_whole(tmp_path: Path) -> None:
    whole = spec(tmp_path, "web", "one", "two", "two", " ", "three")
    parts = [spec(tmp_path, "en", "three", ""), spec(tmp_path, "de", "two", "one", "one")]
    check_divided(whole, parts)


@pytest.mark.parametrize(
    ("en", "de", "message"),
    [
        (
            ["one"],
            ["three", "one", "two"],
            r"de.jsonl:2: the document is in part 'de' and in part 'en'; parts",
        ),
        (
            ["one"],
            ["two", "four", "three"],
            r"de.jsonl:2: part 'de' has a document that source 'web' has not",
        ),
        (["one"], ["two"], r"web.jsonl:3: in no part of source 'web' \(1 document in all\)"),
        (["one"], ["one "], "'web' has not"),
        ([], ["two"], r"web.jsonl:1: in no part of source 'web' \(2 documents in all\)"),
    ],
)
def test_parts_that_are_not(tmp_path: Path, en: list[str], de: list[str], message: str) -> None:
    whole = spec(tmp_path, "web", "one", "two", "three")
    en_spec = spec(tmp_path, "en", *en) if en else spec(tmp_path, "en", " ")
    with pytest.raises(SourceError, match=message):
        check_divided(whole, [en_spec, spec(tmp_path, "de", *de)])
