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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
if "ray" not in sys.modules:  # read as Ray is imported
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))

_STORE_BYTES = 100 << 20
_TRIES = 5
_NOTHING: Mapping[str, str] = {}
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
    def start(
        cls, nodes: int, cores: int = 1, hidden: Path | None = None, environment: Mapping[str, str] = _NOTHING
    ) -> Iterator["RayCluster"]:
        """So many raylets, each with so many cores.

        Args:
            nodes: how many.
            cores: of each.
            hidden: a folder that they find empty, as if it were on another machine.
            environment: of them, beside that of this process.
        """
        ours = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "benchmarks.ray_cluster", str(nodes), str(cores)]
        process = subprocess.Popen(
            command if hidden is None else [*hiding(), str(hidden), *command],
            env=ours | dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, start_new_session=True,
        )  # fmt: skip
        try:
            first = _answer(process)
            yield cls(process, first["address"], first["raylets"])
        finally:
            process.communicate()  # the end of its input ends it
            if process.returncode:
                with suppress(ProcessLookupError):
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


def hiding() -> list[str]:
    """A command that mounts an empty folder over its first argument, for what the others name alone."""
    alone = "--mount" if os.geteuid() == 0 else "--user --map-root-user --mount"
    return ["unshare", *alone.split(), "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"']


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
    cluster = Cluster()

    def added(wait: bool) -> Any:
        for _ in range(_TRIES):
            with suppress(
                Exception
            ):  # a raylet has 30 seconds to start, which a busy machine may not give it
                return cluster.add_node(wait=wait, **shared)
        raise RuntimeError(f"no raylet started in {_TRIES} tries")

    members = [added(wait=True) for _ in range(nodes)]  # the first one is the head

    def tell() -> None:
        raylets = [one.all_processes["raylet"][0].process.pid for one in members]
        print(json.dumps({"address": cluster.address, "raylets": raylets}), flush=True)

    cluster.wait_for_nodes()
    tell()
    for line in sys.stdin:
        number = json.loads(line)["replace"]
        cluster.remove_node(members[number], allow_graceful=False)
        members[number] = added(wait=False)
        tell()
    cluster.shutdown()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
