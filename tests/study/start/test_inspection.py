"""Looking at folders as they lie around: the field of the text, what is no source, what `run` refuses."""

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cuvee.cli.app import app
from cuvee.errors import BrokenRecord, ConfigError, CuveeError, MissingSource
from cuvee.sources.readers import SourceSpec, read_source
from cuvee.sources.tokenizer import train_tokenizer
from cuvee.study.file.config import StudyConfig
from cuvee.study.start.inspection import FoundSource, inspect
from tests.sources.helpers import write_bytes
from tests.sources.token_writers import arrow, datatrove, megatron, olmo

CHAT = [{"role": "user", "content": "Why is it so?"}, {"role": "assistant", "content": "Because it is."}]


def sentence(number: int) -> str:
    return f"Sentence number {number} of a little text that says nothing much about anything."


def records(count: int = 20, **fields: Any) -> list[dict[str, Any]]:
    """Records of which each field is a value, or a function of the number."""
    return [{key: one(i) if callable(one) else one for key, one in fields.items()} for i in range(count)]


def lines(path: Path, rows: list[dict[str, Any]], mark: bytes = b"") -> Path:
    return write_bytes(path, mark + "".join(json.dumps(row) + "\n" for row in rows).encode())


def one(folder: Path) -> FoundSource:
    (source,) = inspect(folder)
    return source


def url(number: int) -> str:
    return f"https://example.org/section/{number}/a/rather/long/path/index.html?lang=en&page=1"


