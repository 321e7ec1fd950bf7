"""Sources that are tokens already lead to what their text leads to, byte for byte."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cuvee.errors import BrokenRecord, ConfigError, SourceError
from cuvee.mixture.mixture import Mixture
from cuvee.seal import read_sealed, write_sealed
from cuvee.sources.corpus import Corpus
from cuvee.sources.mapped_tokens import BLOCK, BLOCKS, sample_hash
from cuvee.sources.preparation import prepare
from cuvee.sources.readers import SourceSpec, passed_over, read_source
from cuvee.sources.shards import MAPPED, TokenShard
from cuvee.sources.split import SplitOptions
from cuvee.sources.stream import MixedStream
from cuvee.sources.token_file import TokenFile
from cuvee.sources.tokenization import tokenize
from cuvee.sources.tokenizer import Tokenizer, train_tokenizer
from tests.sources.helpers import Recorder, Serial, write_lines
from tests.sources.token_writers import WRITERS, arrow, datatrove, megatron, numpy_array, olmo

SPLIT = SplitOptions(eval_fraction=0.2, units=2)


def texts() -> list[str]:
    """Documents of many lengths; two are alike, one is empty, some are not ASCII."""
    found = [f"document {i} speaks of {'naïve ☃ ' * (i % 5)}{i * i} things.\n" for i in range(90)]
    return [*found, "", found[3], "x"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_tokenizer(texts(), 400, tmp_path_factory.mktemp("tokenizer") / "t")


def ids(tokenizer: Tokenizer) -> list[list[int]]:
    return tokenizer.encode_batch(texts())


def source(path: Path, tokenizer: Tokenizer | None, **more: Any) -> SourceSpec:
    return SourceSpec("s", (str(path),), tokenizer=tokenizer.folder if tokenizer else None, **more)


def prepared(spec: SourceSpec, recorder: Recorder | None = None) -> Corpus:
    return prepare([spec], {"s": "s"}, SPLIT, recorder)


@pytest.mark.parametrize("name", WRITERS)
def test_tokens_lead_to_the_shards_of_their_text(
    tmp_path: Path, tokenizer: Tokenizer, name: str, record_property: Callable[[str, object], None]
) -> None:
    folder = WRITERS[name](tmp_path / "tokens", ids(tokenizer), tokenizer.end_of_text)
    text = prepared(source(write_lines(tmp_path / "text" / "a.jsonl", texts()), None))
    recorder = Recorder()
    tokens = prepared(source(folder, tokenizer), recorder)
    assert (tokens.report.sources[0].kept, tokens.report.sources[0].duplicates) == (
        text.report.sources[0].kept,
        1,
    )
    assert tokens.report.contamination == text.report.contamination
    assert not passed_over(source(folder, tokenizer)) or name.startswith("a saved")
    one = tokenize(text, tokenizer.folder, tmp_path / "one", Serial())
    other = tokenize(tokens, tokenizer.folder, tmp_path / "other", Serial())
    for pair, shard in one.items():
        same = other[pair]
        assert (same.content_hash, same.folder.name) == (shard.content_hash, shard.folder.name)
        np.testing.assert_array_equal(np.asarray(same.tokens[:]), shard.tokens)
        np.testing.assert_array_equal(same.document_offsets, shard.document_offsets)
        np.testing.assert_array_equal(same.document_bytes, shard.document_bytes)
    record_property("measured", f"{name}: {len(one)} of {len(one)} shards have the same hash")
    assert recorder.messages[-1].startswith("s: tokens (") or any(
        said.startswith("s: tokens (") and "93 documents" in said for said in recorder.messages
    )


def test_text_and_tokens_in_one_source(tmp_path: Path, tokenizer: Tokenizer) -> None:
    olmo(tmp_path / "both", ids(tokenizer)[:40], tokenizer.end_of_text)
    write_lines(tmp_path / "both" / "rest.jsonl", texts()[40:])
    assert [one.text for one in read_source(source(tmp_path / "both", tokenizer))] == texts()


@pytest.mark.parametrize("suffix", ["", ".bin", ".idx"])
def test_megatron_by_its_prefix(tmp_path: Path, tokenizer: Tokenizer, suffix: str) -> None:
    prefix = megatron(tmp_path, ids(tokenizer), tokenizer.end_of_text) / f"text_document{suffix}"
    assert [one.text for one in read_source(source(prefix, tokenizer))] == texts()


def test_a_format_that_a_name_does_not_say(tmp_path: Path, tokenizer: Tokenizer) -> None:
    file = olmo(tmp_path, ids(tokenizer), tokenizer.end_of_text) / "part-0.npy"
    raw = file.rename(tmp_path / "train.bin")
    spec = source(raw, tokenizer, format="olmo")
    assert [one.text for one in read_source(spec)] == texts()
    with pytest.raises(ConfigError, match="must be one of megatron, olmo"):
        source(raw, tokenizer, format="mds")


def test_pictures_and_models_are_no_tokens(tmp_path: Path, tokenizer: Tokenizer) -> None:
    write_lines(tmp_path / "a.jsonl", ["one"])
    np.save(tmp_path / "vectors.npy", np.zeros((3, 4), np.float32))
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK\x03\x04")
    assert [one.text for one in read_source(source(tmp_path, None))] == ["one"]
    (said,) = passed_over(source(tmp_path, None))
    assert "2 files of unknown kind" in said


def test_documents_with_marks_of_another_tool_are_known_by_their_tokens(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    end = tokenizer.end_of_text
    marked = [[end, *one] for one in ids(tokenizer)]
    recorder = Recorder()
    corpus = prepared(source(megatron(tmp_path / "m", marked, end), tokenizer), recorder)
    assert any("split and compared by their tokens" in said for said in recorder.messages)
    shards = tokenize(corpus, tokenizer.folder, tmp_path / "shards", Serial())
    text = prepared(source(write_lines(tmp_path / "a.jsonl", texts()), None))
    assert {one.content_hash for one in shards.values()}.isdisjoint(
        text.part("s", part).content_hash for part in text.parts("s")
    )
    assert all(
        one.tokens[int(start)] == end for one in shards.values() for start in one.document_offsets[:-1]
    )


@pytest.mark.parametrize(("rows", "torn"), [(1000, 0), (5, 1)])
def test_documents_in_packed_rows_end_at_end_of_text(
    tmp_path: Path, tokenizer: Tokenizer, rows: int, torn: int
) -> None:
    end = tokenizer.end_of_text
    flat = [token for one in ids(tokenizer) for token in (*one, end)]
    packed = [flat[first : first + 64] for first in range(0, len(flat), 64)]
    found = [one.text for one in read_source(source(arrow(tmp_path, packed, end, rows=rows), tokenizer))]
    assert "".join(found) == "".join(texts())
    assert found == texts() if not torn else len(set(texts()) & set(found)) > 80


# --- what can be wrong ------------------------------------------------------------------------------


def refused(path: Path, tokenizer: Tokenizer | None, match: str, kind: type[Exception] = SourceError) -> None:
    with pytest.raises(kind, match=match):
        list(read_source(source(path, tokenizer)))


def test_a_tokenizer_that_is_not_declared(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = olmo(tmp_path, ids(tokenizer), tokenizer.end_of_text)
    refused(folder, None, r"part-0\.npy holds tokens; name the tokenizer", ConfigError)
    with pytest.raises(ConfigError, match="only text can be cut"):
        list(read_source(source(folder, tokenizer, chunk_characters=10)))


def prose(name: str) -> list[str]:
    text = (Path(__file__).parents[2] / name).read_text(encoding="utf-8")
    return [text[first : first + 600] for first in range(0, len(text), 600)]


def test_another_tokenizer(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = megatron(tmp_path / "m", ids(tokenizer), tokenizer.end_of_text)
    small = train_tokenizer(texts(), 270, tmp_path / "small")
    refused(folder, small, r"text_document\.bin:\d+: token \d+ is \d+, but the tokenizer has only 270")
    pages = {name: prose(name) for name in ("README.md", "CHANGELOG.md")}
    one, other = (train_tokenizer(texts, 800, tmp_path / name) for name, texts in pages.items())
    found = pages["README.md"]
    folder = megatron(tmp_path / "readme", one.encode_batch(found), one.end_of_text)
    assert [document.text for document in read_source(source(folder, one))] == found
    refused(folder, other, "makes other tokens of the text of this document, and of all")


def test_a_tokenizer_beside_the_files(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = datatrove(tmp_path / "d", ids(tokenizer), tokenizer.end_of_text)
    other = train_tokenizer(["a b c"], 257, tmp_path / "other")
    mark = folder / "tokenizer.json"
    mark.write_bytes((tokenizer.folder / "tokenizer.json").read_bytes())
    assert len(list(read_source(source(folder, tokenizer)))) == len(texts())
    mark.write_bytes((other.folder / "tokenizer.json").read_bytes())
    refused(folder, tokenizer, r"its tokenizer seems to be .*tokenizer\.json, which is another one")
    mark.unlink()
    datatrove(folder, ids(tokenizer), tokenizer.end_of_text, metadata=f"{other.folder}/tokenizer.json|2")
    refused(folder, tokenizer, "which is another one")


def cut(file: Path, by: int) -> None:
    file.write_bytes(file.read_bytes()[:-by])


@pytest.mark.parametrize(
    ("name", "by", "match"),
    [
        ("text_document.idx", 3, r"text_document\.idx: 93 sequences and 94 marks take .* it is truncated"),
        ("text_document.idx", 1890, r"has \d+ bytes and no whole head|is truncated"),
        ("text_document.bin", 2, r"text_document\.bin: is truncated: its \.idx says"),
    ],
)
def test_megatron_files_that_are_cut(
    tmp_path: Path, tokenizer: Tokenizer, name: str, by: int, match: str
) -> None:
    folder = megatron(tmp_path, ids(tokenizer), tokenizer.end_of_text)
    cut(folder / name, by)
    refused(folder, tokenizer, match, BrokenRecord)


def damaged_index(change: Callable[[bytearray], None]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        data = bytearray((folder / "text_document.idx").read_bytes())
        change(data)
        (folder / "text_document.idx").write_bytes(data)

    return write


def put(data: bytearray, place: int, value: bytes) -> None:
    data[place : place + len(value)] = value


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (damaged_index(lambda data: put(data, 0, b"X")), "does not begin with MMIDIDX"),
        (damaged_index(lambda data: put(data, 17, b"\x07")), "type 7 are not known"),
        (damaged_index(lambda data: put(data, 17, b"\x04")), "begin|of different types|does not stand"),
        (damaged_index(lambda data: put(data, len(data) - 8, b"\x01")), "do not divide its 93 sequences"),
        (lambda folder: (folder / "text_document.bin").write_bytes(b""), "is empty"),
    ],
)
def test_megatron_files_that_do_not_fit(
    tmp_path: Path, tokenizer: Tokenizer, change: Callable[[Path], object], match: str
) -> None:
    megatron(tmp_path, ids(tokenizer), tokenizer.end_of_text)
    change(tmp_path)
    refused(tmp_path / "text_document.bin", tokenizer, match, BrokenRecord)


def test_a_type_that_is_not_that_of_the_index(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = megatron(tmp_path / "m", ids(tokenizer), tokenizer.end_of_text)
    wide = megatron(tmp_path / "wide", ids(tokenizer), tokenizer.end_of_text, "<i4")
    (folder / "text_document.bin").write_bytes((wide / "text_document.bin").read_bytes())
    refused(folder, tokenizer, "which are 4 a token: .bin and .idx are of different types", BrokenRecord)
    folder = datatrove(tmp_path / "d", ids(tokenizer), tokenizer.end_of_text, "<u4", "gpt2|2")
    refused(folder, tokenizer, r"tokens, 2 bytes each, as its index says, do not take", BrokenRecord)


def test_arrays_that_do_not_fit(tmp_path: Path, tokenizer: Tokenizer) -> None:
    end = tokenizer.end_of_text
    folder = olmo(tmp_path / "o", ids(tokenizer), end, listed=True)
    cut(folder / "part-0.npy", 2)
    refused(folder, tokenizer, r"as part-0\.csv\.gz says, do not take .* bytes at any width", BrokenRecord)
    (folder / "part-0.csv.gz").write_bytes(b"no gzip")
    refused(folder, tokenizer, r"part-0\.csv\.gz: cannot be read", BrokenRecord)
    (folder / "part-0.csv.gz").unlink()
    (folder / "part-0.npy").write_bytes(np.full(50, 65, "<u2").tobytes())
    refused(folder, tokenizer, r"no end-of-text token \(id 0\) among its 50 tokens", BrokenRecord)
    (folder / "part-0.npy").write_bytes(np.array([65, 60_000, 0], "<u2").tobytes())
    refused(folder, tokenizer, r"part-0\.npy: token 1 is 60000, but the tokenizer has only 3", SourceError)
    np.save(folder / "part-0.npy", np.zeros((2, 2), np.int64))
    refused(folder / "part-0.npy", tokenizer, r"of shape \(2, 2\), not a row of tokens", BrokenRecord)
    npy = numpy_array(tmp_path / "n", ids(tokenizer), end) / "part.npy"
    cut(npy, 4)
    refused(npy, tokenizer, r"do not take .* bytes; it is damaged", BrokenRecord)


def test_datatrove_files_that_are_cut(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = datatrove(tmp_path, ids(tokenizer), tokenizer.end_of_text)
    cut(folder / "00000_shuffled.ds.index", 3)
    refused(folder, tokenizer, "are no ends of documents; it is truncated", BrokenRecord)
    datatrove(tmp_path, ids(tokenizer), tokenizer.end_of_text)
    cut(folder / "00000_shuffled.ds", 2)
    refused(folder, tokenizer, "it is truncated, or of another type", BrokenRecord)
    datatrove(tmp_path, ids(tokenizer), tokenizer.end_of_text)
    (folder / "00000_shuffled.ds.index").unlink()
    assert [one.text for one in read_source(source(folder, tokenizer))] == texts()


def test_saved_datasets_that_do_not_fit(tmp_path: Path, tokenizer: Tokenizer) -> None:
    import pyarrow as pa

    folder = arrow(tmp_path, ids(tokenizer), tokenizer.end_of_text)
    file = folder / "data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes()[:2000])
    refused(folder, tokenizer, "cannot be read as Arrow", BrokenRecord)

    def save(columns: dict[str, Any], compression: str | None = None) -> None:
        batch = pa.record_batch(columns)
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with (
            pa.OSFile(str(file), "wb") as sink,
            pa.ipc.new_stream(sink, batch.schema, options=options) as stream,
        ):
            stream.write_batch(batch)

    save({"text": pa.array(["a"])})
    refused(folder, tokenizer, r"no column 'input_ids' \(columns: text\)", BrokenRecord)
    save({"input_ids": pa.array([["a"]])})
    refused(folder, tokenizer, "not lists of whole numbers", BrokenRecord)
    save({"input_ids": pa.array([[1], None])})
    refused(folder, tokenizer, "has empty cells", BrokenRecord)
    save({"input_ids": pa.array([[5] * 5000])}, "zstd")
    refused(folder, tokenizer, "is compressed inside", BrokenRecord)


# --- shards that copy no token ----------------------------------------------------------------------


def mapped(root: Path, folder: Path, tokenizer: Tokenizer) -> dict[tuple[str, str], TokenShard]:
    return tokenize(prepared(source(folder, tokenizer)), tokenizer.folder, root, Serial())


def test_training_text_is_not_copied(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = megatron(tmp_path / "m", ids(tokenizer), tokenizer.end_of_text, "<i4")
    shards = mapped(tmp_path / "shards", folder, tokenizer)
    for (_, part), shard in shards.items():
        assert (shard.folder / "tokens.bin").exists() == (part == "eval")
        copy = pickle.loads(pickle.dumps(shard))
        np.testing.assert_array_equal(copy.tokens[:], shard.tokens[:])


def test_what_is_mapped_is_read_like_an_array(tmp_path: Path, tokenizer: Tokenizer) -> None:
    found = mapped(tmp_path / "x", arrow(tmp_path / "a", ids(tokenizer), 0), tokenizer)["s", "seed"].tokens
    array = np.asarray(found[:])
    assert len(found) == len(array) and array.dtype == np.uint16
    places = np.random.default_rng(0).integers(-len(array), len(array), (5, 7))
    np.testing.assert_array_equal(found[places], array[places])
    for part in (slice(3, 90), slice(-5, None), slice(10, 3), slice(0, 60, 7), slice(50, 9, -3), slice(0, 0)):
        np.testing.assert_array_equal(found[part], array[part])


def test_where_the_address_space_is_full_it_is_read_in_pieces(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = datatrove(tmp_path / "d", ids(tokenizer), tokenizer.end_of_text)
    shards = mapped(tmp_path / "x", folder, tokenizer)
    before = {pair: np.asarray(one.tokens[:]) for pair, one in shards.items()}
    folder = folder.rename(tmp_path / "moved")
    monkeypatch.setattr(TokenFile, "_mapped", None)
    for pair, one in mapped(tmp_path / "x", folder, tokenizer).items():
        np.testing.assert_array_equal(one.tokens[:], before[pair])


def test_files_that_moved_are_mapped_anew_and_changed_ones_refused(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    folder = megatron(tmp_path / "m", ids(tokenizer), tokenizer.end_of_text)
    one = mapped(tmp_path / "shards", folder, tokenizer)["s", "unit-0"]
    folder = folder.rename(tmp_path / "moved")
    with pytest.raises(SourceError, match=r"the tokens lie in .*text_document\.bin, which cannot be opened"):
        TokenShard.open(one.folder)
    again = mapped(tmp_path / "shards", folder, tokenizer)["s", "unit-0"]
    assert again.folder == one.folder
    (folder / "text_document.bin").write_bytes(bytes(4))
    with pytest.raises(SourceError, match="which changed since"):
        TokenShard.open(one.folder)


def test_a_file_that_was_replaced_is_noticed_at_the_same_size_and_time(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    """The same documents in another order: the source is the same, and they lie elsewhere."""
    folder = megatron(tmp_path / "m", ids(tokenizer), tokenizer.end_of_text)
    first = mapped(tmp_path / "shards", folder, tokenizer)["s", "unit-0"]
    before, file = np.asarray(first.tokens[:]), folder / "text_document.bin"
    state = file.stat()
    megatron(folder, ids(tokenizer)[::-1], tokenizer.end_of_text)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)
    with pytest.raises(SourceError, match="holds others since, in the same size and time"):
        TokenShard.open(first.folder)
    again = mapped(tmp_path / "shards", folder, tokenizer)["s", "unit-0"]
    assert again.folder == first.folder
    np.testing.assert_array_equal(again.tokens[:], before)


def test_shards_that_know_no_sample_open(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = megatron(tmp_path / "m", ids(tokenizer), tokenizer.end_of_text)
    one = mapped(tmp_path / "shards", folder, tokenizer)["s", "unit-0"]
    meta = read_sealed(one.folder / "meta.json")
    for file in meta[MAPPED]:
        del file["sample"]
    write_sealed(one.folder / "meta.json", meta)
    np.testing.assert_array_equal(TokenShard.open(one.folder).tokens[:], one.tokens[:])


def test_a_large_file_is_known_by_some_of_its_blocks(tmp_path: Path) -> None:
    path, size = tmp_path / "large.bin", 100 * BLOCK * BLOCKS
    with path.open("wb") as stream:
        stream.truncate(size)
    before = sample_hash(path, size)
    for place, seen in ((0, True), (BLOCK * 50, False), (size - 1, True)):
        with path.open("r+b") as stream:
            stream.seek(place)
            stream.write(b"x")
        assert (sample_hash(path, size) != before) == seen
        before = sample_hash(path, size)


def test_batches_of_mapped_tokens_are_those_of_a_copy(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = olmo(tmp_path / "o", ids(tokenizer), tokenizer.end_of_text)
    text = prepared(source(write_lines(tmp_path / "text" / "a.jsonl", texts()), None))
    both = (
        mapped(tmp_path / "one", folder, tokenizer),
        tokenize(text, tokenizer.folder, tmp_path / "two", Serial()),
    )
    for parts in (("unit-0",), ("unit-0", "unit-1", "seed")):
        one, other = (
            MixedStream(
                {"s": [shards["s", part] for part in parts]},
                Mixture.of({"s": 1.0}),
                context_length=16,
                batch_sequences=4,
                seed=1,
            )
            for shards in both
        )
        np.testing.assert_array_equal(one.spans(0, 9), other.spans(0, 9))
