"""Executors: results, progress and errors, the same in this process and in workers."""

import functools
import multiprocessing
import os
import platform
import resource
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cuvee.errors import ConfigError, CuveeError, NonFiniteLoss, OutOfMemory, WorkerError
from cuvee.execution import Executor, InProcess, LocalProcesses, usable_cores, worker
from cuvee.execution.local import WORKER_ENVIRONMENT, ResidentProcesses
from tests.execution import execution_jobs as jobs


@pytest.fixture(params=["in-process", "processes", "ray"])
def executor(request: pytest.FixtureRequest) -> Executor:
    if request.param == "ray":
        chosen: Executor = request.getfixturevalue("ray_executor")
        return chosen
    return InProcess() if request.param == "in-process" else LocalProcesses(2)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z"


def pids(folder: Path) -> list[int]:
    return [int(path.name.split("-")[2]) for path in folder.glob("pid-*")]


def test_every_item_comes_back_with_its_index(executor: Executor) -> None:
    assert dict(executor.map(jobs.square, range(7))) == {index: index * index for index in range(7)}
    assert multiprocessing.active_children() == []


def test_no_items_no_workers(executor: Executor) -> None:
    assert list(executor.map(jobs.square, [])) == []


def test_progress_adds_up_before_the_result(executor: Executor) -> None:
    heard: dict[int, float] = {}
    notes: dict[int, str] = {}

    def listen(index: int, amount: float, note: str) -> None:
        assert threading.current_thread() is threading.main_thread()
        heard[index] = heard.get(index, 0.0) + amount
        notes[index] = note

    for index, _ in executor.map(jobs.square, range(5), listen):
        assert heard[index] == index / 2
        assert notes[index] == f"item {index} again"


def test_an_error_of_ours_keeps_its_type(executor: Executor) -> None:
    with pytest.raises(NonFiniteLoss) as caught:
        list(executor.map(jobs.misbehave, ["fine", "ours"]))
    assert str(caught.value) == "loss is nan at step 7"


def test_an_error_of_the_listener_ends_the_run(executor: Executor) -> None:
    def listen(index: int, amount: float, note: str) -> None:
        raise LookupError("listener")

    with pytest.raises(LookupError, match="listener"):
        list(executor.map(jobs.square, range(3), listen))
    assert multiprocessing.active_children() == []


def test_the_worker_tells_where_an_error_of_ours_was_raised() -> None:
    with pytest.raises(NonFiniteLoss) as caught:
        list(LocalProcesses(1).map(jobs.misbehave, ["fine", "ours"]))
    [note] = caught.value.__notes__
    assert "item 1 ('ours')" in note
    assert "execution_jobs.py" in note


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ("foreign", "ValueError: bad value"),
        ("stubborn", "step 7: loss 0.5"),
        ("exit", "SystemExit: 3"),
        ("interrupt", "KeyboardInterrupt"),
        ("result", "lambda"),
        ("rebuilt", "ImportError: no such thing here"),
        ("killed", "SIGKILL"),
        ("vanish", "exit code 9"),
    ],
)
def test_any_other_failure_names_the_item(item: str, text: str) -> None:
    with pytest.raises(WorkerError, match=r"item 1 \(") as caught:
        list(LocalProcesses(1).map(jobs.misbehave, ["fine", item, "fine"]))
    assert text in str(caught.value)
    if item == "foreign":
        assert "Traceback" in str(caught.value)
        assert "execution_jobs.py" in str(caught.value)
    assert multiprocessing.active_children() == []


def test_a_killed_worker_stops_the_others() -> None:
    begin = time.monotonic()
    with pytest.raises(WorkerError, match=r"item 1 \('killed'\)"):
        list(LocalProcesses(2).map(jobs.misbehave, ["slow", "killed", "slow"]))
    assert time.monotonic() - begin < 20
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("what", ["killed", "foreign"])
def test_an_item_with_a_label_is_called_by_it(what: str) -> None:
    items = [jobs.Labelled("fine", "one"), jobs.Labelled(what, "branch lo, kept in checkpoints/k")]
    with pytest.raises(WorkerError, match=r"item 1 \(branch lo, kept in checkpoints/k\)"):
        list(LocalProcesses(1).map(jobs.misbehave_labelled, items))


def test_what_is_done_is_not_lost_to_a_failure() -> None:
    results = LocalProcesses(1).map(jobs.misbehave, ["a", "b", "foreign"])
    assert [next(results), next(results)] == [(0, "a"), (1, "b")]
    with pytest.raises(WorkerError):
        next(results)


def test_what_cannot_be_sent_is_told() -> None:
    with pytest.raises(WorkerError, match="module-level function"):
        LocalProcesses(1).map(lambda item, report: item, [1])
    results = LocalProcesses(1).map(jobs.echo, [1, lambda: None])
    assert next(results) == (0, 1)
    with pytest.raises(WorkerError, match=r"item 1 .*cannot be sent"):
        next(results)


def test_workers_have_one_thread_and_the_parent_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = dict(os.environ)
    results = LocalProcesses(2).map(jobs.whereabouts, range(4))
    _, (_, environment) = next(results)
    during = dict(os.environ)
    list(results)
    assert before == during == dict(os.environ)
    assert {name: environment[name] for name in WORKER_ENVIRONMENT} == WORKER_ENVIRONMENT


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators are left as they are")
def test_memory_that_every_step_needs_again_stays_in_the_worker() -> None:
    blocks = 20
    faults = dict(LocalProcesses(1).map(jobs.page_faults, [blocks]))[0]
    assert faults < blocks * (4 << 20) / resource.getpagesize() / 10


