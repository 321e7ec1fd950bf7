"""A Ray cluster of several raylets on this machine, whose nodes and workers can be killed.

    with RayCluster.start(nodes=2) as cluster:
        ...  # cuvee run STUDY --executor ray --address {cluster.address}

The first node is where commands run; it is never killed. Needs the extra ``ray``.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
if "ray" not in sys.modules:  # read as Ray is imported
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))

_STORE_BYTES = 100 << 20
AT_WORK = "ray::_carry_out"
"""How Ray calls a process that works on an attempt."""


@dataclass(eq=False)
class RayCluster:
    """The cluster, from outside."""

    process: "subprocess.Popen[str]"
    address: str
    raylets: list[int]
    """Process ids, by node; the first is the head."""

    @classmethod
    @contextmanager
    def start(cls, nodes: int, cores: int = 1) -> Iterator["RayCluster"]:
        """So many raylets, each with so many cores."""
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.ray_cluster", str(nodes), str(cores)],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, start_new_session=True,
        )  # fmt: skip
        try:
            first = _answer(process)
            yield cls(process, first["address"], first["raylets"])
        finally:
            process.communicate()  # the end of its input ends it
            if process.returncode:
                os.killpg(process.pid, signal.SIGKILL)

    def kill_node(self, number: int) -> None:
        """Kill a raylet with all its workers, and start another node in its place."""
        self._ask({"replace": number})

    def workers(self, number: int | None = None) -> list[int]:
        """Process ids of workers that are in the middle of an attempt; of one node, or of all."""
        of = self.raylets if number is None else [self.raylets[number]]
        return [pid for raylet in of for pid in _children(raylet) if _name(pid).startswith(AT_WORK)]

    def _ask(self, request: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        self.raylets = _answer(self.process)["raylets"]


def _answer(process: "subprocess.Popen[str]") -> Any:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            return json.loads(line)
    raise RuntimeError("the Ray cluster ended by itself")


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


def _serve(nodes: int, cores: int) -> None:
    from ray.cluster_utils import Cluster

    shared = {"num_cpus": cores, "object_store_memory": _STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=shared)
    members = [cluster.head_node, *(cluster.add_node(**shared) for _ in range(nodes - 1))]

    def tell() -> None:
        raylets = [one.all_processes["raylet"][0].process.pid for one in members]
        print(json.dumps({"address": cluster.address, "raylets": raylets}), flush=True)

    cluster.wait_for_nodes()
    tell()
    for line in sys.stdin:
        number = json.loads(line)["replace"]
        cluster.remove_node(members[number], allow_graceful=False)
        members[number] = cluster.add_node(wait=False, **shared)
        tell()
    cluster.shutdown()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
