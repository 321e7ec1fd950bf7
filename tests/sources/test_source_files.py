"""Which files are a source, and what is said of those that are not."""

import os
from pathlib import Path
from typing import Any

import pytest

from cuvee.errors import BrokenRecord, MissingSource
from cuvee.sources.preparation import prepare
from cuvee.sources.readers import SourceSpec, passed_over, read_source
from cuvee.sources.split import SplitOptions
from tests.sources.helpers import Recorder, write_bytes, write_lines

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def texts(*paths: Path | str, **changes: Any) -> list[str]:
    return [one.text for one in read_source(SourceSpec("s", tuple(map(str, paths)), **changes))]


@pytest.mark.parametrize(
    "name",
    [
        "README.md", "readme.txt", "README", "README_de.md", "Readme-zh.txt.gz", "LICENSE", "LICENSE.txt",
        "LICENCE-CC.md", "CHANGES.md", "CHANGELOG.txt", "NOTICE.txt", "COPYING.txt", "CITATION.md",
        "dataset_card.md",
        "dataset_info.json", "dataset_infos.json", "manifest.json", "metadata.json", "_meta.json",
        "model.index.json", "vocab.json",
    ],
)  # fmt: skip
def test_cards_are_no_documents(tmp_path: Path, name: str) -> None:
    write_lines(tmp_path / "deep" / "a.jsonl", ["one"])
    card = write_bytes(tmp_path / "deep" / name, b'{"text": "about the data"}')
    assert texts(tmp_path) == texts(tmp_path / "**" / "*") == ["one"]
    (said,) = passed_over(SourceSpec("s", (str(tmp_path),)))
    assert said.startswith("1 card or licence (") and card.name in said


@pytest.mark.parametrize(
    "name",
    [
        "licensing.txt",
        "changed.md",
        "readmes.txt",
        "notice.jsonl",
        "license.jsonl",
        "info.jsonl",
        "map.json",
        "history.txt",
        "terms.md",
    ],
)
def test_names_that_only_resemble_those_of_cards(tmp_path: Path, name: str) -> None:
    write_bytes(tmp_path / name, b'{"text": "x"}\n')
    assert len(texts(tmp_path)) == 1


def test_a_card_that_is_named_is_read(tmp_path: Path) -> None:
    write_bytes(tmp_path / "one" / "README.md", b"of one")
    write_bytes(tmp_path / "two" / "README.md", b"of two")
    assert texts(tmp_path / "one" / "README.md") == ["of one"]
    write_bytes(tmp_path / "one" / "a.txt", b"text")
    both = SourceSpec("s", (str(tmp_path / "one"), str(tmp_path / "one" / "README.md")))
    assert [one.text for one in read_source(both)] == ["text", "of one"]
    assert passed_over(both) == ()
    (tmp_path / "one" / "a.txt").unlink()
    assert texts(tmp_path / "*" / "README.md") == ["of one", "of two"]
    with pytest.raises(
        MissingSource, match=r"no file of a known type: 2 cards and licences \(README.md, README"
    ):
        texts(tmp_path)


def test_what_is_passed_over_is_counted_and_named(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [f"text number {i}" for i in range(20)])
    for name in ("b.csv", "c.tar.gz", "d.json.lz4", "e", ".f.jsonl", ".g", ".git/h.jsonl"):
        write_bytes(tmp_path / name, b"x")
    write_bytes(tmp_path / "i.txt", b"")
    write_bytes(tmp_path / "j.parquet", POINTER)
    os.mkfifo(tmp_path / "k.jsonl")
    (tmp_path / "linked").symlink_to(tmp_path.parent)
    said = [
        "1 pointer of Git LFS, whose data `git lfs pull` fetches (j.parquet)",
        "1 empty file (i.txt)",
        "4 files of unknown kind (.csv, .json.lz4, .tar.gz, ...: b.csv, c.tar.gz, d.json.lz4, ...)",
        "1 that is no regular file (k.jsonl)",
        "1 hidden file (.f.jsonl)",
        "1 link to a folder, which is not followed (linked)",
    ]
    spec = SourceSpec("s", (str(tmp_path),))
    assert list(passed_over(spec)) == said
    progress = Recorder()
    prepare([spec], {}, SplitOptions(units=1), progress)
    assert progress.messages == [f"s: passed over {what}" for what in said]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.jsonl.gz", "notes.txt", "a.json"])
def test_a_pointer_is_no_data(tmp_path: Path, name: str) -> None:
    path = write_bytes(tmp_path / name, b"")
    path.write_bytes(POINTER)
    for allow_broken in (False, True):
        with pytest.raises(BrokenRecord, match=r"is a pointer of Git LFS and not the data"):
            texts(path, allow_broken=allow_broken)
    with pytest.raises(MissingSource, match="git lfs pull"):
        texts(tmp_path)


@pytest.mark.parametrize("path", ["pipe.jsonl", "/dev/zero", "pipe.txt", "pipe.parquet"])
def test_pipes_and_devices_are_refused_and_not_waited_for(tmp_path: Path, path: str) -> None:
    place = tmp_path / path  # an absolute path stays what it is
    if not place.exists():
        os.mkfifo(place)
    with pytest.raises(MissingSource, match=r"is no regular file"):
        texts(place)
