"""Files behind a URL: of a folder or of an object store (the only file that imports fsspec; extra ``ray``).

A name is a path below the URL. Nothing is renamed to be published, and an upload that was cut off may leave
part of a file: what counts is written down behind it, in a file of its own (``url_artifacts.py``).
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cuvee.errors import ConfigError

_CHECK = "check"


@dataclass(frozen=True)
class ObjectStore:
    """What lies below a URL."""

    url: str

    @classmethod
    def at(cls, url: str) -> "ObjectStore":
        """Behind a URL as a user gives it; a path on this machine becomes one.

        Raises:
            ConfigError: nothing can be written and read there.
        """
        try:
            files, path = _opened(url)
            found = cls(files.unstrip_protocol(path) if "file" in files.protocol else url.rstrip("/"))
            found.write(_CHECK, b"cuvee")
            if found.read(_CHECK) != b"cuvee":
                raise OSError("what was written is not what is read")
            found.remove(_CHECK)
        except Exception as error:  # of whatever library carries it
            raise ConfigError(
                f"--artifacts {url}: cannot be written and read: {' '.join(str(error).split())}"
            ) from error
        return found

    def below(self, name: str) -> "ObjectStore":
        """A part of it."""
        return ObjectStore(f"{self.url}/{name}")

    def put(self, file: Path, name: str) -> None:
        """Copy a file there."""
        files, path = self._place(name)
        files.put_file(str(file), path)

    def get(self, name: str, file: Path) -> None:
        """Copy a file from there.

        Raises:
            FileNotFoundError: there is none.
        """
        files, path = _opened(f"{self.url}/{name}")
        files.get_file(path, str(file))

    def write(self, name: str, data: bytes) -> None:
        """A small file."""
        files, path = self._place(name)
        files.pipe_file(path, data)

    def read(self, name: str) -> bytes | None:
        """A small file; None where there is none."""
        files, path = _opened(f"{self.url}/{name}")
        files.invalidate_cache()
        try:
            return bytes(files.cat_file(path))
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        """All files below a folder, in order, with its name before theirs; a file has its own."""
        files, top = _opened(self.url)
        files.invalidate_cache()
        found = files.find(f"{top}/{folder}")
        return sorted(str(one).removeprefix(f"{top}/") for one in found)

    def move(self, folder: str, other: str) -> None:
        """Give a file, or all files of a folder, another name."""
        for name in self.names(folder):
            files, path = _opened(f"{self.url}/{name}")
            files.mv(path, self._place(other + name.removeprefix(folder))[1])

    def remove(self, folder: str) -> None:
        """Remove a file, or a folder with all that it holds, if it is there."""
        files, path = _opened(f"{self.url}/{folder}")
        files.invalidate_cache()
        if files.exists(path):
            files.rm(path, recursive=True)

    def _place(self, name: str) -> tuple[Any, str]:
        files, path = _opened(f"{self.url}/{name}")
        files.makedirs(path.rpartition("/")[0], exist_ok=True)
        return files, path


@lru_cache(maxsize=256)
def _opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path there."""
    from fsspec.core import url_to_fs

    files, path = url_to_fs(url)
    return files, str(path).rstrip("/")
