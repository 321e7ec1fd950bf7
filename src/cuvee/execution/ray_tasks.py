"""Jobs as tasks of a Ray cluster (the only file that imports ray; extra ``ray``).

Ray finds a place for each attempt and says when its worker or node is gone; what follows from that is decided
by ``remote.py``, so Ray itself repeats nothing. A worker process does one attempt after the other, so imports
are paid for once; on a GPU Ray gives each task a process of its own. An actor, the *desk*, hears attempts.

The folder of the study must be the same path on every node, and lie on one file system, unless artefacts go
by way of a URL (``url_artifacts.py``).
"""

import os
import pickle
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

from cuvee.errors import ConfigError, WorkerError
from cuvee.execution.attempt import Attempted, attempt
from cuvee.execution.cores import usable_cores
from cuvee.execution.devices import PROCESSOR
from cuvee.execution.handover import Handover, Permit, SharedFolder
from cuvee.execution.interface import Item, Job, OnProgress, Result
from cuvee.execution.local import WORKER_ENVIRONMENT, LocalProcesses
from cuvee.execution.node_folder import NodeFolder
from cuvee.execution.object_store import ObjectStore
from cuvee.execution.remote import Gone, Heard, RemoteMap
from cuvee.execution.sent import sendable
from cuvee.execution.url_artifacts import UrlArtifacts
from cuvee.execution.work_time import is_gpu
from cuvee.version import VERSION

PATIENCE_SECONDS = 60.0
"""A worker of which nothing is heard for so long is taken for lost."""

_OBJECT_STORE_BYTES = 256 << 20
_ROOM_SECONDS = 1.0
_DESK_SECONDS = 30.0
_HEARD_SECONDS = 10.0
_CARD = "cuda"
_SENT_ALONG = ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "CUVEE_DEBUG")
_COMPUTING = ("torch", "numpy", "transformers", "tokenizers", "safetensors")


@dataclass(frozen=True)
class Needs:
    """What Ray reserves for each job."""

    cores: float = 1.0
    memory: int = 0
    """Bytes; 0 reserves none."""

    def of(self, device: str) -> dict[str, float]:
        """By Ray's names of resources.

        Raises:
            WorkerError: one card is named, and Ray deals them out.
        """
        if is_gpu(device) and device != _CARD:
            raise WorkerError(
                f'device {device!r}: Ray deals out cards; set "device": "cuda" in numerics.json'
            )
        needs = {"CPU": self.cores, "GPU": float(is_gpu(device)), "memory": float(self.memory)}
        return {name: amount for name, amount in needs.items() if amount}


@dataclass(eq=False)
class RayExecutor:
    """Jobs on the Ray cluster that this process is connected to (see ``connected``). Use it in ``with``."""

    root: Path | None = None
    """The folder of the study: nothing is published there by a worker that was taken for lost."""
    needs: Needs = Needs()
    patience: float = PATIENCE_SECONDS
    artifacts: UrlArtifacts | None = None
    """By way of which nodes get what they read and hand over what they make; None where they see ``root``."""
    here: LocalProcesses = field(default_factory=LocalProcesses)
    """For items that stay, where nodes see nothing of this machine."""
    _maps: "count[int]" = field(default_factory=lambda: count(1))
    _desk: Any = None

    @property
    def apart(self) -> bool:
        """Nodes see no folder of this machine."""
        return self.artifacts is not None

    def __enter__(self) -> "RayExecutor":
        self._desk = _desk_here()
        return self

    def at(
        self, root: Path | None, needs: Needs = Needs(), patience: float = PATIENCE_SECONDS
    ) -> "RayExecutor":
        """Another of the same cluster, for as long as this one is open; for another folder or other needs."""
        return replace(self, root=root, needs=needs, patience=patience)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import ray

        with suppress(Exception):  # the cluster may be gone
            ray.kill(self._desk)
            if self.artifacts is not None:
                _clear_nodes(self.artifacts.store)

    def map(
        self, job: Job[Item, Result], items: Sequence[Item], on_progress: OnProgress | None = None
    ) -> Iterator[tuple[int, Result]]:
        """See ``Executor.map``. ``job``, items and results must be picklable, and importable on every node.

        Raises:
            WorkerError: also where something cannot be pickled, no node has what a job needs, a node has
                other software, or an item ends several workers.
        """
        if self.artifacts is not None and any(getattr(item, "stays", False) for item in items):
            return self.here.map(job, items, on_progress)
        return self._run(sendable(job), items, on_progress)

    def _run(
        self, job: bytes, items: Sequence[Any], on_progress: OnProgress | None
    ) -> Iterator[tuple[int, Any]]:
        if not items:
            return
        needs = self.needs.of(_device_of(items))
        _check_room(needs)
        carrier = _RayCarrier.of(job, needs, self._desk)
        handover: Handover[Any] = self.artifacts or SharedFolder.begin(self.root)
        name = f"{os.getpid()}.{next(self._maps)}"
        under_way: RemoteMap[Any] = RemoteMap(carrier, items, on_progress, handover, name, self.patience)
        yield from under_way.results()


