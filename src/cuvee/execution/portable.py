"""Pickles: plain ones, and portable ones, in which paths are names that each machine resolves for itself."""

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Pickles(Protocol):
    """A way to send objects."""

    def dumps(self, value: Any) -> bytes:
        """The object as bytes."""
        ...

    def loads(self, data: bytes) -> Any:
        """What ``dumps`` was given."""
        ...


@dataclass(frozen=True)
class PlainPickles:
    """Everything as it is."""

    def dumps(self, value: Any) -> bytes:
        """See ``Pickles``."""
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)

    def loads(self, data: bytes) -> Any:
        """See ``Pickles``."""
        return pickle.loads(data)


PLAIN = PlainPickles()


@dataclass(frozen=True)
class PortablePickles:
    """Paths by name."""

    name_of: Callable[[Path], str | None]
    """None leaves a path as it is."""
    path_of: Callable[[str], Path]

    def dumps(self, value: Any) -> bytes:
        """See ``Pickles``."""
        stream = io.BytesIO()
        _Pickler(stream, self.name_of).dump(value)
        return stream.getvalue()

    def loads(self, data: bytes) -> Any:
        """See ``Pickles``."""
        return _Unpickler(io.BytesIO(data), self.path_of).load()


class _Pickler(pickle.Pickler):
    def __init__(self, stream: io.BytesIO, name_of: Callable[[Path], str | None]) -> None:
        super().__init__(stream, pickle.HIGHEST_PROTOCOL)
        self._name_of = name_of

    def persistent_id(self, obj: Any) -> str | None:
        return self._name_of(obj) if isinstance(obj, Path) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, path_of: Callable[[str], Path]) -> None:
        super().__init__(stream)
        self._path_of = path_of

    def persistent_load(self, pid: Any) -> Path:
        return self._path_of(pid)
