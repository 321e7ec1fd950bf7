"""Jobs on Ray: failures, workers that die, hang or come back. On one machine; needs the extra ``ray``."""

import functools
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cuvee.errors import NonFiniteLoss, WorkerError
from cuvee.execution.leases import ATTEMPTS
from cuvee.execution.local import WORKER_ENVIRONMENT
from cuvee.execution.node_folder import NodeFolder
from cuvee.execution.ray_tasks import Needs, RayExecutor
from cuvee.execution.url_artifacts import UrlArtifacts
from tests.execution import execution_jobs as jobs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

PATIENCE = 6.0
"""On a busy machine a worker that is well is not heard for some seconds."""


def test_the_worker_tells_where_an_error_of_ours_was_raised(ray_executor: RayExecutor) -> None:
    with pytest.raises(NonFiniteLoss) as caught:
        list(ray_executor.map(jobs.misbehave, ["fine", "ours"]))
    [note] = caught.value.__notes__
    assert "item 1 ('ours')" in note and "execution_jobs.py" in note


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ("foreign", "ValueError: bad value"),
        ("stubborn", "step 7: loss 0.5"),
        ("exit", "SystemExit: 3"),
        ("interrupt", "KeyboardInterrupt"),
        ("result", "lambda"),
        ("rebuilt", "ImportError: no such thing here"),
    ],
)
def test_any_other_failure_names_the_item(ray_executor: RayExecutor, item: str, text: str) -> None:
    with pytest.raises(WorkerError, match=r"item 1 \(") as caught:
        list(ray_executor.map(jobs.misbehave, ["fine", item, "fine"]))
    assert text in str(caught.value)


def test_what_cannot_be_sent_is_told(ray_executor: RayExecutor) -> None:
    with pytest.raises(WorkerError, match="module-level function"):
        ray_executor.map(lambda item, report: item, [1])
    results = ray_executor.map(jobs.echo, [1, lambda: None])
    assert next(results) == (0, 1)
    with pytest.raises(WorkerError, match=r"item 1 .*cannot be sent"):
        next(results)


def test_large_items_and_results_pass(ray_executor: RayExecutor) -> None:
    items = [bytes([index]) * 3_000_000 for index in range(3)]
    assert dict(ray_executor.map(jobs.echo, items)) == dict(enumerate(items))


def test_workers_have_one_thread_and_are_used_again(ray_executor: RayExecutor) -> None:
    found = dict(ray_executor.map(jobs.whereabouts, range(12))).values()
    assert len({pid for pid, _ in found}) <= 4
    for pid, environment in found:
        assert pid != os.getpid()
        assert {name: environment[name] for name in WORKER_ENVIRONMENT} == WORKER_ENVIRONMENT


def test_a_map_inside_a_map(ray_executor: RayExecutor) -> None:
    for index, _ in ray_executor.map(jobs.process, [0, 1]):
        assert dict(ray_executor.map(jobs.square, [index + 1])) == {0: (index + 1) ** 2}


def test_closing_early_stops_jobs_and_lets_them_clean_up(ray_executor: RayExecutor, tmp_path: Path) -> None:
    executor = ray_executor.at(tmp_path)
    results = executor.map(functools.partial(jobs.linger, str(tmp_path)), range(4))
    assert next(results) == (0, 0)
    begin = time.monotonic()
    results.close()  # type: ignore[attr-defined]
    assert time.monotonic() - begin < 10
    assert list(tmp_path.glob("pid-*")) and not list(tmp_path.glob("temporary-*"))
    assert not (tmp_path / ATTEMPTS).exists()
    assert dict(executor.map(jobs.square, range(3))) == {0: 0, 1: 1, 2: 4}, "the cores are free again"


def test_what_no_node_has_is_refused(ray_executor: RayExecutor) -> None:
    with pytest.raises(WorkerError, match=r"no node .* 1 GPU"):
        list(ray_executor.map(jobs.keep, [jobs.Placed("cuda")]))
    with pytest.raises(WorkerError, match='"device": "cuda"'):
        list(ray_executor.map(jobs.keep, [jobs.Placed("cuda:1")]))
    with pytest.raises(WorkerError, match=r"no node .*64 CPU"):
        list(ray_executor.at(None, Needs(cores=64)).map(jobs.echo, [1]))


