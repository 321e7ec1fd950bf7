"""Work time: of a core while it computes, of a GPU while it is taken."""

import time

import pytest

from cuvee.execution.work_time import WorkTime, is_gpu


@pytest.mark.parametrize(
    ("device", "gpu"), [("cpu", False), ("cpu:0", False), ("cuda", True), ("cuda:3", True), ("xpu", True)]
)
def test_waiting_counts_where_a_card_works_meanwhile(device: str, gpu: bool) -> None:
    assert is_gpu(device) == gpu
    work = WorkTime.begin(device)
    time.sleep(0.2)
    waited = work.seconds
    assert waited >= 0.2 if gpu else waited < 0.1


def test_computing_counts_on_both() -> None:
    times = [WorkTime.begin("cpu"), WorkTime.begin("cuda")]
    ends = time.process_time() + 0.1
    while time.process_time() < ends:
        pass
    assert all(one.seconds >= 0.1 for one in times)