# --- the field that holds the text ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"id": str, "url": url, "data": lambda i: {"text": sentence(i)}}, "data.text"),
        ({"source": "some-org/some-dataset", "messages": CHAT}, None),
        ({"source": "some-org/a", "messages": lambda i: [{"role": "u", "content": sentence(i)}]}, "messages"),
        ({"conversations": lambda i: [{"from": "human", "value": sentence(i)}]}, "conversations"),
        ({"instruction": lambda i: 3 * sentence(i), "output": sentence}, "output"),
        ({"prompt": lambda i: 3 * sentence(i), "completion": sentence}, "completion"),
        ({"text": "", "content": sentence}, "content"),
        ({"text": None, "content": sentence}, "content"),
        ({"text": "  \n", "body": sentence}, "body"),
        ({"text": url, "content": sentence}, "content"),
        ({"text": "the same for all", "content": sentence}, "content"),
        ({"text": lambda i: f"{i:08x}-{i}", "content": sentence}, "content"),
        ({"text": lambda i: ("good", "bad")[i % 2], "content": sentence}, "content"),
        ({"text": sentence, "html": lambda i: 9 * sentence(i)}, "text"),
        ({"title": lambda i: 9 * sentence(i), "abstract": sentence}, "abstract"),
        ({"meta": {"text": "en"}, "text": sentence}, "text"),
        ({"raw": {"Text": sentence(1)}, "story": sentence}, "story"),
        ({"text": lambda i: "".join(chr(0x4E00 + 7 * i + k) for k in range(30))}, "text"),
        ({"words": lambda i: "".join(chr(0x4E00 + 7 * i + k) for k in range(30))}, "words"),
        (
            {"prompt": lambda i: {"text": sentence(i)}, "response": lambda i: {"text": sentence(-i)}},
            "response.text",
        ),
        ({"userPrompt": sentence, "model_output": sentence}, "model_output"),
        (
            {
                "chosen": lambda i: [{"content": sentence(i)}],
                "rejected": lambda i: 2 * [{"content": sentence(i)}],
            },
            "chosen",
        ),
        (
            {"messages": lambda i: json.dumps([{"role": "u", "content": sentence(i)}]), "story": sentence},
            "story",
        ),
        ({"text": lambda i: f"{'abcdefghijklmnopqrst'[i]}nna Miller", "biography": sentence}, "biography"),
        ({"passage": lambda i: sentence(i // 4), "title": sentence}, "passage"),
        ({"story": lambda i: sentence(i // 4), "url": url}, None),
        ({"passage": sentence, "answers": lambda i: [{"text": f"no. {i}", "start": 3}]}, "passage"),
        ({"story": sentence, "answers": lambda i: [{"text": f"no. {i}", "start": 3}]}, "story"),
        ({"chat": lambda i: [{"content": f"w{i}"}]}, None),
        ({"chat": lambda i: [{"content": "no"}, {"content": f"yes {i}"}]}, "chat"),
        ({"content": lambda i: [{"content": sentence(i)}], "n": 1}, "content"),
        ({"_id": str, "_source": lambda i: {"content": sentence(i)}}, "_source.content"),
        ({"a": {"b": {"c": sentence(1)}}, "n": 1, "code": lambda i: f"x{i} = 1"}, "code"),
    ],
)
def test_the_field_that_holds_the_text(tmp_path: Path, fields: dict[str, Any], name: str | None) -> None:
    rows = records(**fields)
    lines(tmp_path / "a.jsonl", rows)
    if name is None:
        with pytest.raises(ConfigError, match="no field looks like text"):
            inspect(tmp_path)
        return
    assert one(tmp_path).text_field == name
    spec = SourceSpec("a", (str(tmp_path / "a.jsonl"),), text_field=name)
    assert len({document.text for document in read_source(spec)}) >= 5, "run reads what init chose"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"url": url}, "`url` holds URLs"),
        ({"text": url}, "`text` holds URLs"),
        ({"text": "always the same words"}, "`text` holds one constant"),
        ({"text": ""}, "`text` holds nothing"),
        ({"text": lambda i: f"{i * 7919:012d}"}, "`text` holds ids or numbers"),
        ({"text": lambda i: str(i % 3 == 0)}, "`text` holds labels"),
        ({"n": 1, "ok": True}, "`n` holds numbers; `ok` holds true or false"),
        ({"prompt": lambda i: 3 * sentence(i), "n": 1}, "`prompt` holds a prompt; `n` holds numbers"),
        ({"question": sentence, "answer": lambda i: str(i)}, "`answer` holds ids or numbers"),
        ({"title": sentence}, "`title` holds labels"),
        (
            {"messages": lambda i: json.dumps([{"role": "u", "content": sentence(i)}])},
            "`messages` holds JSON in",
        ),
        ({"messages": lambda i: repr([{"role": "u", "content": sentence(i)}])}, "`messages` holds JSON in a"),
        ({"dialog": lambda i: [sentence(i), sentence(-i)]}, "`dialog` holds a list that is no conversation"),
        ({"input": lambda i: {"text": sentence(i)}}, "`input.text` holds a prompt"),
        ({"label": sentence, "when": "2020-01-01"}, "`label` holds labels; `when` holds one constant"),
        ({"when": lambda i: f"Mon, {i} Jan 2020 10:00:00 GMT"}, "`when` holds labels"),
        ({"heading": sentence, "pages": lambda i: [sentence(i)] * 3}, "`pages` holds a list that is no conv"),
        (
            {"about": sentence, "pages": lambda i: [sentence(i)] * 3},
            "`about` holds less than a list beside it",
        ),
        ({"name": lambda i: f"{'abcdefghijklmnopqrst'[i]}nna Miller"}, "`name` holds labels"),
        ({"town": lambda i: "abcdefghijklmnopqrst"[i] + "ville"}, "`town` holds labels"),
        ({}, "there are no fields"),
    ],
)
def test_where_no_field_looks_like_text_all_are_named(
    tmp_path: Path, fields: dict[str, Any], says: str
) -> None:
    lines(tmp_path / "a.jsonl", records(**fields))
    with pytest.raises(ConfigError, match=r"a\.jsonl: no field looks like text") as caught:
        inspect(tmp_path)
    assert says in str(caught.value)
    assert "text_field" in str(caught.value)


def test_parquet_has_the_same_rules(tmp_path: Path) -> None:
    rows = records(url=url, data=lambda i: {"text": sentence(i)}, n=lambda i: i, m=lambda i: CHAT)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert one(tmp_path).text_field == "data.text"
    pq.write_table(pa.Table.from_pylist(records(url=url, n=1)), tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match=r"`url` holds URLs"):
        inspect(tmp_path)


