"""Compressed files as other programs write them: several members, padding, wide windows, and false names."""

import bz2
import gzip
import lzma
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cuvee.errors import BrokenRecord
from cuvee.sources.readers import SourceSpec, read_source
from tests.sources.helpers import write_bytes

LINES = b'{"text": "a"}\n{"text": "b"}\n'
SKIPPABLE = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"


def read(path: Path, **changes: Any) -> list[str]:
    return [one.text for one in read_source(SourceSpec("s", (str(path),), **changes))]


def zstd(data: bytes, *options: str) -> bytes:
    program = shutil.which("zstd")
    if program is None:
        pytest.skip("needs the program zstd")
    return subprocess.run([program, "-q", "-c", *options], input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    ("suffix", "pack", "padding"),
    [(".gz", gzip.compress, bytes(512)), (".xz", lzma.compress, bytes(4)), (".bz2", bz2.compress, b"")],
)
def test_several_members_and_padding(tmp_path: Path, suffix: str, pack: Any, padding: bytes) -> None:
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(pack(LINES) + padding + pack(LINES) * (padding != bytes(512)) + padding)
    assert read(path) == ["a", "b"] * (2 if padding != bytes(512) else 1)
    path.write_bytes(pack(LINES[:20]) + pack(LINES[20:]))
    assert read(path) == ["a", "b"]


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".zst"])
@pytest.mark.parametrize(
    "data", [b"", b"plain text, long enough to be looked at", LINES, b"\x1f\x8b", b"BZh9"]
)
@pytest.mark.parametrize("kind", [".jsonl", ".json", ".txt"])
def test_a_file_that_cannot_be_unpacked_is_an_error_always(
    tmp_path: Path, suffix: str, data: bytes, kind: str
) -> None:
    path = tmp_path / f"a{kind}{suffix}"
    path.write_bytes(data)
    for allow_broken in (False, True):
        with pytest.raises(BrokenRecord, match=r"a\.\w+\.\w+(:1)?: cannot read on: "):
            read(path, allow_broken=allow_broken)


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".zst"])
def test_a_compressed_file_without_the_suffix_says_how_to_name_it(tmp_path: Path, suffix: str) -> None:
    packed = write_bytes(tmp_path / f"a.jsonl{suffix}", LINES)
    path = packed.rename(tmp_path / "b.jsonl")
    with pytest.raises(BrokenRecord, match=rf"it is compressed with \w+; name it b\.jsonl\{suffix}"):
        read(path)
    path = path.rename(tmp_path / ("c.jsonl.gz" if suffix != ".gz" else "c.jsonl.xz"))
    with pytest.raises(BrokenRecord, match=r"it is no \w+ file, but \w+; rename it"):
        read(path)


def test_a_wide_window_is_named_with_its_size_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "it's a.jsonl.zst"
    path.write_bytes(zstd(LINES, "--long=31"))
    for allow_broken in (False, True):
        with pytest.raises(BrokenRecord) as caught:
            read(path, allow_broken=allow_broken)
        assert "compressed with a window of 2 GB (zstd --long=31); write it again with" in str(caught.value)
        (command,) = re.findall("`(zstd [^`]*)`", str(caught.value))
    subprocess.run(command, shell=True, check=True, capture_output=True)
    assert read(tmp_path / "new-it's a.jsonl.zst") == ["a", "b"]
    path.write_bytes(zstd(LINES, "--long=27"))
    assert read(path) == ["a", "b"]
    path.write_bytes(zstd(LINES) + zstd(LINES, "--long=30"))
    with pytest.raises(
        BrokenRecord, match=r"a\.jsonl\.zst:\d: .*a window of more than 128 MB.*zstd -d --long=31"
    ):
        read(path)


def test_frames_of_zstd(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(zstd(LINES) * 3)
    assert read(path) == ["a", "b"] * 3
    path.write_bytes(SKIPPABLE + zstd(LINES) + SKIPPABLE + zstd(LINES) + SKIPPABLE)
    assert read(path) == ["a", "b"] * 2


def test_xz_that_needs_too_much_memory(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 29}]
    path = tmp_path / "a.jsonl.xz"
    path.write_bytes(lzma.compress(LINES, filters=filters))
    with pytest.raises(BrokenRecord, match=r"unpacking needs more than 256 MB of memory; write it again"):
        read(path, allow_broken=True)


def test_text_in_utf16_is_called_so(tmp_path: Path) -> None:
    for name in ("a.txt", "a.jsonl", "a.json"):
        path = write_bytes(tmp_path / name, '{"text": "a"}\n'.encode("utf-16"))
        for allow_broken in (False, True):
            with pytest.raises(BrokenRecord, match=r"is UTF-16, not UTF-8; .*iconv -f utf-16 -t utf-8"):
                read(path, allow_broken=allow_broken)


def test_a_text_that_ends_too_early_is_one_broken_document(tmp_path: Path) -> None:
    """It was opened, unlike a file that is none: other files of the source go on where that is allowed."""
    words = "".join(f"{number * 7919 % 10007} " for number in range(60_000)).encode()
    packed = write_bytes(tmp_path / "a.txt.gz", words)
    packed.write_bytes(packed.read_bytes()[:-500])
    write_bytes(tmp_path / "b.txt", b"whole")
    with pytest.raises(BrokenRecord, match=r"a\.txt\.gz: cannot read on: "):
        read(tmp_path)
    assert read(tmp_path, allow_broken=True) == ["whole"]
