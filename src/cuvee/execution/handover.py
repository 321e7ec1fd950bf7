"""Handover: how the jobs of one map get what they read, and hand over what they make.

Two rows: a folder that all nodes see (here), and a URL where nodes have no folder in common
(``url_artifacts.py``). In both, what an attempt makes counts only until its permit is taken back.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from cuvee.execution.leases import Leases
from cuvee.execution.portable import PLAIN, Pickles
from cuvee.execution.sent import sendable_item, understood
from cuvee.execution.worker import Message
from cuvee.files import Lease, under_lease


class Permit(Protocol):
    """What an attempt works under. It is sent to the worker."""

    @property
    def name(self) -> str:
        """Of the attempt, for its log."""
        ...

    @property
    def lost(self) -> bool:
        """It was taken back."""
        ...

    def at(self, node: str) -> AbstractContextManager[Pickles]:
        """Where the attempt works: its inputs are there, and what it publishes is handed over as long as the
        permit is not lost. Yields how what was sent is read there.

        Args:
            node: what its node is called.
        """
        ...


PermitT = TypeVar("PermitT", bound=Permit)


class Handover(Protocol[PermitT]):
    """Of one map, in the process that hands out its jobs."""

    def send(self, index: int, item: Any) -> tuple[bytes, PermitT]:
        """An item as it is sent, with a permit for one attempt at it.

        Raises:
            WorkerError: it cannot be pickled.
        """
        ...

    def take_back(self, permit: PermitT) -> None:
        """What was published until now stays; the attempt publishes nothing any more."""
        ...

    def understood(self, data: bytes) -> Message:
        """What a worker said."""
        ...

    def end(self) -> None:
        """Take back all permits that are left."""
        ...


@dataclass(frozen=True)
class SharedPermit:
    """In a folder that all nodes see; with None, without fencing."""

    lease: Lease | None = None

    @property
    def name(self) -> str:
        """See ``Permit``."""
        return "" if self.lease is None else self.lease.folder.name

    @property
    def lost(self) -> bool:
        """See ``Permit``."""
        return self.lease is not None and self.lease.lost

    @contextmanager
    def at(self, node: str) -> Iterator[Pickles]:
        """See ``Permit``."""
        with under_lease(self.lease):
            yield PLAIN


@dataclass(eq=False)
class SharedFolder:
    """By way of the folder of the study: everything has the same path everywhere."""

    leases: Leases | None = None

    @classmethod
    def begin(cls, root: Path | None) -> "SharedFolder":
        """For the jobs of one map; None guards nothing."""
        return cls(None if root is None else Leases.begin(root))

    def send(self, index: int, item: Any) -> tuple[bytes, SharedPermit]:
        """See ``Handover``."""
        data = sendable_item(index, item)
        return data, SharedPermit(None if self.leases is None else self.leases.grant())

    def take_back(self, permit: SharedPermit) -> None:
        """See ``Handover``."""
        if self.leases is not None and permit.lease is not None:
            self.leases.take_back(permit.lease)

    def understood(self, data: bytes) -> Message:
        """See ``Handover``."""
        return understood(data)

    def end(self) -> None:
        """See ``Handover``."""
        if self.leases is not None:
            self.leases.end()