def test_workers_are_reused() -> None:
    used = {pid for _, (pid, _) in LocalProcesses(2).map(jobs.whereabouts, range(12))}
    assert len(used) <= 2
    assert os.getpid() not in used


def test_large_items_and_results_pass() -> None:
    items = [bytes([index]) * 3_000_000 for index in range(3)]
    assert dict(LocalProcesses(2).map(jobs.echo, items)) == dict(enumerate(items))


def test_closing_early_stops_the_workers_and_lets_them_clean_up(tmp_path: Path) -> None:
    results = LocalProcesses(2).map(functools.partial(jobs.linger, str(tmp_path)), range(3))
    assert next(results) == (0, 0)
    results.close()  # type: ignore[attr-defined]
    assert pids(tmp_path)
    assert all(gone(pid) for pid in pids(tmp_path))
    assert list(tmp_path.glob("temporary-*")) == []


def test_a_job_that_will_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "GRACE_SECONDS", 0.1)
    results = LocalProcesses(2).map(functools.partial(jobs.deaf, str(tmp_path)), range(2))
    assert next(results) == (0, 0)
    results.close()  # type: ignore[attr-defined]
    assert all(gone(pid) for pid in pids(tmp_path))


def test_workers_outlive_the_thread_that_started_them() -> None:
    results = LocalProcesses(1).map(jobs.nap, [0.0, 0.3])
    first: list[Any] = []
    thread = threading.Thread(target=lambda: first.append(next(results)))
    thread.start()
    thread.join()
    assert [*first, *results] == [(0, 0.0), (1, 0.3)]


@pytest.mark.parametrize("library", ["torch", "numpy", "python"])
def test_a_full_memory_is_said_in_words(library: str) -> None:
    """Really full: the worker may have one gigabyte more, and asks for four."""
    with pytest.raises(
        OutOfMemory, match="this machine has no memory left while training seed on a"
    ) as found:
        list(LocalProcesses(1).map(jobs.devour, [jobs.Hungry(library)]))
    assert "Lower `workers`" in str(found.value)
    assert "raise `accumulation`" in str(found.value)
    assert "the same command goes on from here" in str(found.value)
    assert "devour" in "".join(found.value.__notes__), "what was raised is shown to who looks for it"


def test_a_full_card_is_said_in_words(executor: Executor) -> None:
    with pytest.raises(OutOfMemory, match="the GPU has no memory left while training seed on a") as found:
        list(executor.map(jobs.overflow_card, [jobs.Hungry("torch")]))
    assert "nvidia-smi" in str(found.value)
    assert "Tried to allocate 2.00 GiB" in str(found.value)


def test_the_number_of_workers_is_checked() -> None:
    assert usable_cores() >= 1
    with pytest.raises(ConfigError, match="at least 1"):
        LocalProcesses(0)
    assert issubclass(WorkerError, CuveeError)


# Workers that stay


def test_workers_stay_from_one_map_to_the_next() -> None:
    with ResidentProcesses(2) as executor:
        first = set(dict(executor.map(jobs.process, range(6))).values())
        second = set(dict(executor.map(jobs.process, range(6))).values())
        assert first == second
        assert dict(executor.map(jobs.square, range(7))) == {index: index * index for index in range(7)}
    assert multiprocessing.active_children() == []


def test_workers_that_died_between_two_maps_are_replaced() -> None:
    with ResidentProcesses(1) as executor:
        ((_, first),) = executor.map(jobs.process, [0])
        os.kill(first, signal.SIGKILL)
        # Its first thread may be gone while another still ends: then the system does not call it dead yet.
        while first in {child.pid for child in multiprocessing.active_children()}:
            time.sleep(0.01)
        ((_, second),) = executor.map(jobs.process, [0])
        assert second != first


def test_a_failure_starts_them_anew() -> None:
    with ResidentProcesses(1) as executor:
        ((_, first),) = executor.map(jobs.process, [0])
        with pytest.raises(NonFiniteLoss):
            list(executor.map(jobs.misbehave, ["ours"]))
        ((_, second),) = executor.map(jobs.process, [0])
        assert second != first
        assert gone(first)


def test_closing_early_leaves_no_work_behind() -> None:
    with ResidentProcesses(2) as executor:
        found = executor.map(jobs.square, range(10))
        next(found)
        found.close()  # type: ignore[attr-defined]  # it is a generator
        assert dict(executor.map(jobs.square, range(3))) == {0: 0, 1: 1, 2: 4}


def test_a_map_inside_a_map_has_workers_of_its_own() -> None:
    with ResidentProcesses(1) as executor:
        for _, outer in executor.map(jobs.process, [0, 1]):
            ((_, inner),) = executor.map(jobs.process, [0])
            assert inner != outer


def test_fewer_items_than_workers() -> None:
    with ResidentProcesses(2) as executor:
        list(executor.map(jobs.square, range(4)))
        assert dict(executor.map(jobs.square, [5])) == {0: 25}
        assert dict(executor.map(jobs.square, range(3))) == {0: 0, 1: 1, 2: 4}
