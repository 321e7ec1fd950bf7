"""Token shards on disk."""

import json
import pickle
import random
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuvee.errors import EmptySource, SourceError
from cuvee.sources.shards import TokenShard, content_hash, write_shard
from tests.sources.helpers import END, ByteTokenizer, documents, make_shard

TEXTS = ["alpha", "béta", "gamma\n", "delta" * 50]


def test_documents_lie_in_the_order_of_their_digests_each_ended(tmp_path: Path) -> None:
    shard = make_shard(tmp_path / "x", TEXTS)
    ordered = sorted(documents(TEXTS), key=lambda document: document.digest)
    expected = [[byte + 1 for byte in document.text.encode()] + [END] for document in ordered]
    assert [shard.document(i).tolist() for i in range(shard.documents)] == expected
    assert shard.tokens[:].tolist() == list(chain(*expected))
    assert shard.document_bytes.tolist() == [len(document.text.encode()) for document in ordered]
    assert shard.bytes == sum(len(text.encode()) for text in TEXTS)
    assert shard.end_of_text == END
    assert (shard.source, shard.part, shard.tokenizer_hash) == ("s", "unit-0", "bytes-257")


def test_the_order_of_reading_does_not_change_a_byte(tmp_path: Path) -> None:
    texts = [f"text {i} " * (i % 7) + str(i) for i in range(300)]
    one = make_shard(tmp_path / "one", texts)
    random.Random(0).shuffle(texts)
    two = make_shard(tmp_path / "two", texts)
    for name in ("tokens.bin", "document_offsets.npy", "document_bytes.npy", "meta.json"):
        assert (one.folder / name).read_bytes() == (two.folder / name).read_bytes(), name


def test_only_the_finished_files_are_left(tmp_path: Path) -> None:
    make_shard(tmp_path / "x", TEXTS)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "document_bytes.npy",
        "document_offsets.npy",
        "meta.json",
        "tokens.bin",
        "x",
    ]


@pytest.mark.parametrize(
    ("vocabulary_size", "dtype"), [(257, np.uint16), (65536, np.uint16), (65537, np.uint32)]
)
def test_tokens_are_as_narrow_as_the_vocabulary_allows(
    tmp_path: Path, vocabulary_size: int, dtype: type
) -> None:
    shard = make_shard(tmp_path / "x", TEXTS, vocabulary_size=vocabulary_size)
    assert shard.tokens[:].dtype == dtype
    assert isinstance(shard.tokens, np.memmap)


def test_an_existing_shard_is_kept_and_nothing_is_read(tmp_path: Path) -> None:
    def unread() -> Any:
        raise AssertionError("read")
        yield

    first = make_shard(tmp_path / "x", TEXTS)
    tokenizer: Any = ByteTokenizer()
    second = write_shard(tmp_path / "x", unread(), tokenizer, source="s", part="unit-0")
    assert second.content_hash == first.content_hash


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def breaking() -> Any:
        yield from documents(TEXTS)
        raise SourceError("gone")

    tokenizer: Any = ByteTokenizer()
    with pytest.raises(SourceError, match="gone"):
        write_shard(tmp_path / "x", breaking(), tokenizer, source="s", part="p")
    with pytest.raises(EmptySource, match="part 'p' of source 's'"):
        write_shard(tmp_path / "x", [], tokenizer, source="s", part="p")
    with pytest.raises(SourceError, match="changed while"):
        write_shard(tmp_path / "x", documents(TEXTS), tokenizer, source="s", part="p", expected="0" * 16)
    assert list(tmp_path.iterdir()) == []


def test_reports_add_up_to_the_bytes(tmp_path: Path) -> None:
    told: list[float] = []
    texts = [f"{i}" * 3000 for i in range(900)]
    tokenizer: Any = ByteTokenizer()
    shard = write_shard(
        tmp_path / "x",
        documents(texts),
        tokenizer,
        source="s",
        part="p",
        report=lambda amount, _: told.append(amount),
    )
    assert sum(told) == shard.bytes
    assert len(told) > 1


def test_pickling_carries_only_the_folder(tmp_path: Path) -> None:
    shard = make_shard(tmp_path / "x", ["a" * 100_000])
    data = pickle.dumps(shard)
    assert len(data) < 1000
    copy = pickle.loads(data)
    assert isinstance(copy.tokens, np.memmap)
    np.testing.assert_array_equal(copy.tokens, shard.tokens)


def test_damage_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="remove the folder"):
        TokenShard.open(tmp_path / "nothing")
    folder = make_shard(tmp_path / "x", TEXTS).folder
    whole = (folder / "tokens.bin").read_bytes()
    (folder / "tokens.bin").write_bytes(whole[:-2])
    with pytest.raises(SourceError, match=r"meta\.json says"):
        TokenShard.open(folder)
    (folder / "tokens.bin").write_bytes(whole)
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | {"format": 99}))
    with pytest.raises(SourceError, match="format 99"):
        TokenShard.open(folder)


@pytest.mark.parametrize("name", ["tokens.bin", "document_offsets.npy", "document_bytes.npy", "meta.json"])
def test_no_flipped_bit_goes_unnoticed(tmp_path: Path, name: str) -> None:
    shard = make_shard(tmp_path / "x", TEXTS)
    file, chance = shard.folder / name, random.Random(0)
    whole = file.read_bytes()
    for _ in range(60):
        data, bit = bytearray(whole), chance.randrange(8 * len(whole))
        data[bit // 8] ^= 1 << bit % 8
        file.write_bytes(data)
        try:
            again = TokenShard.open(shard.folder)
        except SourceError:
            continue
        assert name == "meta.json" and again.content_hash == shard.content_hash, "white space"
        assert again.tokens[:].tolist() == shard.tokens[:].tolist()


def test_a_shard_of_an_earlier_version_opens_and_its_tokens_are_looked_at(tmp_path: Path) -> None:
    folder = make_shard(tmp_path / "x", TEXTS).folder
    meta = json.loads((folder / "meta.json").read_text())
    del meta["files"], meta["digest"]
    (folder / "meta.json").write_text(json.dumps(meta))
    shard = TokenShard.open(folder)
    shard.check_vocabulary(257)
    with pytest.raises(SourceError, match=r"holds token \d+, but the tokenizer has only 100"):
        shard.check_vocabulary(100)


@settings(max_examples=30)
@given(st.lists(st.binary(min_size=32, max_size=32), unique=True, max_size=20), st.randoms())
def test_content_hash_is_of_the_set(digests: list[bytes], chance: random.Random) -> None:
    def hashed(values: list[bytes]) -> str:
        return content_hash(np.frombuffer(b"".join(values), dtype=np.uint8).reshape(-1, 32))

    shuffled = list(digests)
    chance.shuffle(shuffled)
    assert hashed(digests) == hashed(shuffled)
    if digests:
        assert hashed(digests) != hashed(digests[1:])