def test_an_item_that_ends_its_workers_fails(ray_executor: RayExecutor) -> None:
    heard: list[str] = []
    with pytest.raises(WorkerError, match=r"item 1 \('killed'\) ended 3 worker processes"):
        list(ray_executor.map(jobs.misbehave, ["fine", "killed"], lambda _, amount, note: heard.append(note)))
    assert heard.count("its worker is gone; it goes on elsewhere") == 2


def test_a_killed_worker_loses_nothing(ray_executor: RayExecutor, tmp_path: Path) -> None:
    """Item 1 dies once in the middle; the others and its second attempt are done once each."""
    executor = ray_executor.at(tmp_path)
    found = list(executor.map(functools.partial(jobs.publish, str(tmp_path), "die"), range(4)))
    assert sorted(index for index, _ in found) == [0, 1, 2, 3]
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["0", "1", "2", "3"]
    assert (tmp_path / "made" / "1" / "attempt").read_text() == "2"


def test_a_paused_worker_that_comes_back_cannot_publish(ray_executor: RayExecutor, tmp_path: Path) -> None:
    """The worker of item 1 is stopped just before it publishes; the item is done by another; then it goes on.

    It hears no word to stop (its signal is blocked), as behind a network that is cut.
    """
    executor = with_workers_up(ray_executor.at(tmp_path, patience=PATIENCE))
    resumed = threading.Thread(target=continue_when_done, args=(tmp_path,))
    resumed.start()
    heard: list[str] = []
    found = dict(
        executor.map(
            functools.partial(jobs.publish, str(tmp_path), "pause"), [1, 2],
            lambda _, amount, note: heard.append(note),
        )
    )  # fmt: skip
    resumed.join()
    assert "nothing is heard of its worker; it goes on elsewhere" in heard
    assert found[0] == 2, "the result of the second attempt"
    assert (tmp_path / "made" / "1" / "attempt").read_text() == "2"
    assert "not published; this worker was taken for lost" in (tmp_path / "refused").read_text()
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["1", "2"]


def test_a_paused_worker_that_comes_back_hands_over_nothing_by_way_of_a_url(
    ray_executor: RayExecutor, tmp_path: Path
) -> None:
    """The same where an attempt pushes what it made, and sees no folder of the study."""
    study, bucket = tmp_path / "study", tmp_path / "bucket"
    artifacts = UrlArtifacts.begin(study, str(bucket))
    up = with_workers_up(ray_executor.at(None, patience=PATIENCE))
    executor = replace(up, root=study, artifacts=artifacts)
    resumed = threading.Thread(target=continue_when_done, args=(study, tmp_path))
    resumed.start()
    items = [jobs.Apart(study / "made", str(tmp_path), number) for number in (1, 2)]
    found = dict(executor.map(jobs.publish_apart, items))
    resumed.join()
    assert found == {0: (2, study / "made"), 1: (1, study / "made")}, "the result of the second attempt"
    assert (study / "made" / "1" / "attempt").read_text() == "2"
    assert "the lease of this attempt is gone" in (tmp_path / "refused").read_text()
    assert sorted(path.name for path in study.rglob("*")) == ["1", "2", "attempt", "attempt", "made"]
    assert not any(name.startswith("attempts") for name in artifacts.store.names(""))
    NodeFolder.of(artifacts.store, "any").clear()  # the nodes are on this machine


def test_a_worker_that_hangs_gives_back_its_core(ray_executor: RayExecutor, tmp_path: Path) -> None:
    """Each first attempt holds both cores of a node: the second one begins when they are taken back."""
    executor = ray_executor.at(tmp_path, Needs(cores=2), patience=2.0)
    found = executor.map(functools.partial(jobs.hang_once, str(tmp_path)), [1, 2])
    assert sorted(result for _, result in found) == [1, 2]


def with_workers_up(executor: RayExecutor) -> RayExecutor:
    """A worker that was given up is killed after a while; by then another must have come up."""
    list(executor.map(jobs.nap, [1.0] * 8))
    return executor


def continue_when_done(folder: Path, signals: Path | None = None) -> None:
    jobs.wait_for(folder / "made", "1", 1)
    os.kill(int(((signals or folder) / "paused").read_text()), signal.SIGCONT)
