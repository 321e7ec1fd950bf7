"""Readers: real files of every type, and what is said of broken ones."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuvee.errors import BrokenRecord, ConfigError, MissingSource
from cuvee.sources.file_types import TOKEN_TYPES, TYPES
from cuvee.sources.readers import READERS, SourceSpec, read_source, split_text
from tests.sources.helpers import write_bytes, write_lines

TEXTS = ["one", "zwei\nZeilen", "trois é 🍇", ""]


def read(*paths: Path | str, **changes: Any) -> list[str]:
    return [document.text for document in documents(*paths, **changes)]


def documents(*paths: Path | str, **changes: Any) -> Any:
    return list(read_source(SourceSpec("s", tuple(map(str, paths)), **changes)))


def broken(*paths: Path | str, **changes: Any) -> tuple[list[str], list[str]]:
    """What is read, and what is told, when broken records are allowed."""
    told: list[str] = []
    spec = SourceSpec("s", tuple(map(str, paths)), allow_broken=True, **changes)
    texts = [document.text for document in read_source(spec, lambda error: told.append(str(error)))]
    return texts, told


@pytest.mark.parametrize(
    "suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".jsonl.bz2", ".jsonl.xz", ".ndjson", ".json", ".json.gz"]
)
def test_json_lines(tmp_path: Path, suffix: str) -> None:
    path = write_lines(tmp_path / f"a{suffix}", TEXTS)
    found = documents(path)
    assert [document.text for document in found] == TEXTS
    assert [document.location for document in found] == [f"{path}:{i}" for i in range(1, 5)]
    assert {document.source for document in found} == {"s"}


@pytest.mark.parametrize("suffix", [".txt", ".md", ".txt.gz", ".txt.zst"])
def test_a_text_file_is_one_document(tmp_path: Path, suffix: str) -> None:
    path = write_bytes(tmp_path / f"a{suffix}", "one\r\n\r\ntwo ü\n".encode())
    assert read(path) == ["one\r\n\r\ntwo ü\n"]
    assert documents(path)[0].location == str(path)


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_parquet(tmp_path: Path, kind: pa.DataType) -> None:
    table = pa.table({"id": [1, 2, 3, 4], "content": pa.array(TEXTS).cast(kind)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=3)
    found = documents(tmp_path / "a.parquet", text_field="content")
    assert [document.text for document in found] == TEXTS
    assert found[3].location == f"{tmp_path / 'a.parquet'}:4"


def test_records_longer_than_a_block_and_lines_across_blocks(tmp_path: Path) -> None:
    texts = ["x" * 3_000_000, "y", "ü" * 700_000, *(str(i) * 1000 for i in range(2000))]
    assert read(write_lines(tmp_path / "a.jsonl.zst", texts)) == texts
    long = "".join(texts)
    assert read(write_bytes(tmp_path / "b.txt", long.encode())) == [long]


def test_other_fields_blank_lines_and_a_missing_last_newline(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"body": "a", "text": 3}\n\n  \r\n{"body": "b"}')
    assert read(path, text_field="body") == ["a", "b"]
    assert documents(path, text_field="body")[1].location == f"{path}:4"


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    lines = write_bytes(tmp_path / "a.jsonl", b'\xef\xbb\xbf{"text": "a"}\n')
    text = write_bytes(tmp_path / "b.txt", b"\xef\xbb\xbfb\xef\xbb\xbf")
    assert read(lines, text) == ["a", "b\ufeff"]


def test_folders_and_patterns_are_read_in_order_of_name(tmp_path: Path) -> None:
    for name in ("b/2.txt", "a/1.txt", "c.md", "a/.hidden.txt", ".git/3.txt", "a/notes.csv", "a/4.jsonl.bak"):
        write_bytes(tmp_path / name, name.encode())
    assert read(tmp_path) == ["a/1.txt", "b/2.txt", "c.md"]
    assert read(tmp_path / "*" / "*.txt") == ["a/1.txt", "b/2.txt"]
    assert read(tmp_path / "**" / "*.txt") == ["a/1.txt", "b/2.txt"]
    assert read(tmp_path / "c.md", tmp_path) == ["c.md", "a/1.txt", "b/2.txt"]


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    assert read(write_bytes(tmp_path / "a[1].txt", b"x")) == ["x"]


@pytest.mark.parametrize("path", ["gone.jsonl", "*.jsonl", "empty"])
def test_what_is_not_there_is_told(tmp_path: Path, path: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingSource, match="of source 's'"):
        read(tmp_path / path)


@pytest.mark.parametrize("name", ["a.csv", "a", "a.parquet.zst", "a.zst"])
def test_unknown_types_are_told(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"known types are \.txt"):
        read(path)
    assert (
        set(READERS)
        == set(TYPES) - set(TOKEN_TYPES)
        == {".txt", ".md", ".jsonl", ".ndjson", ".json", ".parquet"}
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"text": "a"', "no valid JSON"),
        (b"[" * 100_000, "no valid JSON"),
        (b'["text"]', "JSON object"),
        (b'{"body": "a"}', r"no field 'text' \(fields: body\)"),
        (b"{}", "fields: none"),
        (b'{"text": null}', "must be a string, not NoneType"),
        (b'{"text": ["a"]}', "must be a string, not list"),
        (b'{"text": "a\xff"}', "not UTF-8 at byte 11"),
        (b'{"text": "\\ud83c"}', "half a surrogate pair"),
    ],
)
def test_a_broken_line_is_told_with_file_and_line(tmp_path: Path, line: bytes, says: str) -> None:
    path = write_bytes(tmp_path / "a.jsonl.zst", b'{"text": "before"}\n' + line + b'\n{"text": "after"}\n')
    with pytest.raises(BrokenRecord, match=f"a.jsonl.zst:2: .*{says}"):
        read(path)
    texts, told = broken(path)
    assert texts == ["before", "after"]
    assert len(told) == 1


def test_a_whole_surrogate_pair_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "\\ud83c\\udf47"}')
    assert read(path) == ["🍇"]


@pytest.mark.parametrize("before", [0, 10, (1 << 20) - 1, (1 << 20) - 4, 3 << 20])
@pytest.mark.parametrize("tail", [b"\xff after", b"\xe2\x82"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_text_that_is_not_utf8_is_told_with_its_byte(
    tmp_path: Path, before: int, tail: bytes, mark: bytes
) -> None:
    bad = write_bytes(tmp_path / "a.txt", mark + b"x" * before + tail)
    good = write_bytes(tmp_path / "b.txt", b"good")
    with pytest.raises(BrokenRecord, match=rf"a\.txt: is not UTF-8 at byte {len(mark) + before} "):
        read(bad, good)
    texts, told = broken(bad, good)
    assert texts == ["good"]
    assert len(told) == 1


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".xz"])
def test_a_truncated_file_is_told(tmp_path: Path, suffix: str) -> None:
    path = write_lines(tmp_path / f"a.jsonl{suffix}", [f"{i * 7919 % 10007}" for i in range(50000)])
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(BrokenRecord, match=r"a\.jsonl\.\w+:\d+: "):
        read(path)
    texts, told = broken(path)
    assert len(told) == 1 and "nothing after it can be read" in told[0]
    assert texts == [f"{i * 7919 % 10007}" for i in range(len(texts))] != []


def test_a_file_that_is_not_what_its_name_says_is_told(tmp_path: Path) -> None:
    for name in ("a.jsonl.zst", "a.jsonl.gz", "a.parquet"):
        path = tmp_path / name
        path.write_bytes(b"plain text, long enough to be looked at")
        with pytest.raises(BrokenRecord, match=f"{name}:1: cannot read on"):
            read(path)


def test_parquet_columns_and_rows_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a", None, "b"], "number": [1, 2, 3]}), path)
    with pytest.raises(BrokenRecord, match=r"a\.parquet:2: column 'text' is empty"):
        read(path)
    assert broken(path)[0] == ["a", "b"]
    with pytest.raises(BrokenRecord, match="no column 'body'; set text_field to one of: text, number"):
        read(path, text_field="body")
    with pytest.raises(BrokenRecord, match="holds int64, not strings"):
        read(path, text_field="number")
    with pytest.raises(BrokenRecord, match="holds int64, not strings"):
        broken(path, text_field="number")
    invalid = pa.StringArray.from_buffers(
        2, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff")
    )
    pq.write_table(pa.table({"text": invalid}), path)
    with pytest.raises(BrokenRecord, match=r"a\.parquet:2: is not UTF-8 at byte 0"):
        read(path)


@given(st.text("ab \n", max_size=120), st.integers(1, 30), st.integers(1, 9))
def test_pieces_add_up_and_are_small_enough(text: str, limit: int, size: int) -> None:
    pieces = list(split_text([text], limit))
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= limit for piece in pieces)
    fragments = [text[i : i + size] for i in range(0, len(text), size)]
    assert list(split_text(fragments, limit)) == pieces
    assert all(len(a) + len(b) > limit or a.endswith("\n") for a, b in pairwise(pieces))


def test_pieces_end_at_paragraphs_then_lines() -> None:
    text = "aa\nbb\n\ncc\n\ndd\nee\nffffffffffffff\n"
    assert list(split_text([text], 11)) == ["aa\nbb\n\ncc\n\n", "dd\nee\n", "fffffffffff", "fff\n"]


def test_long_documents_are_cut_in_every_format(tmp_path: Path) -> None:
    text = "first paragraph\n\nsecond paragraph\n\nthird"
    lines = write_lines(tmp_path / "a.jsonl", [text, "short"])
    file = write_bytes(tmp_path / "b.txt", text.encode())
    cut = ["first paragraph\n\n", "second paragraph\n\n", "third"]
    assert read(lines, file, chunk_characters=20) == [*cut, "short", *cut]
    assert [document.location for document in documents(lines, file, chunk_characters=20)] == [
        *(f"{lines}:1#{i}" for i in range(3)),
        f"{lines}:2",
        *(f"{file}#{i}" for i in range(3)),
    ]


def test_max_bytes_keeps_whole_documents_and_reads_no_further(tmp_path: Path) -> None:
    path = write_bytes(
        tmp_path / "a.jsonl", b'{"text": "\xc3\xa9\xc3\xa9"}\n{"text": "ab"}\n{"text": "c"}\nbroken'
    )
    assert read(path, max_bytes=6) == ["éé", "ab"]
    assert read(path, max_bytes=4) == ["éé"]
    assert read(path, max_bytes=3) == []


def test_documents_come_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "a"}) + "\nbroken\n")
    stream = read_source(SourceSpec("s", (str(path),)))
    assert next(stream).text == "a"
    with pytest.raises(BrokenRecord):
        next(stream)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"paths": ()},
        {"paths": "a.txt"},
        {"paths": ("",)},
        {"max_bytes": 0},
        {"chunk_characters": 0},
    ],
)
def test_impossible_specs_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        SourceSpec(**({"name": "s", "paths": ("a.txt",)} | changes))
