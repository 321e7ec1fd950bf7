"""RunStore with many processes and threads: readers see whole runs, a killed writer loses none."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

import cuvee
from cuvee.runs import RunStore

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(cuvee.__file__).parents[1]), str(ROOT)])}
GROUP = 5
METRICS = 20

WRITER = f"""
import sys
from pathlib import Path
from cuvee.runs import RunStore
from tests.runs.builders import run

metrics = {{f"m{{number}}": number / 7 for number in range({METRICS})}}
store = RunStore(Path(sys.argv[1]))
begin, end = int(sys.argv[2]), int(sys.argv[3])
for group in range(begin, end):
    store.add_many([run(f"{{group}}-{{member}}", seed=group, metrics=metrics) for member in range({GROUP})])
    print(group, flush=True)
"""


def writer(path: Path, begin: int, end: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(begin), str(end)],
        env=ENVIRONMENT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def check_whole(store: RunStore) -> int:
    """All groups are complete and all runs have all their metrics. Returns the number of groups."""
    table = store.observations()
    groups, counts = np.unique(table.seed, return_counts=True)
    assert set(counts) <= {GROUP}
    if len(table):
        assert table.values.shape == (len(table), METRICS)
    assert not np.isnan(table.values).any()
    return len(groups)


def test_a_writer_killed_at_any_moment_leaves_whole_runs(tmp_path: Path) -> None:
    path = tmp_path / "store"
    rng = np.random.default_rng(0)
    told = 0
    for attempt in range(6):
        process = writer(path, 1000 * attempt, 1000 * (attempt + 1))
        assert process.stdout is not None
        process.stdout.readline()  # it has begun to write
        time.sleep(float(rng.uniform(0, 0.05)))
        process.kill()
        told += 1 + len(process.stdout.readlines())
        process.stdout.close()
        process.wait()
        with RunStore(path) as store:
            # What was committed is there; at most the last commit was not told any more.
            assert told <= check_whole(store) <= told + attempt + 1


def test_readers_see_whole_runs_while_one_writes(tmp_path: Path) -> None:
    path = tmp_path / "store"
    RunStore(path).close()
    process = writer(path, 0, 60)
    seen: dict[int, list[int]] = {0: [], 1: []}

    def read(reader: int) -> None:
        with RunStore(path) as store:
            while not seen[reader] or seen[reader][-1] < 60:
                seen[reader].append(check_whole(store))

    threads = [threading.Thread(target=read, args=(reader,), daemon=True) for reader in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    process.communicate()
    assert process.returncode == 0
    for counts in seen.values():
        assert counts == sorted(counts)
        assert counts[-1] == 60


def test_writers_wait_for_each_other_from_the_first_opening(tmp_path: Path) -> None:
    path = tmp_path / "store"
    processes = [writer(path, 10 * number, 10 * (number + 1)) for number in range(3)]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    with RunStore(path) as store:
        assert check_whole(store) == 30
