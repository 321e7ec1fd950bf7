"""Which attempt counts, with workers that are only said to be there: no Ray is needed."""

import pickle
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cuvee.errors import WorkerError
from cuvee.execution.attempt import Attempted, attempt
from cuvee.execution.handover import Permit, SharedFolder, SharedPermit
from cuvee.execution.leases import ATTEMPTS, Leases
from cuvee.execution.remote import MOST_DEATHS, Gone, Heard, RemoteMap
from cuvee.execution.sent import sendable
from tests.execution import execution_jobs as jobs

Script = Sequence[str]
"""What becomes of one attempt after the other: ``done``, ``dies``, ``node`` or ``silent``."""


@dataclass
class Scripted:
    """A carrier whose attempts end as they are told to."""

    script: list[str]
    started: list[tuple[str, Any]] = field(default_factory=list)
    permits: list[Permit] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)

    def room(self) -> int:
        return 1

    def start(self, name: str, item: bytes, permit: Permit) -> int:
        self.started.append((name, pickle.loads(item)))
        self.permits.append(permit)
        return len(self.started) - 1

    def wait(self, tasks: Sequence[int], seconds: float) -> Sequence[int]:
        ended = [task for task in tasks if self.fate(task) != "silent"]
        if not ended:
            time.sleep(min(seconds, 0.01))
        return ended[:1]

    def outcome(self, task: int) -> Attempted:
        name, item = self.started[task]
        match self.fate(task):
            case "dies" | "node":
                raise Gone("it was killed", blameless=self.fate(task) == "node")
        return Attempted(pickle.dumps(("done", (item, name))), 2.0, "end")

    def heard(self) -> dict[str, Heard]:
        return {name: Heard(1, 1.0, "began") for name, _ in self.started}

    def stop(self, attempts: Mapping[int, str]) -> None:
        self.stopped += attempts.values()

    def kill(self, task: int, name: str) -> None:
        self.killed.append(name)

    def fate(self, task: int) -> str:
        return self.script[task] if task < len(self.script) else "done"


def course(carrier: Scripted, items: Sequence[Any], root: Path | None = None, **given: Any) -> RemoteMap[int]:
    handover = SharedFolder.begin(root)
    return RemoteMap(carrier, items, given.get("on_progress"), handover, "map", given.get("patience", 60.0))


def test_a_lost_worker_is_replaced_and_its_lease_is_taken_back(tmp_path: Path) -> None:
    carrier = Scripted(["dies", "done"])
    found = dict(course(carrier, ["a"], tmp_path).results())
    assert found == {0: ("a", "map.2")}
    assert len(carrier.permits) == 2 and all(permit.lost for permit in carrier.permits)
    assert not (tmp_path / ATTEMPTS).exists()


def test_lost_nodes_are_nobodys_fault() -> None:
    carrier = Scripted(["node"] * 10)
    assert dict(course(carrier, ["a"]).results()) == {0: ("a", "map.11")}


def test_an_item_that_ends_its_workers_fails_and_what_is_done_is_kept() -> None:
    carrier = Scripted(["done", *["dies"] * MOST_DEATHS])
    results = course(carrier, ["a", "b"]).results()
    assert next(results)[0] == 0
    with pytest.raises(WorkerError, match=r"item 1 \('b'\) ended 3 worker processes.*it was killed"):
        next(results)


def test_a_silent_worker_is_lost_and_killed_when_its_core_is_wanted(tmp_path: Path) -> None:
    carrier = Scripted(["silent", "done", "silent", "done"])
    heard: list[tuple[float, str]] = []
    results = course(
        carrier, ["a", "b"], tmp_path, patience=0.05, on_progress=lambda _, n, note: heard.append((n, note))
    ).results()
    assert sorted(result for _, (result, _) in results) == ["a", "b"]
    assert carrier.stopped == ["map.1"] or set(carrier.stopped) == {"map.1", "map.3"}
    assert set(carrier.killed) >= {"map.1"}, "at the latest at the end"
    assert (0.0, "nothing is heard of its worker; it goes on elsewhere") in heard


def test_amounts_are_those_of_all_attempts_before_the_result() -> None:
    heard: list[float] = []
    carrier = Scripted(["done"])
    for _ in course(carrier, ["a"], on_progress=lambda _, amount, note: heard.append(amount)).results():
        assert sum(heard) == 2.0


def test_what_cannot_be_sent_comes_after_what_was_before_it() -> None:
    results = course(Scripted([]), ["a", lambda: None, "c"]).results()
    assert next(results)[0] == 0
    with pytest.raises(WorkerError, match=r"item 1 .*cannot be sent"):
        next(results)


# One attempt


def test_an_attempt_says_how_far_it_is_and_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGUSR2)
    said: list[float] = []

    def say(amount: float, note: str) -> bool:
        said.append(amount)
        return len(said) < 2

    try:
        begin = time.monotonic()
        outcome = attempt(sendable(jobs.nap), pickle.dumps(30.0), SharedPermit(), say)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert time.monotonic() - begin < 10
    assert pickle.loads(outcome.answer)[0] == "failed" and len(said) == 2


def test_an_attempt_that_is_not_wanted_never_begins() -> None:
    outcome = attempt(sendable(jobs.echo), pickle.dumps(1), SharedPermit(), lambda amount, note: False)
    assert pickle.loads(outcome.answer)[:3] == ("failed", None, "it was asked to stop")


def test_an_attempt_that_nobody_hears_goes_on() -> None:
    def say(amount: float, note: str) -> bool:
        raise ConnectionError

    outcome = attempt(sendable(jobs.square), pickle.dumps(3), SharedPermit(), say)
    assert (pickle.loads(outcome.answer), outcome.amount) == (("done", 9), 1.5)


def test_a_refused_attempt_says_so_in_its_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    leases = Leases.begin(tmp_path)
    lease = leases.grant()
    leases.take_back(lease)
    attempted: list[Attempted] = []
    job, item, permit = sendable(jobs.publish_once), pickle.dumps(str(tmp_path)), SharedPermit(lease)
    thread = threading.Thread(target=lambda: attempted.append(attempt(job, item, permit, lambda *_: True)))
    thread.start()
    thread.join()
    assert "taken for lost and given to another worker; nothing is published" in caplog.text
    assert not (tmp_path / "made").exists()
    assert pickle.loads(attempted[0].answer)[0] == "failed"
