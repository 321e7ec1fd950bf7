"""Artefacts by way of a URL, command and worker in one process; no Ray is needed.

With files of this machine and with fsspec's store in memory, which has no folders and renames nothing.
"""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import cuvee
from cuvee.errors import ConfigError, LostLease, WorkerError
from cuvee.execution.artifact import Artifact
from cuvee.execution.attempt import Attempted, attempt
from cuvee.execution.interface import Report
from cuvee.execution.node_folder import NodeFolder
from cuvee.execution.object_store import ObjectStore
from cuvee.execution.sent import sendable
from cuvee.execution.url_artifacts import UrlArtifacts, UrlPermit
from cuvee.files import atomic_folder, atomic_path, discard

SOURCE = Path(cuvee.__file__).parents[1]
MEANWHILE: list[Callable[[], None]] = []
"""What happens in the middle of a job that is given up."""


@dataclass(frozen=True)
class Copying:
    """Reads a shard and what was saved on the way, and makes a checkpoint."""

    shard: Path
    root: Path
    """Of checkpoints."""
    fault: str = ""

    @property
    def state(self) -> Path:
        return self.root / ".key.state"

    @property
    def reads(self) -> tuple[Path, ...]:
        return (self.state,)


def copy(item: Copying, report: Report) -> tuple[Path, Path, str]:
    """Where it read and wrote, and what was saved before."""
    before = item.state.read_text() if item.state.exists() else ""
    for step in ("1", "2"):
        with atomic_path(item.state) as temporary:
            temporary.write_text(step)
    if item.fault == "dies":
        raise WorkerError("it ended")
    with atomic_folder(item.root / "key") as folder:
        (folder / "tokens").mkdir()
        (folder / "tokens" / "all.bin").write_bytes((item.shard / "tokens.bin").read_bytes() * 2)
        if item.fault == "given up":
            MEANWHILE.pop()()
    discard(item.state)
    return item.shard, item.root / "key", before


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "bucket") if request.param == "file" else f"memory://{tmp_path.name}"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for name in ("one", "other"):
        (tmp_path / "study" / "shards" / name).mkdir(parents=True)
        (tmp_path / "study" / "shards" / name / "tokens.bin").write_bytes(name.encode())
    return tmp_path / "study"


@pytest.fixture(autouse=True)
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CUVEE_NODE_FOLDER", str(tmp_path / "nodes"))
    before = signal.getsignal(signal.SIGUSR2)
    yield
    signal.signal(signal.SIGUSR2, before)


def copying(study: Path, fault: str = "") -> Copying:
    return Copying(study / "shards" / "one", study / "checkpoints", fault)


def worked(data: bytes, permit: UrlPermit, node: str = "a") -> Attempted:
    return attempt(sendable(copy), data, permit, lambda *_: True, node)


def result_of(artifacts: UrlArtifacts, outcome: Attempted) -> tuple[Path, Path, str]:
    message = artifacts.understood(outcome.answer)
    assert message[0] == "done"
    found: tuple[Path, Path, str] = message[1]
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_job_gets_what_it_reads_and_hands_over_what_it_makes(study: Path, url: str, tmp_path: Path) -> None:
    artifacts = UrlArtifacts.begin(study, url)
    data, permit = artifacts.send(0, copying(study))
    assert str(tmp_path).encode() not in data, "paths are names below the study"
    assert [one.name for one in permit.inputs] == ["shards/one"]
    outcome = worked(data, permit)
    assert not (study / "checkpoints").exists()
    artifacts.take_back(permit)
    expected = study / "shards" / "one", study / "checkpoints" / "key", ""
    assert result_of(artifacts, outcome) == expected, "here the names are paths of the study again"
    assert files(study / "checkpoints") == {"key/tokens/all.bin": b"oneone"}, "no state is left"
    assert not any(name.startswith("attempts") for name in artifacts.store.names(""))
    assert list((tmp_path / "nodes").glob("*/*/attempts/*")) == []


