"""Inputs of ``make bench-fuzz``: tables of runs in the forms of several tools, answers, text, and damage.

Everything is a function of a seed. Damage is of two kinds: bytes are changed, cut, doubled or put in, and
cells or values get what people and programs really leave there.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Files = Mapping[str, bytes]
"""Name -> content."""

SOURCES = ("web", "code", "books")
RUNS = 14

CELLS = (
    "", " ", "nan", "NaN", "inf", "-inf", "1e308", "-1e308", "1e-320", "1e999", "0", "-0.0", "1", "-1",
    "2", "30", "50%", "0,5", "1_000", "0x10", "9" * 400, "None", "null", "true", "text", "web", '"', "'",
    "[1, 2]", "{}", "\x00", "\ufeff", "\u202e", "\u2028", "ünïcode", "=1+1", "../..", "a" * 5000,
    "2026-11-26", "1e9", "60M",
)  # fmt: skip
"""What stands in cells of tables of other people."""

NAMES = (
    "", "w:", "m:", "w:web", "m:loss", "index", "run", "step", "tokens", "params", "seed", "loss",
    "train/loss", "name", "w:web ", "W:WEB", "_step", "Name", "mmlu/acc", "x" * 300, "web", "total",
    "train_web", "metric/val_loss",
)  # fmt: skip
"""Names that columns may get."""

PIECES = (
    b"[", b"]", b"{", b"}", b'"', b"\\", b"\n", b"\r", b"\0", b"\xff", b",", b":", b"1e999", b"null",
    b"\\ud800", b"-", b"\xef\xbb\xbf", b'"text":', b'"shares":', b'"mixture":', b" " * 50, b"9" * 5000,
    b"[" * 2000, b"NaN", b"Infinity",
)  # fmt: skip
"""What bytes are put in."""

VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2, 30, 1e308, -1e308, 5e-324, 10**400, "", "text", "0.5", "\u202e", "\x00", [],
    {}, [[]], {"a": {}}, [None], "nan", "../../etc", "a" * 5000, float("nan"), float("inf"),
)  # fmt: skip
"""What stands in place of values of JSON."""


@cache
def tables() -> dict[str, Files]:
    """The same runs as several tools write them."""
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(len(SOURCES)), RUNS)
    losses = np.stack([3.0 - shares @ [0.4, 0.2, 0.1], 2.5 - shares @ [0.1, 0.4, 0.2]], axis=1)
    losses += 0.01 * rng.standard_normal(losses.shape)
    keys = [f"run{i}" for i in range(RUNS)]

    def rows(head: Sequence[str], *columns: Sequence[object]) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(zip(*columns, strict=True))
        return text.getvalue().encode()

    share, loss = shares.T.tolist(), losses.T.tolist()
    weights, metrics = [f"w:{name}" for name in SOURCES], ["m:web_loss", "m:code_loss"]
    tidy = rows(["key", *weights, *metrics], keys, *share, *loss)
    parquet = io.BytesIO()
    pq.write_table(
        pa.table({"key": keys, **dict(zip([*weights, *metrics], [*share, *loss], strict=True))}), parquet
    )
    count = list(range(RUNS))
    return {
        "tidy": {"runs.csv": tidy},
        "tidy, Parquet": {"runs.parquet": parquet.getvalue()},
        "Olmix": {
            "ratios.csv": rows(["run", "name", "index", *SOURCES], keys, keys, count, *share),
            "metrics.csv": rows(["run", "name", "index", "web_bpb", "code_bpb"], keys, keys, count, *loss),
        },
        "RegMix": {
            "train_mixture_1m.csv": rows(["index", *(f"train_{name}" for name in SOURCES)], count, *share),
            "train_target_1m.csv": rows(["index", "metric/web_val_loss", "metric/code_loss"], count, *loss),
        },
        "W&B": {
            "export.csv": rows(
                ["Name", "State", *(f"mixture.{name}" for name in SOURCES), "eval/web_loss", "train/loss"],
                keys, ["finished"] * RUNS, *share, *loss,
            )
        },
    }  # fmt: skip


@cache
def texts() -> list[tuple[str, bytes]]:
    """Suffix and content of files of documents."""
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


def damaged(name: str, content: bytes, rng: random.Random) -> bytes:
    """One file after an accident of a kind that its form allows."""
    kinds: list[Callable[[bytes, random.Random], bytes]] = [of_bytes]
    if name.endswith(".csv"):
        kinds += [of_cells, of_cells, of_cells]
    if name.endswith(".json"):
        kinds += [of_values, of_values]
    return rng.choice(kinds)(content, rng)


def of_bytes(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed, cut out, put in, doubled, and the end cut off."""
    for _ in range(rng.choice([1, 1, 2, 3, 8])):
        at, size = rng.randrange(len(data) + 1), rng.randrange(1, 100)
        put = rng.choice([bytes([rng.randrange(256)]), rng.choice(PIECES), data[at : at + size], b""])
        data = data[:at] + put + data[at + rng.choice([0, 0, 1, size, len(data)]) :]
    return data


def of_cells(data: bytes, rng: random.Random) -> bytes:
    """Cells, names, rows and columns as other people's tables have them."""
    rows = [list(row) for row in csv.reader(io.StringIO(data.decode()))]
    for _ in range(rng.choice([1, 1, 2, 5])):
        change, row, column = rng.randrange(8), rng.randrange(1, len(rows)), rng.randrange(len(rows[0]))
        if change == 0:
            rows[0][column] = rng.choice(NAMES)
        elif change == 1:
            value = rng.choice(CELLS)
            for one in rows[1:]:
                one[column] = value
        elif change == 2:
            rows[row] = list(rng.choice(rows[1:]))
        elif change == 3 and len(rows) > 3:
            del rows[rng.randrange(1, len(rows)) :]
            rows += [[rng.choice(CELLS) for _ in rows[0]]]
        elif change == 4:
            for one in rows:
                one.append(one[column])
        elif change == 5:
            factor = rng.choice([1e-12, 1e12, 100.0, -1.0, 0.0])
            for one in rows[1:]:
                one[column] = _times(one[column], factor)
        else:
            rows[row][column] = rng.choice(CELLS)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode(errors="replace")


def _times(cell: str, factor: float) -> str:
    try:
        return repr(factor * float(cell))
    except ValueError:
        return cell


def of_values(data: bytes, rng: random.Random) -> bytes:
    """Values of a JSON document replaced, keys renamed, taken away and doubled."""
    document = json.loads(data)
    for _ in range(rng.choice([1, 1, 2, 4])):
        places = list(_places(document))
        if not places:
            break
        holder, key = rng.choice(places)
        change = rng.randrange(4)
        if change == 0 and isinstance(holder, dict):
            holder[rng.choice(["", "shares", "mixture", "x" * 100, "\u202e"])] = holder.pop(key)
        elif change == 1:
            del holder[key]
        elif change == 2 and isinstance(holder, list):
            holder.append(holder[key])
        else:
            holder[key] = rng.choice(VALUES)
    return json.dumps(document).encode(errors="replace")


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Holders with their keys, down to the leaves."""
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    found: list[tuple[Any, Any]] = []
    for key, one in inner:
        found += [(value, key), *_places(one)]
    return found
