"""What a job costs on Ray beside its work, and what a second node brings. Needs the extra ``ray``.

Jobs that wait stand for work on machines of their own: several raylets on one machine share its cores.
"""

import shutil
import time
from collections.abc import Callable

from benchmarks.harness import FOLDER, Cell, Table, write
from benchmarks.ray_cluster import RayCluster
from benchmarks.ray_jobs import WAITED_SECONDS, nothing, wait
from cuvee.execution.interface import Executor, Report
from cuvee.execution.local import ResidentProcesses
from cuvee.execution.ray_tasks import RayExecutor, connected

WORK = FOLDER.parent / ".bench" / "ray_costs"
SMALL_JOBS, JOBS, REPEATS = 200, 16, 3
NODES = (1, 2)


def main() -> None:
    """Write the table."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    rows: list[tuple[Cell, ...]] = []
    with ResidentProcesses(2) as local:
        rows.append(("local processes", 2, *cost(local)))
    for nodes in NODES:
        with RayCluster.start(nodes) as cluster, connected(cluster.address), RayExecutor(WORK) as executor:
            rows.append(("Ray, raylets of one core", nodes, *cost(executor)))
            print(rows[-1], flush=True)
    table = Table(
        "What a job costs",
        ("where", "workers", "ms a job of nothing", "waiting jobs a second", "of what is possible"),
        tuple((*row, float(row[3] or 0) * WAITED_SECONDS / float(row[1] or 1)) for row in rows),
        (f"{SMALL_JOBS} jobs of nothing; {JOBS} jobs of {WAITED_SECONDS:g} s. The best of {REPEATS}.",),
    )
    write(
        "ray_costs",
        "Jobs on a Ray cluster of several raylets on this machine, each with a lease: what one costs beside "
        "its work, and how many are done a second with more nodes. Workers were up before.",
        [table],
    )


def cost(executor: Executor) -> tuple[float, float]:
    """Milliseconds a job of nothing, and jobs a second of those that wait."""
    best(executor, wait, JOBS)
    return 1e3 * best(executor, nothing, SMALL_JOBS) / SMALL_JOBS, JOBS / best(executor, wait, JOBS)


def best(executor: Executor, job: Callable[[int, Report], int], count: int) -> float:
    """Seconds for so many."""
    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        assert len(list(executor.map(job, range(count)))) == count
        found.append(time.perf_counter() - began)
    return min(found)


if __name__ == "__main__":
    main()
