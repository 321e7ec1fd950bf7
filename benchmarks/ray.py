"""A study on Ray: the same bytes as on this machine alone, also under kills.

Several raylets on one machine stand for several machines. ``python -m benchmarks.ray KILLS`` takes another
number of kills. Needs the extra ``ray``.
"""

import shutil
import sys
import time

from benchmarks.harness import FOLDER, Cell, Table, write
from benchmarks.ray_cluster import RayCluster
from benchmarks.ray_study import Kills, differing, made, run, write_study

WORK = FOLDER.parent / ".bench" / "ray"
KILLS = 20
NODES = (2, 4)
STEPS = 120
_LONGER = 1.3
"""Times that a run takes which is killed so often: the last kill falls near its end."""


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
    rows: list[tuple[Cell, ...]] = [("local processes", None, run(local), None, None, 0)]
    expected = made(local)
    for nodes in NODES:
        with RayCluster.start(nodes) as cluster:
            study = write_study(WORK / f"nodes-{nodes}", STEPS)
            seconds = run(study, *_on(cluster))
            rows.append(("Ray", nodes, seconds, None, None, len(differing(expected, made(study)))))
            print(rows[-1], flush=True)
    with RayCluster.start(NODES[0]) as cluster:
        study = write_study(WORK / "killed", STEPS)
        whole = _LONGER * float(rows[1][2] or 0)
        killing = Kills(cluster, [whole * (number + 0.5) / kills for number in range(kills)])
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


def _on(cluster: RayCluster) -> tuple[str, ...]:
    return "--executor", "ray", "--address", cluster.address


if __name__ == "__main__":
    main()