def test_a_column_that_is_too_large_or_no_python_value(tmp_path: Path) -> None:
    """Beside the text it does not matter; a text that is too large is refused as run refuses it."""
    beside = {
        "html": ["x" * (1 << 25), "y"],
        "at": pa.array([1, 2], pa.timestamp("ns")),
        "text": [sentence(1), sentence(2)],
    }
    pq.write_table(pa.table(beside), tmp_path / "a.parquet")
    assert one(tmp_path).text_field == "text"
    pq.write_table(pa.table({"text": ["x y " * (1 << 23), "y"]}), tmp_path / "a.parquet")
    with pytest.raises(
        BrokenRecord, match=r"a\.parquet:1: field 'text' has 32 MB, and a document at most 16 MB"
    ):
        inspect(tmp_path)


def test_what_is_left_out_or_joined_is_said(tmp_path: Path) -> None:
    lines(tmp_path / "sft.jsonl", records(instruction=sentence, input="", output=sentence, id=str))
    lines(tmp_path / "chat.jsonl", records(messages=lambda i: [{"role": "u", "content": sentence(i)}]))
    lines(tmp_path / "pref.jsonl", records(prompt=sentence, chosen=sentence, rejected=sentence))
    lines(tmp_path / "paper.jsonl", records(title=sentence, abstract=sentence))
    lines(tmp_path / "alpaca.jsonl", records(instruction=sentence, output=sentence, text=sentence))
    lines(tmp_path / "pair.jsonl", records(en=lambda i: 2 * sentence(i), fr=sentence))
    lines(tmp_path / "plain.jsonl", records(text=sentence, title=sentence, url=url))
    remarks = {source.name: source.remarks for source in inspect(tmp_path)}
    assert remarks == {
        "sft": ("only `output` is taken, `instruction` is left out",),
        "chat": ("the messages in `messages` are joined",),
        "pref": ("only `chosen` is taken, `prompt` and `rejected` are left out",),
        "paper": ("only `abstract` is taken, `title` is left out",),
        "alpaca": ("only `text` is taken, `instruction` and `output` are left out",),
        "pair": ("only `en` is taken, `fr` is left out",),
        "plain": (),
    }


