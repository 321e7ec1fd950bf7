"""Records of JSON and Parquet: every layout of a file, fields inside fields, conversations, and limits."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cuvee.errors import BrokenRecord, ConfigError
from cuvee.sources.readers import SourceSpec, read_source
from tests.sources.helpers import write_bytes

MARK = b"\xef\xbb\xbf"
CHAT = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]


def read(path: Path, **changes: Any) -> list[str]:
    return [one.text for one in read_source(SourceSpec("s", (str(path),), **changes))]


def allowed(path: Path, **changes: Any) -> tuple[list[str], list[str]]:
    """What is read and what is said where broken records are allowed."""
    notes: list[str] = []
    spec = SourceSpec("s", (str(path),), allow_broken=True, **changes)
    return [one.text for one in read_source(spec, lambda error: notes.append(str(error)))], notes


# --- layouts of .json -------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".json", ".json.gz", ".json.zst", ".json.bz2", ".json.xz"])
@pytest.mark.parametrize("mark", [b"", MARK])
@pytest.mark.parametrize(
    "data",
    [
        '{"text": "one"}\n{"text": "zwei ü"}\n',
        '\n\n {"text": "one"}\r\n\n{"text": "zwei ü"}',
        '[{"text": "one"}, {"text": "zwei ü"}]',
        '\n[\n  {\n    "text": "one"\n  },\n  {\n    "text": "zwei ü"\n  }\n]\n',
        '{\n  "text": "one"\n}\n{\n  "text":\n"zwei ü"}\n',
        '{"text":\n"one"}{"text": "zwei ü"}',
    ],
)
def test_json_in_every_layout(tmp_path: Path, suffix: str, mark: bytes, data: str) -> None:
    assert read(write_bytes(tmp_path / f"a{suffix}", mark + data.encode())) == ["one", "zwei ü"]


def test_arrays_are_read_across_blocks_and_say_where_a_record_is(tmp_path: Path) -> None:
    texts = ["x" * 200_000, "ü" * 70_000, *(f'{i} \\ "quoted"' * 9 for i in range(3000)), "y" * 3_000_000]
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"text": text, "n": {"m": [1, {}]}} for text in texts], indent=1))
    found = list(read_source(SourceSpec("s", (str(path),))))
    assert [one.text for one in found] == texts
    assert found[2].location == f"{path}:{2 * 9 + 2}[2]"
    path.write_text("[]")
    assert read(path) == []


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ('[{"text": "a"}, {"text": "b"', r":1: is no valid JSON.*nothing after it can be read"),
        ('[{"text": "a"},\n{"text" "b"},\n{"text": "c"}]', r":2: is no valid JSON: Expecting ':'"),
        ('[{"text": "a"}\n{"text": "b"}]', ":2: a comma or the end of the array is missing"),
        ('[{"text": "a"}]\n{"text": "b"}', ":2: something follows the end of the array"),
        ('[{"text": "a"}, 7]', r":1\[1\]: must be a JSON object with fields, not int"),
        ('[{"text": "a"}, ' + "[" * 50_000, ":1: is no valid JSON: maximum recursion"),
        ('[{"text": "a"}, {"text": "\\ud83c"}]', "half a surrogate pair"),
        ('[{"text": "a"},' + " " * 40_000 + "]", "blank space"),
    ],
)
def test_a_broken_array_is_named_with_its_line(tmp_path: Path, data: str, says: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(data)
    with pytest.raises(BrokenRecord, match=rf"a\.json{says}" if says.startswith(":") else says):
        read(path, document_bytes=10_000)
    texts, notes = allowed(path, document_bytes=10_000)
    assert (texts, len(notes)) == (["a"], 1)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[1, 2", b"nothing", b'[{"text" 1}]', b"\xff\xfe[\0{\0", b"[\xff]"]
)
def test_json_of_which_nothing_can_be_read(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(data)
    empty = data in (b"", b"nothing", b"[1, 2")  # no record, or broken ones
    if empty:
        assert allowed(path)[0] == []
    for reads in () if empty else (read, allowed):
        with pytest.raises(BrokenRecord, match=r"a\.json:1"):
            reads(path)


def test_a_line_that_is_an_array_says_what_to_do(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "a.jsonl", b'[{"text": "a"}]')
    with pytest.raises(BrokenRecord, match=r"a\.jsonl:1: must be a JSON object, not an array.*named \.json"):
        read(path)


# --- fields inside fields, and conversations --------------------------------------------------------


def both(tmp_path: Path, records: list[dict[str, Any]]) -> list[Path]:
    """The records as JSON lines and as Parquet."""
    lines = write_bytes(tmp_path / "a.jsonl", "".join(json.dumps(one) + "\n" for one in records).encode())
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")
    return [lines, tmp_path / "a.parquet"]


def test_a_field_inside_another(tmp_path: Path) -> None:
    records = [{"id": i, "data": {"text": f"t{i}", "meta": {"lang": "en"}}} for i in range(3)]
    for path in both(tmp_path, records):
        assert read(path, text_field="data.text") == ["t0", "t1", "t2"]
        assert read(path, text_field="data.meta.lang") == ["en"] * 3
        with pytest.raises(
            BrokenRecord, match=r"id, data\.text, data\.meta\.lang|data\.text, data\.meta\.lang"
        ):
            read(path, text_field="text")
        with pytest.raises(BrokenRecord, match=r"data\.text"):
            read(path, text_field="data")


def test_a_name_with_a_point_comes_before_a_path(tmp_path: Path) -> None:
    for path in both(tmp_path, [{"data.text": "flat", "data": {"text": "deep"}}]):
        assert read(path, text_field="data.text") == ["flat"]


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        (CHAT, "Why?\n\nBecause."),
        ([{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "Because."}], "Why?\n\nBecause."),
        ([{"role": "user", "content": [{"type": "text", "text": "Why?"}]}, *CHAT[1:]], "Why?\n\nBecause."),
        ([{"role": "assistant", "content": None, "tool": "f"}, *CHAT], "Why?\n\nBecause."),
        ([{"role": "user", "content": [{"type": "image", "url": "u"}]}], ""),
        ([], ""),
    ],
)
def test_messages_are_joined(tmp_path: Path, messages: list[Any], text: str) -> None:
    path = write_bytes(tmp_path / "a.jsonl", json.dumps({"chat": {"messages": messages}}).encode())
    assert read(path, text_field="chat.messages") == [text]


def test_messages_of_parquet(tmp_path: Path) -> None:
    assert [read(path, text_field="m") for path in both(tmp_path, [{"m": CHAT}])] == [
        ["Why?\n\nBecause."]
    ] * 2


@pytest.mark.parametrize(
    "value", [["a", "b"], [1], [{"sentence": "a"}], [[]], [{"content": 1}], {"a": 1}, 1, True]
)
def test_what_is_neither_text_nor_a_conversation(tmp_path: Path, value: Any) -> None:
    path = write_bytes(tmp_path / "a.jsonl", json.dumps({"text": value}).encode())
    with pytest.raises(
        BrokenRecord, match=rf"a\.jsonl:1: field 'text' must be a string, not {type(value).__name__}"
    ):
        read(path)


def test_two_fields_of_one_name(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "a.jsonl", b'{"text": "a", "n": 1, "n": 2}\n{"text": "b", "text": "c"}\n')
    with pytest.raises(BrokenRecord, match=r"a\.jsonl:2: there are two fields 'text' in one object"):
        read(path)
    assert allowed(path)[0] == ["a"]
    twice = pa.table([["a"], ["b"]], names=["text", "text"])
    pq.write_table(twice, tmp_path / "a.parquet")
    for allow_broken in (False, True):
        with pytest.raises(BrokenRecord, match=r"a\.parquet: two columns 'text'; name one"):
            read(tmp_path / "a.parquet", allow_broken=allow_broken)
    inside = pa.StructArray.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    pq.write_table(pa.table({"data": inside}), tmp_path / "b.parquet")
    with pytest.raises(BrokenRecord, match=r"b\.parquet: two fields 'text' in one structure"):
        read(tmp_path / "b.parquet", text_field="data.text")


# --- limits -----------------------------------------------------------------------------------------


def test_a_document_has_a_limit(tmp_path: Path) -> None:
    records = [{"text": "a"}, {"text": "b" * 1001}, {"text": "c"}]
    array = tmp_path / "a.json"
    array.write_text(json.dumps(records))
    for path in (*both(tmp_path, records), array):
        with pytest.raises(
            BrokenRecord, match=r"a\.\w+:[12](\[1\])?: field 'text' has 1001 bytes, and a doc"
        ):
            read(path, document_bytes=1000)
        assert allowed(path, document_bytes=1000)[0] == ["a", "c"]
        assert read(path, document_bytes=1001) == [one["text"] for one in records]
        assert len(read(path, document_bytes=1000, chunk_characters=900)) == 4
    text = write_bytes(tmp_path / "a.txt", b"x" * 1001)
    with pytest.raises(
        BrokenRecord, match=r"a\.txt: is one document of more than 1000 bytes.*chunk_characters"
    ):
        read(text, document_bytes=1000)
    assert "".join(read(text, document_bytes=1000, chunk_characters=100)) == "x" * 1001
    with pytest.raises(ConfigError, match="chunk_characters of source 's' must be at most 1000"):
        read(text, document_bytes=1000, chunk_characters=1001)


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst", ".bz2", ".xz"])
def test_a_record_that_never_ends_is_refused_before_memory_goes(tmp_path: Path, suffix: str) -> None:
    """Millions of bytes from some hundred; the record behind them is read where broken ones are allowed."""
    size = 30_000_000 if suffix else 3_000_000
    data = b'{"text": "a"}\n{"text": "' + bytes(size) + b'"}\n{"text": "c"}\n'
    path = write_bytes(tmp_path / f"a.jsonl{suffix}", data)
    with pytest.raises(BrokenRecord, match=r"a\.jsonl[.\w]*:2: the record is larger than 1.95 MB"):
        read(path, document_bytes=1_024_000)
    assert allowed(path, document_bytes=1_024_000)[0] == ["a", "c"]
    texts, notes = allowed(path, document_bytes=10_000)
    assert texts == ["a"] and len(notes) == 2
    assert re.search(r"a\.jsonl[.\w]*:3: a line does not end within 1.22 MB; nothing after it", notes[1])


def test_blank_lines_without_an_end(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "a.jsonl.zst", b'{"text": "a"}\n' + b"\n" * 2_000_000)
    with pytest.raises(BrokenRecord, match=r"more than 1 MB of blank lines"):
        read(path)


def test_a_text_that_is_stored_once_and_meant_many_times(tmp_path: Path) -> None:
    """Rows are then read one at a time: a thousand of them at once would be 20 GB."""
    indices = pa.array([0] * 5000, pa.int32())
    column = pa.DictionaryArray.from_arrays(indices, pa.array(["x" * 20_000_000]))
    path = tmp_path / "a.parquet"
    for kind in (column, pa.chunked_array([column]).cast(column.type)):
        pq.write_table(pa.table({"text": kind}), path, dictionary_pagesize_limit=1 << 30, compression="zstd")
        with pytest.raises(BrokenRecord, match=r"a\.parquet:1: field 'text' has 19.1 MB"):
            read(path)


def test_messages_stay_short(tmp_path: Path) -> None:
    """Whatever a file calls its fields, and however many there are."""
    records = [{"x" * 100_000: 1, **{f"f{i}": "a" for i in range(1000)}}]
    for path in both(tmp_path, records):
        with pytest.raises(BrokenRecord, match=r"xxx\.\.\., f0, f1, .*\.\.\.") as caught:
            read(path)
        assert len(str(caught.value)) < 1000
