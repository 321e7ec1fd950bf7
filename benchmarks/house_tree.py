"""The package at one commit as syntax trees: its modules, and who imports whom. Nothing is imported.

A commit is read through ``git archive``, the working tree from disk, so that both are counted by one
code. An import belongs to the file in which the imported thing is defined, also when it is taken from
a package's ``__init__``.
"""

import ast
import io
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parent.parent
PACKAGE = "cuvee"
WORKING_TREE = "working tree"
FOLDERS = ("src", "tests/house")
"""That are counted."""

AnyImport = ast.Import | ast.ImportFrom


@dataclass(frozen=True)
class Module:
    """One Python file of the package."""

    name: str
    """With dots; a package's ``__init__`` has the name of the package."""
    path: PurePosixPath
    """From the root of the repository."""
    syntax: ast.Module
    lines: int

    @property
    def is_face(self) -> bool:
        """True of an ``__init__``, which shows outsiders what a package has."""
        return self.path.name == "__init__.py"

    @property
    def room(self) -> str:
        """The folder below the package; ``.`` for the ground.

        ``__main__`` counts to ``cli``: it stands on the ground, but is the command.
        """
        if self.path.name == "__main__.py":
            return "cli"
        return self.path.parent.relative_to(PurePosixPath("src", PACKAGE)).as_posix()


@dataclass(frozen=True, order=True)
class Import:
    """One file that imports another one."""

    importer: str
    imported: str
    line: int
    kind: str
    """``head``: when the importer is loaded; ``late``: in a function; ``typing``: for annotations."""


@dataclass(frozen=True)
class Tree:
    """The counted files at one commit."""

    name: str
    files: Mapping[str, str]
    """Text by path from the root of the repository."""

    @classmethod
    def at(cls, commit: str, root: Path = ROOT) -> "Tree":
        """What ``git`` has under that name; subprocess.CalledProcessError if the clone does not hold it."""
        archive = subprocess.run(
            ["git", "archive", "--format=tar", commit], cwd=root, check=True, capture_output=True
        ).stdout
        files: dict[str, str] = {}
        with tarfile.open(fileobj=io.BytesIO(archive)) as members:
            for member in members:
                content = members.extractfile(member) if _counted(member.name) else None
                if content is not None:
                    files[member.name] = content.read().decode()
        return cls(commit, files)

    @classmethod
    def on_disk(cls, root: Path = ROOT) -> "Tree":
        """What lies there now, committed or not."""
        found = [root / "pyproject.toml", *(path for one in FOLDERS for path in (root / one).rglob("*.py"))]
        named = {path.relative_to(root).as_posix(): path for path in sorted(found)}
        return cls(WORKING_TREE, {name: path.read_text(encoding="utf-8") for name, path in named.items()})

    @cached_property
    def modules(self) -> Mapping[str, Module]:
        """All files of the package, by name of the module."""
        paths = [PurePosixPath(name) for name in self.files if name.startswith(f"src/{PACKAGE}/")]
        modules = [self._module(path) for path in sorted(paths)]
        return {module.name: module for module in modules}

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """All imports of one file of the package by another, each once a line."""
        found: set[Import] = set()
        for module in self.modules.values():
            for node, kind in _imports(module.syntax, "head"):
                names = self._defining(node) - {module.name}
                found.update(Import(module.name, name, node.lineno, kind) for name in names)
        return tuple(sorted(found))

    def imported_by(self, path: str) -> set[str]:
        """The modules of the package that one counted file uses; it may lie outside of the package."""
        nodes = [node for node, _ in _imports(ast.parse(self.files[path]), "head")]
        return {name for node in nodes for name in self._defining(node)}

    def _defining(self, node: AnyImport) -> set[str]:
        names = (self.defining(target) for target in _targets(node))
        return {name for name in names if name is not None}

    def defining(self, name: str) -> str | None:
        """The module that a dotted name leads to; None outside the package."""
        if name in self.modules:
            return name
        package, _, thing = name.rpartition(".")
        if package not in self.modules:
            return None
        face = self.modules[package]
        return (self._shown(face, thing) if face.is_face else None) or package

    def _shown(self, face: Module, thing: str) -> str | None:
        """Where a face has a name from."""
        for node in ast.walk(face.syntax):
            if isinstance(node, ast.ImportFrom) and node.module and node.module != face.name:
                for alias in node.names:
                    if (alias.asname or alias.name) == thing:
                        return self.defining(f"{node.module}.{alias.name}")
        return None

    def _module(self, path: PurePosixPath) -> Module:
        text = self.files[path.as_posix()]
        parts = path.relative_to("src").with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        return Module(name, path, ast.parse(text), len(text.splitlines()))


def _imports(node: ast.AST, kind: str) -> Iterator[tuple[AnyImport, str]]:
    """All imports below a node, each with its kind."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, AnyImport):
            yield child, kind
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _imports(child, "late")
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _imports(child, "typing")
        else:
            yield from _imports(child, kind)


def _targets(node: AnyImport) -> list[str]:
    """Dotted names of what is imported; relative imports are forbidden in this house."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [f"{node.module}.{alias.name}" for alias in node.names]


def _counted(path: str) -> bool:
    inside = any(path.startswith(f"{folder}/") for folder in FOLDERS)
    return path == "pyproject.toml" or (inside and path.endswith(".py"))