def test_each_artefact_moves_once_a_node(study: Path, url: str) -> None:
    artifacts = UrlArtifacts.begin(study, url)
    for node in ("a", "a", "b"):
        data, permit = artifacts.send(0, copying(study))
        worked(data, permit, node)
        artifacts.take_back(permit)
    for node in ("a", "b"):
        assert NodeFolder.of(artifacts.store, node).pulled.read_text().splitlines() == ["shards/one"]
    # What a node made lies at the URL already; a later command finds it there, too.
    for command in (artifacts, UrlArtifacts.begin(study, url)):
        _, permit = command.send(0, study / "checkpoints" / "key")
        [made] = permit.inputs
        assert made == Artifact.of("checkpoints/key", study / "checkpoints" / "key")
        assert command.store.read(f"artifacts/{made.name}/tokens/all.bin") == b"oneone"


def test_what_a_lost_attempt_saved_is_gone_on_from(study: Path, url: str) -> None:
    artifacts = UrlArtifacts.begin(study, url)
    data, permit = artifacts.send(0, copying(study, "dies"))
    assert pickle.loads(worked(data, permit).answer)[0] == "failed"
    artifacts.take_back(permit)
    assert (study / "checkpoints" / ".key.state").read_text() == "2"
    data, permit = artifacts.send(0, copying(study))
    assert [one.name for one in permit.inputs] == ["checkpoints/.key.state", "shards/one"]
    outcome = worked(data, permit, "b")
    artifacts.take_back(permit)
    assert result_of(artifacts, outcome)[2] == "2"
    assert not (study / "checkpoints" / ".key.state").exists()
    assert not any("state" in name for name in artifacts.store.names(""))


@pytest.mark.parametrize("moment", ["before", "inside"])
def test_an_attempt_that_was_given_up_hands_over_nothing(
    study: Path, url: str, tmp_path: Path, moment: str, caplog: pytest.LogCaptureFixture
) -> None:
    artifacts = UrlArtifacts.begin(study, url)
    data, permit = artifacts.send(0, copying(study, "given up"))
    MEANWHILE.append(lambda: artifacts.take_back(permit))
    if moment == "before":
        MEANWHILE.pop()()
    _, error, summary, _ = pickle.loads(worked(data, permit).answer)
    assert isinstance(pickle.loads(error), LostLease) and "the lease of this attempt is gone" in summary
    assert permit.lost and "nothing is published" in caplog.text
    saved = {".key.state": b"2"} if moment == "inside" else {}
    assert files(study / "checkpoints") == saved, "what it had saved before"
    assert not any(name.startswith("attempts") for name in artifacts.store.names(""))
    assert list((tmp_path / "nodes").glob("*/*/attempts/*")) == []


def test_a_new_command_takes_in_what_a_killed_one_left(study: Path, url: str) -> None:
    first = UrlArtifacts.begin(study, url)
    data, permit = first.send(0, copying(study))
    worked(data, permit)
    late = first.send(0, copying(study, "dies"))
    worked(*late)
    late[1].store.remove(f"attempts/{late[1].token}/lease")  # what a worker pushed after it was given up
    second = UrlArtifacts.begin(study, url)
    assert permit.lost
    assert files(study / "checkpoints") == {"key/tokens/all.bin": b"oneone"}
    assert not any(name.startswith("attempts") for name in second.store.names(""))


def test_half_an_upload_is_nothing(study: Path, url: str) -> None:
    artifacts = UrlArtifacts.begin(study, url)
    _, permit = artifacts.send(0, copying(study))
    folder = f"attempts/{permit.token}"
    permit.store.write(f"{folder}/1/tokens.bin", b"half of it")
    permit.store.write(f"{folder}/2.json", b'{"name": "checkpoints/key", "fi')
    artifacts.take_back(permit)
    assert not (study / "checkpoints").exists()
    assert not any(name.startswith("attempts") for name in artifacts.store.names(""))


KILLED = """
import os, sys, pickle
from pathlib import Path
from cuvee.execution.object_store import ObjectStore
from tests.execution.test_url_artifacts import copy, worked

put = ObjectStore.put
def half(self, file, name):
    if name.endswith("all.bin"):
        self.write(name, b"half")
        os.kill(os.getpid(), 9)
    put(self, file, name)

ObjectStore.put = half
worked(*pickle.loads(Path(sys.argv[1]).read_bytes()))
"""


