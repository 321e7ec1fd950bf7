"""Jobs on Ray: the same bytes as on this machine alone, under kills, and what each job costs more.

Several raylets on one machine stand for several machines. ``python -m benchmarks.ray KILLS`` takes another
number of kills. Needs the extra ``ray``.
"""

import shutil
import sys
import time
from collections.abc import Callable

from benchmarks.harness import FOLDER, Table, write
from benchmarks.ray_cluster import RayCluster
from benchmarks.ray_jobs import COMPUTED_SECONDS, compute, nothing, where
from benchmarks.ray_study import Kills, differing, made, run, write_study
from cuvee.execution.interface import Executor, Report
from cuvee.execution.local import ResidentProcesses
from cuvee.execution.ray_tasks import RayExecutor, connected

WORK = FOLDER.parent / ".bench" / "ray"
KILLS = 20
NODES = (2, 4)
STEPS = 120
SMALL_JOBS, JOBS, REPEATS = 200, 8, 3
_FIRST_KILL, _BETWEEN = 4.0, 5.0
"""Seconds. A run that is killed takes longer: with these, the last kill falls near its end."""


def main() -> None:
    """Write the tables."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else KILLS
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    began = time.perf_counter()
    tables = [costs(), *studies(kills)]
    write(
        "ray",
        "A tiny study on a Ray cluster of several raylets on this machine, compared with the local executor: "
        "each file of each artefact by SHA-256, each row of the store by its digest. "
        f"{time.perf_counter() - began:.0f} s in all.",
        tables,
    )


def studies(kills: int) -> tuple[Table, Table]:
    """The same study everywhere, and killed."""
    local = write_study(WORK / "local", STEPS)
    rows: list[tuple[str | int | float | None, ...]] = [("local processes", None, run(local), None, None, 0)]
    expected = made(local)
    for nodes in NODES:
        with RayCluster.start(nodes) as cluster:
            study = write_study(WORK / f"nodes-{nodes}", STEPS)
            seconds = run(study, *_on(cluster))
            rows.append(("Ray", nodes, seconds, None, None, len(differing(expected, made(study)))))
            print(rows[-1], flush=True)
    with RayCluster.start(NODES[0]) as cluster:
        study = write_study(WORK / "killed", STEPS)
        killing = Kills(cluster, [_FIRST_KILL + number * _BETWEEN for number in range(kills)])
        with killing.going_on():
            seconds = run(study, *_on(cluster))
    counts = [sum(what == kind for what, _ in killing.done) for kind in ("worker", "node")]
    rows.append(("Ray, killed", NODES[0], seconds, *counts, len(differing(expected, made(study)))))
    moments = Table(
        "When it was killed",
        ("number", "what", "second", "part of the run"),
        tuple((number, what, at, at / seconds) for number, (what, at) in enumerate(killing.done, start=1)),
        ("*node*: a raylet with all its workers, by SIGKILL; another joins. *worker*: that of a job.",),
    )
    return Table(
        "The same study",
        ("where", "raylets", "seconds", "workers killed", "nodes killed", "artefacts and rows that differ"),
        tuple(rows),
        (f"{len(expected)} files and rows are compared. Nothing half-written was left behind.",),
    ), moments


def costs() -> Table:
    """What a job costs beside its work, and what a second node brings."""
    rows: list[tuple[str | int | float | None, ...]] = []
    with ResidentProcesses(2) as local:
        rows.append(("local, 2 processes", *_cost(local)))
    for nodes in (1, 2):
        with RayCluster.start(nodes) as cluster, connected(cluster.address), RayExecutor(WORK) as executor:
            rows.append((f"Ray, {nodes} raylet{'s'[: nodes > 1]} of one core", *_cost(executor)))
            print(rows[-1], flush=True)
    return Table(
        "What a job costs",
        ("where", "ms a job of nothing", "jobs a second", "of what its cores could do"),
        tuple(rows),
        (
            f"{SMALL_JOBS} jobs that do nothing, with leases; {JOBS} jobs of {COMPUTED_SECONDS:g} s of "
            f"processor time each. The best of {REPEATS}, workers up before.",
        ),
    )


def _cost(executor: Executor) -> tuple[float, float, float]:
    cores = len({where for _, where in executor.map(where, range(8))})
    small = _best(executor, nothing, SMALL_JOBS)
    rate = JOBS / _best(executor, compute, JOBS)
    return 1e3 * small / SMALL_JOBS, rate, rate * COMPUTED_SECONDS / cores


def _best(executor: Executor, job: Callable[[int, Report], int], count: int) -> float:
    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        assert len(list(executor.map(job, range(count)))) == count
        found.append(time.perf_counter() - began)
    return min(found)


def _on(cluster: RayCluster) -> tuple[str, ...]:
    return "--executor", "ray", "--address", cluster.address


if __name__ == "__main__":
    main()
