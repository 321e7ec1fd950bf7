"""Damaged files of every type: `init` and the readers end with an error of ours, or read them (seeded)."""

import bz2
import gzip
import io
import json
import lzma
import random
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cuvee.errors import CuveeError
from cuvee.sources.readers import SourceSpec, read_source
from cuvee.study.inspection import inspect

PIECES = (
    b"[", b"]", b"{", b"}", b'"', b"\\", b"\n", b"\0", b"\xff", b",", b":", b"1e999", b"null", b"\\ud800",
    b"\xef\xbb\xbf", b'"text":', b" " * 50, b"9" * 5000,
)  # fmt: skip
FIELDS = ("text", "data.text", "messages", "data", "nope")


def whole_files() -> list[tuple[str, bytes]]:
    rows = [
        {
            "url": f"http://e.org/{i}",
            "text": f"Sentence number {i} of a little text.",
            "data": {"text": f"Deep sentence {i} is here too.", "n": [1, 2]},
            "messages": [{"role": "user", "content": f"Hello there number {i}"}],
        }
        for i in range(12)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    array = json.dumps(rows, indent=1).encode()
    parquet, zstd = io.BytesIO(), pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    with pa.CompressedOutputStream(zstd, "zstd") as stream:
        stream.write(array)
    return [
        (".jsonl", lines),
        (".json", array),
        (".json", json.dumps(rows).encode()),
        (".txt", lines),
        (".parquet", parquet.getvalue()),
        (".jsonl.gz", gzip.compress(lines)),
        (".json.zst", zstd.getvalue().to_pybytes()),
        (".jsonl.xz", lzma.compress(lines)),
        (".jsonl.bz2", bz2.compress(lines)),
    ]


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Some of: a byte changed, bytes cut out, put in, doubled, and the end cut off."""
    for _ in range(rng.choice([1, 1, 2, 3, 8])):
        at, size = rng.randrange(len(data) + 1), rng.randrange(1, 100)
        put = rng.choice([bytes([rng.randrange(256)]), rng.choice(PIECES), data[at : at + size], b""])
        data = data[:at] + put + data[at + rng.choice([0, 0, 1, size, len(data)]) :]
    return data


@pytest.mark.parametrize(("seed", "count"), [(0, 400), pytest.param(1, 20_000, marks=pytest.mark.slow)])
def test_damaged_files(tmp_path: Path, seed: int, count: int) -> None:
    rng, files = random.Random(seed), whole_files()
    for number in range(count):
        suffix, data = rng.choice(files)
        folder = tmp_path / f"{number}"
        folder.mkdir()
        (folder / f"a{suffix}").write_bytes(damaged(data, rng))
        paths = (str(folder),)
        with suppress(CuveeError):
            inspect(folder)
        for allow_broken in (False, True):
            spec = SourceSpec("s", paths, text_field=rng.choice(FIELDS), allow_broken=allow_broken)
            with suppress(CuveeError):
                assert all(document.text.encode() is not None for document in read_source(spec))
