"""Leases: a worker that was taken for lost cannot publish, whenever it comes back."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import cuvee
from cuvee.errors import ConfigError, LostLease
from cuvee.execution.leases import ATTEMPTS, Leases, take_back_all
from cuvee.files import atomic_folder, atomic_path, remove_leftovers, under_lease, write_json

SOURCE = Path(cuvee.__file__).parents[1]


def write_model(root: Path, text: str) -> None:
    with atomic_folder(root / "checkpoints" / "key") as folder:
        write_json(folder / "log.json", {})
        (folder / "model").write_text(text)


def test_an_attempt_publishes_out_of_its_own_folder(tmp_path: Path) -> None:
    leases = Leases.begin(tmp_path)
    lease = leases.grant()
    with under_lease(lease):
        with atomic_path(tmp_path / "checkpoints" / ".key.state") as temporary:
            assert temporary.parent == lease.folder
            temporary.write_text("half-way")
        write_model(tmp_path, "made")
    assert (tmp_path / "checkpoints" / ".key.state").read_text() == "half-way"
    assert sorted(path.name for path in (tmp_path / "checkpoints" / "key").iterdir()) == ["log.json", "model"]
    assert not lease.lost and list(lease.folder.iterdir()) == []
    leases.end()
    assert lease.lost
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]


def test_tokens_count_up_and_only_one_lease_is_taken_back(tmp_path: Path) -> None:
    leases = Leases.begin(tmp_path)
    first, second = leases.grant(), leases.grant()
    assert int(first.folder.name) < int(second.folder.name)
    leases.take_back(first)
    leases.take_back(first)
    with under_lease(second):
        write_model(tmp_path, "by the second")
    with under_lease(first), pytest.raises(LostLease, match=r"checkpoints/key: not published"):
        write_model(tmp_path, "by the first")
    assert (tmp_path / "checkpoints" / "key" / "model").read_text() == "by the second"


@pytest.mark.parametrize("moment", ["before", "inside"])
def test_what_was_taken_back_publishes_nothing(tmp_path: Path, moment: str) -> None:
    leases = Leases.begin(tmp_path)
    lease = leases.grant()
    if moment == "before":
        leases.take_back(lease)
    with under_lease(lease):
        with pytest.raises(LostLease), atomic_folder(tmp_path / "key") as folder:  # noqa: PT012
            (folder / "model").write_text("stale")
            leases.take_back(lease)
        with pytest.raises(LostLease), atomic_path(tmp_path / "state") as file:
            file.write_text("stale")
    assert [path.name for path in tmp_path.iterdir()] == [ATTEMPTS]


def test_elsewhere_and_without_a_lease_all_is_as_ever(tmp_path: Path) -> None:
    leases = Leases.begin(tmp_path / "study")
    lease = leases.grant()
    leases.take_back(lease)
    with under_lease(lease):
        write_model(tmp_path / "cache", "of this machine")
    with under_lease(None):
        write_model(tmp_path / "study", "by the local executor")
    assert (tmp_path / "study" / "checkpoints" / "key" / "model").is_file()


def test_a_new_command_takes_back_the_leases_of_a_killed_one(tmp_path: Path) -> None:
    lease = Leases.begin(tmp_path).grant()
    take_back_all(tmp_path)
    with under_lease(lease), pytest.raises(LostLease):
        write_model(tmp_path, "stale")
    take_back_all(tmp_path / "nowhere")
    assert list(tmp_path.glob("*/*")) == []


def test_leases_are_no_leftovers(tmp_path: Path) -> None:
    """They are taken back by a rename, never file by file under the hands of a worker."""
    lease = Leases.begin(tmp_path).grant()
    remove_leftovers(tmp_path)
    assert not lease.lost


def test_another_file_system_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system")
    elsewhere = memory / f"cuvee-test-{os.getpid()}"
    elsewhere.mkdir()
    try:
        (tmp_path / "checkpoints").symlink_to(elsewhere)
        with (
            under_lease(Leases.begin(tmp_path).grant()),
            pytest.raises(ConfigError, match="another file system"),
        ):
            write_model(tmp_path, "made")
    finally:
        (tmp_path / "checkpoints").unlink()
        elsewhere.rmdir()


WORKER = """
import os, signal, sys
from pathlib import Path
from cuvee.files import Lease, atomic_folder, under_lease

root, lease = Path(sys.argv[1]), Path(sys.argv[2])
with under_lease(Lease(root, lease)), atomic_folder(root / "key") as folder:
    (folder / "model").write_text("by the one that was paused")
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_paused_process_that_comes_back_cannot_publish(tmp_path: Path) -> None:
    leases = Leases.begin(tmp_path)
    first, second = leases.grant(), leases.grant()
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path), str(first.folder)],
        env=os.environ | {"PYTHONPATH": str(SOURCE)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until_stopped(process.pid)
    leases.take_back(first)
    with under_lease(second), atomic_folder(tmp_path / "key") as folder:
        (folder / "model").write_text("by the other")
    os.kill(process.pid, signal.SIGCONT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 1 and "key: not published" in said
    assert (tmp_path / "key" / "model").read_text() == "by the other"
    assert sorted(path.name for path in tmp_path.iterdir()) == [ATTEMPTS, "key"]


def wait_until_stopped(pid: int) -> None:
    """By the kernel's word; nothing is reaped."""
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < deadline
        time.sleep(0.01)
