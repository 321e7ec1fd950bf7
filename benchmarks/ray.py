"""A study on Ray: the same bytes as on this machine alone, also under kills.

Several raylets on one machine stand for several machines. ``python -m benchmarks.ray KILLS`` takes another
number of kills. Needs the extra ``ray``.
"""

import shutil
import sys
import time

from benchmarks.harness import FOLDER, Cell, Table, write
from benchmarks.ray_cluster import RayCluster
from benchmarks.ray_study import Kills, differing, made, run, run_counted, strata, write_study

WORK = FOLDER.parent / ".bench" / "ray"
KILLS = 20
NODES = (2, 4)
STEPS = 120


def main() -> None:
    """Write the tables."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else KILLS
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    began = time.perf_counter()
    tables = studies(kills)
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
    rows: list[tuple[Cell, ...]] = [("local processes", None, run(local), None, None, None, 0)]
    expected = made(local)
    jobs = 0
    for nodes in NODES:
        with RayCluster.start(nodes) as cluster:
            study = write_study(WORK / f"nodes-{nodes}", STEPS)
            found = run_counted(study, cluster.address)
            jobs, wrong = found.jobs, len(differing(expected, made(study)))
            rows.append(("Ray", nodes, found.seconds, jobs, None, None, wrong))
            print(rows[-1], flush=True)
    with RayCluster.start(NODES[0]) as cluster:
        study = write_study(WORK / "killed", STEPS)
        killing = Kills(cluster, strata(jobs, kills))
        found = run_counted(study, cluster.address, killing.look)
    counts = [sum(one.what == kind for one in killing.done) for kind in ("worker", "node")]
    wrong = len(differing(expected, made(study)))
    rows.append(("Ray, killed", NODES[0], found.seconds, found.jobs, *counts, wrong))
    moments = Table(
        "When it was killed",
        ("number", "what", "jobs done", "part of all jobs", "second"),
        tuple(
            (number, one.what, one.jobs, one.jobs / jobs, one.second)
            for number, one in enumerate(killing.done, start=1)
        ),
        (
            "*node*: a raylet with all its workers, by SIGKILL; another joins. *worker*: that of a job.",
            f"A kill fell in {killing.hit(jobs)} of {kills} equal parts of all jobs.",
        ),
    )
    columns = ("where", "raylets", "seconds", "jobs", "workers killed", "nodes killed", "what differs")
    return Table(
        "The same study",
        columns,
        tuple(rows),
        (f"{len(expected)} files and rows are compared. Nothing half-written was left behind.",),
    ), moments


if __name__ == "__main__":
    main()