# --- what run would refuse --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", b'{"text": "a"}\n' * 30 + b'{"text": '),
        ("a.jsonl", b'{"text": "a b"}\n{"text": "\\ud83c"}\n'),
        ("a.jsonl", b'{"text": "a b"}\n{"text": "\xff"}\n'),
        ("a.jsonl", b'{"text": "a b"}\n{"content": "c"}\n'),
        ("a.jsonl", b'{"text": "a b"}\n{"text": null}\n'),
        ("a.jsonl", b'{"text": "a b"}\n' + b"[" * 100_000 + b"\n"),
        ("a.json", b'[{"text": "a b"},\n{"text": "c"'),
        ("a.json", b"[" * 100_000),
        ("a.txt", b"\xffnot utf-8"),
        ("a.txt.gz", b"no gzip"),
        ("a.parquet", b"PAR1"),
        ("a.jsonl", b'{"text": "a b"}\n{"text": "' + b"x" * (1 << 24) + b'x"}\n'),
    ],
)
def test_init_says_what_run_would_say(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(BrokenRecord) as of_run:
        list(read_source(SourceSpec("a", (str(path),))))
    with pytest.raises(BrokenRecord) as of_init:
        inspect(tmp_path)
    assert str(of_init.value) == str(of_run.value)


def test_a_byte_order_mark_and_two_columns(tmp_path: Path) -> None:
    lines(tmp_path / "web.jsonl", records(text=sentence), mark=b"\xef\xbb\xbf")
    assert (one(tmp_path).text_field, one(tmp_path).documents_sampled) == ("text", 20)
    pq.write_table(pa.table([["a"], ["b"]], names=["text", "text"]), tmp_path / "a.parquet")
    with pytest.raises(BrokenRecord, match=r"a\.parquet: two columns 'text'; name one"):
        inspect(tmp_path)


def test_a_text_larger_than_a_document_is_cut(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    with (tmp_path / "texts" / "book.txt").open("wb") as file:
        file.write(b"once upon a time\n" * 1_000_000)
    result = CliRunner().invoke(app, ["init", str(tmp_path / "texts")])
    assert result.exit_code == 0, result.stderr
    assert "book: files of more than 16 MB are cut into pieces of 50,000 characters" in result.stdout
    source = StudyConfig.load(tmp_path / "texts.cuvee").sources["book"]
    assert source.chunk_characters == 50_000


# --- what is no source ------------------------------------------------------------------------------


def test_cards_beside_the_data_are_named(tmp_path: Path) -> None:
    data = tmp_path / "texts"
    for name in ("README.md", "LICENSE.txt", "CHANGES.md"):
        write_bytes(data / "c4" / name, b"about")
    lines(data / "c4" / "en" / "c4-train.00000-of-00002.json.gz", records(text=sentence, url="u"))
    write_bytes(data / "c4" / "en" / "c4.idx", b"x")
    lines(data / "mail.jsonl", records(text=sentence))
    for name in ("README.md", "a.csv", "b.exe"):
        write_bytes(data / name, b"x")
    write_bytes(data / "scripts" / "run.py", b"x")
    found = inspect(data)
    c4, mail = found
    assert (c4.name, c4.files, c4.documents_sampled, c4.text_field) == ("c4", 1, 20, "text")
    assert c4.remarks == (
        "passed over 3 cards and licences (CHANGES.md, LICENSE.txt, README.md)",
        "passed over 1 file of unknown kind (.idx: c4.idx)",
    )
    assert (mail.name, mail.remarks) == ("mail", ())
    assert found.passed_over == (
        "1 card or licence (README.md)",
        "3 files of unknown kind (.csv, .exe, .py: a.csv, b.exe, run.py)",
    )
    printed = CliRunner().invoke(app, ["init", str(data)]).stdout
    assert "c4: passed over 3 cards and licences (CHANGES.md, LICENSE.txt, README.md)\n" in printed
    assert "no source: 1 card or licence (README.md)\n" in printed


@pytest.mark.parametrize("name", ["README.md", "LICENSE", "part.jsonl"])
def test_a_source_of_nothing_but_cards_is_an_error(tmp_path: Path, name: str) -> None:
    lines(tmp_path / "good.jsonl", records(text=sentence))
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    write_bytes(tmp_path / "c4" / name, pointer if name == "part.jsonl" else b"about")
    write_bytes(tmp_path / "c4" / "data.csv", b"x")
    with pytest.raises(
        MissingSource, match=rf"c4: there is nothing in it but 1 .*{name}.*1 file of unknown kind"
    ):
        inspect(tmp_path)


def test_a_folder_of_nothing_but_cards(tmp_path: Path) -> None:
    write_bytes(tmp_path / "README.md", b"about")
    with pytest.raises(
        MissingSource, match=r"no file of a known kind in it .*1 card or licence \(README\.md\)"
    ):
        inspect(tmp_path)


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", records(text=sentence))
    os.mkfifo(tmp_path / "b.jsonl")
    (tmp_path / "c.txt").symlink_to("/dev/zero")
    (tmp_path / "d.txt").symlink_to("nowhere")
    found = inspect(tmp_path)
    assert [source.name for source in found] == ["a"]
    assert found.passed_over == ("3 that are no regular files (b.jsonl, c.txt, d.txt)",)


def test_a_study_among_the_data_is_no_source(tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", records(text=sentence))
    for name in (
        "study.yaml",
        "numerics.json",
        "decision.json",
        "report.md",
        "agenda.json",
        "references.json",
    ):
        write_bytes(tmp_path / name, b"{}")
    found = inspect(tmp_path)
    assert ([source.name for source in found], found.passed_over) == (["a"], ())


def test_errors_of_init_are_not_tracebacks(tmp_path: Path) -> None:
    """Whatever bytes a file has, init and run end with an error of ours or read it."""
    for number, data in enumerate(
        (b"\0" * 99, b"[[", b'{"a":1e999}', b'{"":""}', b'{"text":{"":{}}}', b"[{}]")
    ):
        for suffix in (".json", ".jsonl", ".txt", ".parquet", ".jsonl.gz", ".json.zst"):
            folder = tmp_path / f"{number}{suffix}"
            folder.mkdir()
            (folder / f"a{suffix}").write_bytes(data)
            for reads in (inspect, lambda path: list(read_source(SourceSpec("s", (str(path),))))):
                with suppress(CuveeError):
                    reads(folder)


# --- tokens that are there --------------------------------------------------------------------------


def tokens_of(folder: Path) -> Path:
    """A folder of tokens in four formats, and text."""
    tokenizer = train_tokenizer([sentence(number) for number in range(40)], 300, folder / "tokenizer")
    ids, end = tokenizer.encode_batch([sentence(number) for number in range(40)]), tokenizer.end_of_text
    megatron(folder / "web", ids, end)
    olmo(folder / "pages", ids, end)
    datatrove(folder / "crawl", ids, end)
    arrow(folder / "saved", ids, end)
    (megatron(folder, ids, end) / "text_document.bin").rename(folder / "lone.bin")
    (folder / "text_document.idx").rename(folder / "lone.idx")
    lines(folder / "plain.jsonl", records(text=sentence))
    return folder


def test_folders_of_tokens_are_recognised(tmp_path: Path) -> None:
    found = inspect(tokens_of(tmp_path / "data"))
    assert found.tokenizer == "tokenizer" and not found.passed_over
    assert {source.name: source.formats for source in found} == {
        "crawl": ("datatrove",), "lone": ("megatron",), "pages": ("olmo",), "plain": (), "saved": ("arrow",),
        "web": ("megatron",),
    }  # fmt: skip
    web = next(source for source in found if source.name == "web")
    assert web.tokens is not None and web.note == f"1 file, {web.tokens:,} tokens (megatron)"


def test_the_study_of_a_folder_of_tokens_names_their_tokenizer(tmp_path: Path) -> None:
    data = tokens_of(tmp_path / "data")
    done = CliRunner().invoke(app, ["init", str(data), "--out", str(tmp_path / "study")])
    assert done.exit_code == 0, done.output
    config = StudyConfig.load(tmp_path / "study")
    assert config.tokenizer.folder is not None and config.tokenizer.folder.samefile(data / "tokenizer")
    shutil.rmtree(data / "tokenizer")
    done = CliRunner().invoke(app, ["init", str(data), "--out", str(tmp_path / "other")])
    assert "the tokenizer that made the tokens is not here" in " ".join(done.output.split())
    assert "next: fill in `tokenizer.folder`, then" in done.output
    assert StudyConfig.load(tmp_path / "other").tokenizer.to_fill_in
    refused = CliRunner().invoke(app, ["run", str(tmp_path / "other"), "--plan"])
    assert refused.exit_code and "study.yaml: tokenizer.folder is still to be filled in" in refused.output


def test_files_of_megatron_are_called_by_their_prefix(tmp_path: Path) -> None:
    for name in ("common_crawl_web", "source_code_in_python"):
        megatron(tmp_path / "data", [[1, 2, 3]] * 9, 0)
        for end in ("bin", "idx"):
            file = tmp_path / f"data/text_document.{end}"
            file.rename(file.with_name(f"{name}_text_document.{end}"))
    done = CliRunner().invoke(app, ["init", str(tmp_path / "data")], env={"COLUMNS": "80"})
    config = StudyConfig.load(tmp_path / "data.cuvee")
    assert list(config.sources) == ["common_crawl_web", "source_code_in_python"]
    table = done.output.partition("study:")[0]
    assert max(map(len, table.splitlines())) <= 80 and "72 bytes of tokens (megatron)" in table
    assert "sampled" not in table and "text field" not in table


def test_one_dataset_saved_to_disk_is_one_source(tmp_path: Path) -> None:
    source = one(arrow(tmp_path / "saved", [[1, 2]], 0))
    assert (source.name, source.path, source.files, source.formats) == ("saved", ".", 1, ("arrow",))
