"""Processes by device, and what they keep."""

import multiprocessing
import os
import signal
import time
from functools import partial

import pytest

from cuvee.errors import WorkerError
from cuvee.execution.devices import DEVICE, VISIBLE, DeviceProcesses, device_environments, processes_of
from cuvee.execution.local import WORKER_ENVIRONMENT, ResidentProcesses
from cuvee.execution.resident import Resident
from tests.execution import execution_jobs as jobs


def test_one_worker_a_card_sees_that_card_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VISIBLE, raising=False)
    first, second = device_environments("cuda", 2)
    assert first == {DEVICE: "cuda:0", VISIBLE: "0"}
    assert second == {DEVICE: "cuda:1", VISIBLE: "1"}
    assert device_environments("cuda:1", 2) == ({DEVICE: "cuda:1"},)
    assert device_environments("cpu:0", 0) == ({DEVICE: "cpu:0"},)


def test_cards_keep_the_names_under_which_this_process_sees_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE, "3, GPU-5a,7")
    assert [one[VISIBLE] for one in device_environments("cuda", 2)] == ["3", "GPU-5a"]


def test_workers_whose_trainings_are_shared_see_as_many_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE, "3, 4,5,7,8")
    assert device_environments("cuda", 5, 2) == (
        {DEVICE: "cuda:0", VISIBLE: "3,4"},
        {DEVICE: "cuda:2", VISIBLE: "5,7"},
    )
    assert device_environments("cuda", 5, 8) == ({DEVICE: "cuda:0", VISIBLE: "3,4,5,7,8"},)


def test_workers_are_processes_of_the_processor_alone() -> None:
    assert processes_of("cpu", 16) == 16
    assert processes_of("cpu", 16, 3) == 5 and processes_of("cpu", 2, 3) == 1
    assert processes_of("cpu:0", 16) == processes_of("cuda:1", 16) == 1


def test_items_go_to_the_worker_of_their_device() -> None:
    with DeviceProcesses(2, {"CUVEE_TEST": "shared"}) as executor:
        items = [jobs.Placed("cpu:0")] * 5
        first = set(dict(executor.map(jobs.keep, items)).values())
        elsewhere = set(dict(executor.map(jobs.process, range(8))).values())
        second = set(dict(executor.map(jobs.keep, items)).values())
        ((_, environment),) = dict(executor.map(jobs.surroundings, [jobs.Placed("cpu:0")])).values()
        ((_, plain),) = dict(executor.map(jobs.whereabouts, [1])).values()
    assert first == second, "the same process, and nothing is made twice"
    ((pid, made, device),) = first
    assert (made, device) == (1, "cpu:0")
    assert pid not in elsewhere and os.getpid() not in elsewhere
    assert environment.items() >= {**WORKER_ENVIRONMENT, "CUVEE_TEST": "shared"}.items()
    assert not {"CUVEE_TEST", DEVICE} & set(plain)
    assert not {"CUVEE_TEST", DEVICE} & set(os.environ)
    assert multiprocessing.active_children() == []


def test_a_worker_that_was_started_before_is_the_one_that_works() -> None:
    with DeviceProcesses(2, modules=("colorsys",)) as executor:
        executor.start("cpu:0")
        (early,) = multiprocessing.active_children()
        ((_, (pid, imported)),) = executor.map(jobs.imported, [jobs.Placed("cpu:0")])
        assert pid == early.pid and "colorsys" in imported
    assert multiprocessing.active_children() == []
    with DeviceProcesses() as unused:
        unused.start("cpu:0")
    assert multiprocessing.active_children() == []


def test_a_module_that_is_not_there_is_named_by_the_worker(capfd: pytest.CaptureFixture[str]) -> None:
    with DeviceProcesses(modules=("cuvee.nowhere",)) as executor:
        executor.start("cpu:0")
        with pytest.raises(WorkerError, match="while it was starting"):
            list(executor.map(jobs.imported, [jobs.Placed("cpu:0")]))
    assert "No module named 'cuvee.nowhere'" in capfd.readouterr().err


def test_a_worker_that_is_replaced_has_the_device_of_the_one_before() -> None:
    with ResidentProcesses(2, [{DEVICE: "0"}, {DEVICE: "1"}]) as executor:
        found: dict[str, int] = {}
        while len(found) < 2:
            found |= {device: pid for pid, _, device in places(executor)}
        os.kill(found["0"], signal.SIGKILL)
        while found["0"] in {child.pid for child in multiprocessing.active_children()}:
            time.sleep(0.01)
        again = {device: pid for pid, _, device in places(executor)}
        while "0" not in again:  # the new one may have come when all was done
            again |= {device: pid for pid, _, device in places(executor)}
    assert set(again) == {"0", "1"}
    assert again["1"] == found["1"] and again["0"] != found["0"]


def places(executor: ResidentProcesses) -> set[tuple[int, int, str]]:
    """Where items are done; so many that each worker has some."""
    return set(dict(executor.map(jobs.slowly_keep, [jobs.Placed("cpu:0")] * 12)).values())


def test_a_death_on_a_device_names_the_item() -> None:
    with DeviceProcesses() as executor:
        with pytest.raises(WorkerError, match=r"SIGKILL while working on item 1 \(killed on cpu:0\)"):
            list(executor.map(jobs.misbehave_placed, [jobs.Placed("cpu:0"), jobs.Placed("cpu:0", "killed")]))
        assert dict(executor.map(jobs.misbehave_placed, [jobs.Placed("cpu:0")])) == {0: "fine"}


def test_items_of_two_devices_and_a_card_that_is_not_there_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with DeviceProcesses() as executor:
        with pytest.raises(WorkerError, match="cpu, cpu:0"):
            executor.map(jobs.keep, [jobs.Placed("cpu"), jobs.Placed("cpu:0")])
        monkeypatch.setenv(VISIBLE, "")
        with pytest.raises(WorkerError, match="sees no GPU"):
            executor.map(jobs.keep, [jobs.Placed("cuda")])


# What is kept


def test_what_was_used_last_is_kept() -> None:
    kept, made = Resident({"a": 2, "b": 1}), []

    def make(name: str) -> str:
        made.append(name)
        return name

    for name in "xyxzxy":
        assert kept.get("a", name, partial(make, name)) == name
    assert kept.get("b", "x", partial(make, "other")) == "other"
    assert made == ["x", "y", "z", "y", "other"]
    assert kept.made == {"a": 4, "b": 1}


def test_the_old_is_gone_before_the_new_is_made_and_failures_are_not_kept() -> None:
    kept = Resident({"bank": 1})
    alive: set[str] = set()

    class Bank:
        def __init__(self, name: str) -> None:
            assert not alive, "two at once"
            alive.add(name)
            self.name = name

        def __del__(self) -> None:
            alive.discard(self.name)

    kept.get("bank", "first", lambda: Bank("first"))
    kept.get("bank", "second", lambda: Bank("second"))
    with pytest.raises(ZeroDivisionError):
        kept.get("bank", "third", lambda: 1 // 0)
    assert kept.get("bank", "third", lambda: 3) == 3
    assert kept.made["bank"] == 3