def _device_of(items: Sequence[Any]) -> str:
    devices = sorted({getattr(item, "device", PROCESSOR) for item in items})
    if len(devices) > 1:
        raise WorkerError(f"items of one map name different devices: {', '.join(devices)}; map them apart")
    return PROCESSOR if devices[0].startswith(PROCESSOR) else str(devices[0])


# The driver's side


@dataclass(eq=False)
class _RayCarrier:
    """Attempts as Ray tasks. See ``Carrier``."""

    job: Any
    """A reference to it in Ray's object store."""
    task: Any
    needs: Mapping[str, float]
    desk: Any
    _room: int = 0
    _looked: float = 0.0

    @classmethod
    def of(cls, job: bytes, needs: Mapping[str, float], desk: Any) -> "_RayCarrier":
        import ray

        sent_along = {name: os.environ[name] for name in _SENT_ALONG if name in os.environ}
        task = ray.remote(_carry_out).options(
            num_cpus=needs.get("CPU", 0),
            num_gpus=needs.get("GPU", 0),
            memory=needs.get("memory"),
            max_retries=0,
            runtime_env={"env_vars": {**WORKER_ENVIRONMENT, **sent_along}},
        )
        return cls(ray.put(job), task, needs, desk)

    def room(self) -> int:
        import ray

        if time.monotonic() - self._looked > _ROOM_SECONDS:
            there = ray.cluster_resources()
            self._room = max(1, int(min(there.get(name, 0.0) // need for name, need in self.needs.items())))
            self._looked = time.monotonic()
        return self._room

    def start(self, name: str, item: bytes, permit: Permit) -> Any:
        return self.task.remote(self.job, item, permit, name, self.desk, software())

    def wait(self, tasks: Sequence[Any], seconds: float) -> Sequence[Any]:
        import ray

        ended, _ = ray.wait(list(tasks), num_returns=len(tasks), timeout=0)
        if not ended:
            ended, _ = ray.wait(list(tasks), num_returns=1, timeout=seconds)
        return list(ended)

    def outcome(self, task: Any) -> Attempted:
        import ray
        from ray import exceptions

        lost_node = (exceptions.NodeDiedError, exceptions.ObjectLostError, exceptions.LocalRayletDiedError)
        try:
            found: Attempted = ray.get(task)
        except exceptions.RayTaskError as error:
            return _refused("a worker of Ray could not begin; is cuvee installed on every node?", str(error))
        except lost_node as error:
            raise Gone(str(error), blameless=True) from error
        except exceptions.RayError as error:
            raise Gone(f"{type(error).__name__}: {error}", blameless=False) from error
        return found

    def heard(self) -> dict[str, Heard]:
        import ray

        try:
            said: dict[str, Heard] = ray.get(self.desk.heard.remote(), timeout=_HEARD_SECONDS)
        except ray.exceptions.RayError:  # it is started again; what was said will be said again
            return {}
        return said

    def stop(self, attempts: Mapping[Any, str]) -> None:
        import ray

        with suppress(ray.exceptions.RayError):
            began = ray.get(self.desk.stop.remote(list(attempts.values())), timeout=_HEARD_SECONDS)
            for task in (task for task, name in attempts.items() if name not in began):
                ray.cancel(task, force=False)

    def kill(self, task: Any, name: str) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        with suppress(ray.exceptions.RayError):
            ray.cancel(task, force=True)
            # A process that hangs or is paused does not listen to Ray either.
            node, pid = ray.get(self.desk.where.remote(name), timeout=_HEARD_SECONDS) or ("", 0)
            if node:
                there = NodeAffinitySchedulingStrategy(node, soft=False)
                ray.remote(_kill).options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(pid)


def _check_room(needs: Mapping[str, float]) -> None:
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(node.get(name, 0.0) >= need for name, need in needs.items()) for node in nodes):
        wanted = ", ".join(f"{need:g} {name}" for name, need in needs.items())
        most = {name: max((node.get(name, 0.0) for node in nodes), default=0.0) for name in needs}
        there = ", ".join(f"{amount:g} {name}" for name, amount in most.items())
        raise WorkerError(
            f"no node of the Ray cluster has what a job needs ({wanted}); the most that one has: {there}. "
            "Start a node that has it, then run the command again"
        )


# The worker's side


class _Desk:
    """Where attempts say how far they are, and ask whether to go on. A Ray actor."""

    def __init__(self) -> None:
        self._heard: dict[str, Heard] = {}
        self._where: dict[str, tuple[str, int]] = {}
        self._stopped: set[str] = set()

    def say(self, name: str, amount: float, note: str, where: tuple[str, int]) -> bool:
        """Of an attempt, on a node and in a process."""
        self._where[name] = where
        beats = self._heard[name].beats if name in self._heard else 0
        self._heard[name] = Heard(beats + 1, amount, note)
        return name not in self._stopped

    def heard(self) -> dict[str, Heard]:
        """Of all that have begun and not ended."""
        return self._heard

    def stop(self, names: Sequence[str]) -> set[str]:
        """Those of them that have begun."""
        self._stopped.update(names)
        return self._heard.keys() & set(names)

    def where(self, name: str) -> tuple[str, int] | None:
        """Node and process of an attempt that has begun and not ended."""
        return self._where.get(name)

    def leave(self, name: str) -> None:
        """An attempt has ended."""
        self._heard.pop(name, None)
        self._where.pop(name, None)


def _desk_here() -> Any:
    """On the node of this process: if that is lost, so is the command."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    desk = (
        ray.remote(_Desk)
        .options(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)
        .remote()
    )
    ray.get(desk.heard.remote(), timeout=4 * _DESK_SECONDS)
    return desk


def _carry_out(
    job: bytes, item: bytes, permit: Permit, name: str, desk: Any, wanted: Mapping[str, str]
) -> Attempted:
    """An attempt, inside a worker of Ray."""
    import ray

    if software() != dict(wanted):
        return _refused(_other_software(wanted))

    where = ray.get_runtime_context().get_node_id(), os.getpid()

    def say(amount: float, note: str) -> bool:
        return bool(ray.get(desk.say.remote(name, amount, note, where), timeout=_DESK_SECONDS))

    try:
        return attempt(job, item, permit, say, where[0])
    finally:
        desk.leave.remote(name)


def _clear_nodes(store: ObjectStore) -> None:
    """Remove what nodes keep of a study."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = [
        NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in ray.nodes() if node["Alive"]
    ]
    task = ray.remote(_clear)
    left = [task.options(num_cpus=0, scheduling_strategy=one).remote(store) for one in there]
    ray.wait(left, num_returns=len(left), timeout=_HEARD_SECONDS)


def _clear(store: ObjectStore) -> None:
    """What this node keeps."""
    import ray

    NodeFolder.of(store, ray.get_runtime_context().get_node_id()).clear()


def _kill(pid: int) -> None:
    """A worker of this node, unless it does something else by now."""
    with suppress(OSError):
        if Path(f"/proc/{pid}/cmdline").read_text().startswith(f"ray::{_carry_out.__name__}"):
            os.kill(pid, signal.SIGKILL)


def _refused(why: str, details: str = "") -> Attempted:
    """Of an attempt that did not begin."""
    return Attempted(pickle.dumps(("failed", None, why, details)), 0.0, "")


def software() -> dict[str, str]:
    """What decides the bytes of a result, with its version."""
    found = {"cuvee": VERSION, "python": ".".join(map(str, sys.version_info[:2]))}
    for name in _COMPUTING:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _other_software(wanted: Mapping[str, str]) -> str:
    import ray

    here = software()
    differing = [f"{name} {here.get(name, 'missing')} instead of {wanted[name]}" for name in wanted
                 if here.get(name) != wanted[name]]  # fmt: skip
    node = ray.util.get_node_ip_address()
    return f"node {node} has other software than the command: {', '.join(differing)}; install the same there"


# The connection


@contextmanager
def connected(address: str | None, cores: int | None = None) -> Iterator[None]:
    """Be connected to a Ray cluster.

    Args:
        address: ``auto``, ``host:port``, or None for a Ray of one's own on this machine, which ends with it.
        cores: of that one; default all that this process may use.

    Raises:
        ConfigError: the extra ``ray`` is not installed, or there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:
        _know_a_secret()
    try:
        import ray
    except ImportError as error:
        raise ConfigError("the executor `ray` needs the ray library: pip install 'cuvee[ray]'") from error
    with _signals_kept():
        try:
            _connect(address, cores)
        except (ConnectionError, RuntimeError, ValueError) as error:
            where = f"the Ray cluster at '{address}'" if address else "a Ray on this machine"
            raise ConfigError(f"{where} cannot be reached: {' '.join(str(error).split())}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _connect(address: str | None, cores: int | None) -> None:
    import ray

    shared: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if address is not None:
        ray.init(address=address, **shared)
        return
    with _modules_found():
        ray.init(
            address="local",
            num_cpus=cores or usable_cores(),
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            **shared,
        )


@contextmanager
def _modules_found() -> Iterator[None]:
    """Workers on this machine import from where this process does."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _know_a_secret() -> None:
    """Ray listens on all interfaces: ours obeys only who knows a secret. It is read as Ray is imported."""
    ours = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    if not ours.keys() & os.environ.keys():
        os.environ.update(ours)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself; the command line wants to end with a word."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    with suppress(ValueError):  # not in the main thread: Ray did not take it either
        signal.signal(signal.SIGTERM, before)