def test_a_worker_that_is_killed_in_the_middle_of_an_upload(study: Path, tmp_path: Path) -> None:
    artifacts = UrlArtifacts.begin(study, str(tmp_path / "bucket"))
    sent = artifacts.send(0, copying(study))
    (tmp_path / "sent").write_bytes(pickle.dumps(sent))
    paths = os.pathsep.join([str(SOURCE), str(Path(__file__).parents[2])])
    command = [sys.executable, "-c", KILLED, str(tmp_path / "sent")]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert any(name.endswith("all.bin") for name in artifacts.store.names("attempts"))
    artifacts.take_back(sent[1])
    assert files(study / "checkpoints") == {".key.state": b"2"}, "what was whole before"
    data, permit = artifacts.send(0, copying(study))
    outcome = worked(data, permit)
    artifacts.take_back(permit)
    assert artifacts.understood(outcome.answer)[0] == "done"
    assert files(study / "checkpoints") == {"key/tokens/all.bin": b"oneone"}


def test_what_arrives_otherwise_is_refused(study: Path, url: str) -> None:
    artifacts = UrlArtifacts.begin(study, url)
    data, permit = artifacts.send(0, copying(study))
    permit.store.write("artifacts/shards/one/tokens.bin", b"two")
    assert "is not what was sent" in pickle.loads(worked(data, permit).answer)[2]
    permit.store.remove("artifacts/shards/one")
    assert "--artifacts must name what all nodes see" in pickle.loads(worked(data, permit).answer)[2]


def test_what_a_user_gave_goes_by_its_content(study: Path, url: str, tmp_path: Path) -> None:
    given = tmp_path / "model"
    given.mkdir()
    (given / "tokens.bin").write_bytes(b"given")
    artifacts = UrlArtifacts.begin(study, url)
    data, permit = artifacts.send(0, Copying(given, study / "checkpoints"))
    assert permit.inputs[0].name.startswith("given/")
    outcome = worked(data, permit)
    artifacts.take_back(permit)
    assert result_of(artifacts, outcome)[0] == given
    assert files(study / "checkpoints") == {"key/tokens/all.bin": b"givengiven"}


@pytest.mark.parametrize("place", ["../model", "../../model", "../other/../model", "model"])
def test_a_folder_above_the_study_or_in_it_is_given_by_its_content_alone(
    tmp_path: Path, url: str, place: str
) -> None:
    study = tmp_path / "home" / "study"
    (study / "shards").mkdir(parents=True)
    (tmp_path / "home" / "secret").write_text("mine")
    (tmp_path / "home" / "other").mkdir()
    given = study / place
    given.resolve().mkdir()
    (given / "config.json").write_text("{}")
    (given / "tokens.bin").write_bytes(b"given")
    store = ObjectStore.at(url)
    store.write("another-study/file", b"theirs")
    for _ in range(2):  # a second command finds the name, and removed what lay there
        artifacts = UrlArtifacts.begin(study, url)
        data, permit = artifacts.send(0, Copying(given, study / "checkpoints"))
        [given_there] = permit.inputs
        assert given_there.name.startswith("given/") and set(given_there.files) == {
            "config.json",
            "tokens.bin",
        }
        outcome = worked(data, permit)
        artifacts.take_back(permit)
        assert result_of(artifacts, outcome)[0] == given
        (given / "tokens.bin").write_bytes(b"another")
    assert store.read("another-study/file") == b"theirs"
    assert not any("secret" in name for name in store.names(""))


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc"])
def test_no_artefact_leads_out_of_the_study(name: str) -> None:
    with pytest.raises(WorkerError, match="leads out of the study"):
        Artifact(name, {})
    with pytest.raises(WorkerError, match="leads out of the study"):
        Artifact("pools/a", {name: "digest"})


@pytest.mark.parametrize(
    ("url", "text"), [("nowhere://x", "nowhere"), ("/proc/cuvee", "cannot be written and read")]
)
def test_a_url_that_cannot_be_used_is_refused(study: Path, url: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        UrlArtifacts.begin(study, url)


def test_names_of_a_store(url: str) -> None:
    store = ObjectStore.at(url)
    assert store.names("") == [] and store.read("a") is None
    store.write("a/b/c", b"1")
    store.write("a/bc", b"2")
    assert store.names("a") == ["a/b/c", "a/bc"] and store.names("a/bc") == ["a/bc"]
    store.move("a/b", "d")
    store.remove("nothing")
    assert store.names("") == ["a/bc", "d/c"]
