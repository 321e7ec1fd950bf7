"""Tokens in the formats of other tools, written by hand from their descriptions; they share nothing with
readers."""

import gzip
import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

CODES = {"u1": 1, "i1": 2, "<i2": 3, "<i4": 4, "<i8": 5, "<u2": 8}

Ids = Sequence[Sequence[int]]


def ended(ids: Ids, end: int) -> list[list[int]]:
    return [[*one, end] for one in ids]


def flat(ids: Ids, dtype: str) -> bytes:
    return b"".join(np.array(one, dtype=dtype).tobytes() for one in ids)


def megatron(folder: Path, ids: Ids, end: int, dtype: str = "<u2", sequences: int = 1) -> Path:
    """Each document as so many sequences, the end-of-text token behind (``--append-eod``)."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = ended(ids, end)
    pieces = [
        [part.tolist() for part in np.array_split(np.array(one), min(sequences, len(one)))] for one in whole
    ]
    lengths = [len(part) for one in pieces for part in one]
    begins = np.cumsum([0, *lengths[:-1]]) * np.dtype(dtype).itemsize
    marks = np.cumsum([0, *(len(one) for one in pieces)])
    (folder / "text_document.bin").write_bytes(flat(whole, dtype))
    head = b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, CODES[dtype], len(lengths), len(marks))
    body = np.array(lengths, "<i4").tobytes() + begins.astype("<i8").tobytes() + marks.astype("<i8").tobytes()
    (folder / "text_document.idx").write_bytes(head + body)
    return folder


def olmo(folder: Path, ids: Ids, end: int, dtype: str = "<u2", listed: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    whole = ended(ids, end)
    (folder / "part-0.npy").write_bytes(flat(whole, dtype))
    if listed:
        ends = np.cumsum([len(one) for one in whole])
        rows = [
            f"{stop - len(one)},{stop},id-{stop},x.json.gz,1\n" for one, stop in zip(whole, ends, strict=True)
        ]
        with gzip.open(folder / "part-0.csv.gz", "wt") as lines:
            lines.writelines(rows)
    return folder


def numpy_array(folder: Path, ids: Ids, end: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "part.npy", np.frombuffer(flat(ended(ids, end), "<i4"), "<i4"))
    return folder


def datatrove(folder: Path, ids: Ids, end: int, dtype: str = "<u2", metadata: str = "gpt2|2") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    whole = ended(ids, end)
    (folder / "00000_shuffled.ds").write_bytes(flat(whole, dtype))
    ends = np.cumsum([len(one) for one in whole]).astype("<u8")
    (folder / "00000_shuffled.ds.index").write_bytes(ends.tobytes())
    if metadata:
        (folder / "00000_shuffled.ds.metadata").write_text(f"{metadata}\n{ends[-1]}\n1 T")
    return folder


def arrow(folder: Path, ids: Ids, end: int, kind: pa.DataType | None = None, rows: int = 7) -> Path:
    """As ``Dataset.save_to_disk`` writes it, without end-of-text tokens; so many rows a batch."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = kind or pa.int32()
    batch = pa.record_batch(
        {
            "input_ids": pa.array([list(one) for one in ids], pa.list_(kind)),
            "attention_mask": pa.array([[1] * len(one) for one in ids], pa.list_(pa.int8())),
        }
    )
    file = folder / "data-00000-of-00001.arrow"
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, batch.schema) as stream:
        for first in range(0, len(ids), rows):
            stream.write_batch(batch.slice(first, rows))
    (folder / "dataset_info.json").write_text(json.dumps({"features": {}}))
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": file.name}]}))
    (folder / "cache-0123.arrow").write_bytes(b"of another table")
    return folder


WRITERS: dict[str, Callable[[Path, Ids, int], Path]] = {
    "megatron": megatron,
    "megatron of i4, two sequences a document": lambda f, i, e: megatron(f, i, e, "<i4", 2),
    "olmo": olmo,
    "olmo with metadata": lambda f, i, e: olmo(f, i, e, listed=True),
    "olmo of u4": lambda f, i, e: olmo(f, i, e, "<u4"),
    "a real npy": numpy_array,
    "datatrove": datatrove,
    "datatrove of u4 without metadata": lambda f, i, e: datatrove(f, i, e, "<u4", ""),
    "a saved dataset": arrow,
    "a saved dataset of i8": lambda f, i, e: arrow(f, i, e, pa.int64(), 1000),
}
