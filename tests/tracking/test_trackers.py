"""Trackers: those that fail are said once and left out; those that are installed hold what was written."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest

from cuvee.study.file.settings import TrackerName
from cuvee.tracking.interface import Open
from cuvee.tracking.registry import TRACKERS
from cuvee.tracking.trackers import Trackers


class Kept:
    """Keeps what it is given."""

    def __init__(self, study: str, folder: Path) -> None:
        self.study = study
        self.seen: list[tuple[str, int, Mapping[str, float]]] = []
        self.texts: list[tuple[str, str, str]] = []
        self.ended: list[str] = []
        self.closed = False

    def numbers(self, run: str, step: int, values: Mapping[str, float]) -> None:
        self.seen.append((run, step, values))

    def words(self, run: str, title: str, text: str) -> None:
        self.texts.append((run, title, text))

    def end(self, run: str) -> None:
        self.ended.append(run)

    def close(self) -> None:
        self.closed = True


class Full(Kept):
    """Has no room for anything, and talks."""

    def numbers(self, run: str, step: int, values: Mapping[str, float]) -> None:
        sys.stdout.write("trying")
        raise OSError(28, "No space left on device")


def not_there(study: str, folder: Path) -> Kept:
    raise ImportError("no such library")


def write_all(trackers: Trackers) -> None:
    trackers.each(lambda tracker: tracker.numbers("branch", 1, {"loss": 3.0}))
    trackers.each(lambda tracker: tracker.numbers("branch", 2, {"loss": 1.5}))
    trackers.close()


def test_one_that_fails_is_said_once_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    good = Kept("", tmp_path)
    table: dict[str, Open] = {"full": Full, "missing": not_there, "good": lambda study, folder: good}
    trackers = Trackers.opened(list(table), "mine", tmp_path, said.append, table)
    write_all(trackers)
    assert [step for _, step, _ in good.seen] == [1, 2]
    assert good.closed and not trackers.any
    assert len(said) == 2
    assert "missing failed" in said[0] and "no such library" in said[0]
    assert "full failed" in said[1] and "No space left on device" in said[1]
    assert capsys.readouterr().out == ""


def test_one_whose_library_is_missing_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("torch.utils.tensorboard", "trackio", "wandb"):
        monkeypatch.setitem(sys.modules, library, None)
    said: list[str] = []
    Trackers.opened(list(TRACKERS), "mine", tmp_path, said.append)
    assert len(said) == len(TRACKERS)
    assert all("pip install 'cuvee[track]'" in line for line in said)


def test_the_study_file_knows_the_table() -> None:
    assert set(get_args(TrackerName)) == set(TRACKERS)


def test_tensorboard_reads_back_what_was_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra track")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    said: list[str] = []
    trackers = Trackers.opened(["tensorboard"], "mine", tmp_path, said.append)
    trackers.each(lambda tracker: tracker.words("branch", "role", "a/b"))
    write_all(trackers)
    found = EventAccumulator(str(tmp_path / "tensorboard" / "branch"))
    found.Reload()
    assert [(one.step, one.value) for one in found.Scalars("loss")] == [(1, 3.0), (2, 1.5)]
    assert said == []


def test_trackio_reads_back_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "there"))
    trackio = pytest.importorskip("trackio", reason="needs the extra track")
    if Path(trackio.utils.TRACKIO_DIR) != tmp_path / "there":
        pytest.skip("trackio was imported with another folder in this process")
    said: list[str] = []
    trackers = Trackers.opened(["trackio"], "mine", tmp_path, said.append)
    write_all(trackers)
    [run] = trackio.Api().runs("mine")
    assert run.name == "branch" and said == []
    assert (tmp_path / "there" / "mine.db").is_file()


def test_wandb_writes_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="needs the extra track")
    said: list[str] = []
    trackers = Trackers.opened(["wandb"], "mine", tmp_path, said.append)
    write_all(trackers)
    [file] = (tmp_path / "wandb").rglob("run-*.wandb")
    assert file.stat().st_size > 0 and b"branch" in file.read_bytes() and said == []
