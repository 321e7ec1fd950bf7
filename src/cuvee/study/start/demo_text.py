"""Real text of different kinds, from files that the installation holds.

Nothing is downloaded and nothing outside the Python installation and its packages is read. The text
follows the versions installed, so it serves a demonstration, not a benchmark.
"""

import ast
import hashlib
import importlib.util
import inspect
import os
import sysconfig
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FILE_CHARACTERS = 60_000
"""Most text taken from one file, so that no generated file rules a domain."""
PIECE_CHARACTERS = 2_500
"""Longest document; files are cut at line ends, so held-out pieces may come from a file trained on. Short, so
that a small held-out part has many: tokens of one document resemble each other."""
SMALLEST_CHARACTERS = 200
_LARGEST_FILE_BYTES = 2_000_000
_TABLE_DIGITS = 0.4
_SKIPPED_FOLDERS = frozenset(
    {"__pycache__", "site-packages", "dist-packages", "test", "idle_test", "encodings", "pydoc_data"}
)

_OWN_PLACES = frozenset({"stdlib", "help", "include", "metadata"})

_DOCUMENTED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

Extract = Callable[[Path], Iterator[str]]


@dataclass(frozen=True)
class Installation:
    """Where the installation's text lies."""

    places: Mapping[str, tuple[Path, ...]]
    """Folders by name: ``stdlib``, ``help``, ``include``, ``metadata`` (of packages), each package."""

    @classmethod
    def here(cls) -> "Installation":
        """The running Python's. Packages are found without importing them."""
        packages = {}
        for domain in DOMAINS:
            for place in domain.places:
                if place not in _OWN_PLACES:
                    spec = importlib.util.find_spec(place)
                    packages[place] = tuple(map(Path, (spec and spec.submodule_search_locations) or ()))
        stdlib = Path(sysconfig.get_path("stdlib"))
        sites = {folder.parent for folders in packages.values() for folder in folders}
        return cls(
            {
                "stdlib": (stdlib,),
                "help": (stdlib / "pydoc_data",),
                "include": (Path(sysconfig.get_path("include")),),
                "metadata": tuple(sorted(found for site in sites for found in site.glob("*.dist-info"))),
                **packages,
            }
        )

    def files(self, place: str, suffixes: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
        """Names (from the place's folder on) and paths; links that lead out of the folder are left."""
        for folder in self.places.get(place, ()):
            inside = folder.resolve()
            for parent, children, names in os.walk(folder):
                children[:] = [child for child in children if child not in _SKIPPED_FOLDERS]
                for name in names:
                    path = Path(parent, name)
                    if not name.endswith(suffixes):
                        continue
                    if not path.is_symlink() or path.resolve().is_relative_to(inside):
                        yield f"{folder.name}/{path.relative_to(folder)}", path


def code(path: Path) -> Iterator[str]:
    """Python code without its docstrings."""
    source = _read(path)
    lines = source.splitlines(keepends=True)
    for first, last, _ in _docstrings(source):
        lines[first - 1 : last] = [""] * (last - first + 1)
    yield "".join(lines)


def docstrings(path: Path) -> Iterator[str]:
    """The docstrings of a Python file, as one text; tests have hardly any."""
    if "tests" not in path.parts:
        yield "\n\n".join(text for _, _, text in _docstrings(_read(path)) if len(text) >= SMALLEST_CHARACTERS)


def plain(path: Path) -> Iterator[str]:
    """The file as it is."""
    yield _read(path)


def table(path: Path) -> Iterator[str]:
    """A file of numbers; of any other, nothing."""
    text = _read(path)
    ink = sum(map(len, text.split()))
    if ink and sum(map(text.count, "0123456789")) >= _TABLE_DIGITS * ink:
        yield text


def prose(path: Path) -> Iterator[str]:
    """Licences, the descriptions of packages, and the topics of Python's ``help``."""
    if path.name == "topics.py":
        for node in ast.walk(ast.parse(_read(path))):
            if isinstance(node, ast.Dict):
                yield from ast.literal_eval(node).values()
    elif path.name == "METADATA":
        yield _read(path).partition("\n\n")[2]
    elif any(word in str(path).lower() for word in ("licen", "notice", "copying", "authors")):
        yield _read(path)


@dataclass(frozen=True)
class Domain:
    """One kind of text: where it lies and how it is taken out."""

    name: str
    about: str
    places: tuple[str, ...]
    suffixes: tuple[str, ...]
    extract: Extract

    def documents(self, installation: Installation, most_bytes: int) -> Iterator[tuple[str, str]]:
        """(name of the file, text) in the order of the hashes of the names, until there is enough."""
        files = {
            name: path for place in self.places for name, path in installation.files(place, self.suffixes)
        }
        taken = 0
        for name in sorted(files, key=lambda name: hashlib.sha256(name.encode()).digest()):
            for text in self.extract(files[name]):
                for piece in _pieces(text[:FILE_CHARACTERS]):
                    yield name, piece
                    taken += len(piece.encode())
                    if taken >= most_bytes:
                        return


_PYTHON = (".py",)
DOMAINS = (
    Domain("python", "code of Python's standard library", ("stdlib",), _PYTHON, code),
    Domain("ml_code", "code of torch and transformers", ("torch", "transformers"), _PYTHON, code),
    Domain("cpp", "C++ headers", ("torch", "pyarrow", "numpy", "include"), (".h", ".hpp", ".cuh"), plain),
    Domain("science_docs", "docstrings of numpy and scipy", ("numpy", "scipy"), _PYTHON, docstrings),
    Domain("prose", "licences, descriptions, help", ("metadata", "help"), ("",), prose),
    Domain("tables", "tables of numbers", ("numpy", "scipy"), (".csv", ".txt", ".dat"), table),
    Domain("ml_docs", "docstrings of torch and transformers", ("torch", "transformers"), _PYTHON, docstrings),
    Domain("stubs", "type stubs", ("numpy", "torch", "tokenizers", "scipy"), (".pyi",), plain),
    # Near to the standard library's code: taken only where another domain is too small.
    Domain("math", "code of sympy", ("sympy",), _PYTHON, code),
)
"""In the order of preference; the first ones make up the demonstration."""


def _read(path: Path) -> str:
    """The text of a file; empty where it is no text or too long to be written by hand."""
    try:
        if path.stat().st_size <= _LARGEST_FILE_BYTES:
            return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        pass
    return ""


def _docstrings(source: str) -> Iterator[tuple[int, int, str]]:
    """(first line, last line, text) of each docstring; none where the source is not today's Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return
    waiting: list[ast.AST] = [tree]
    while waiting:
        body = getattr(waiting.pop(), "body", None)
        if not isinstance(body, list) or not body:
            continue
        # Only statements are visited: a walk through all expressions takes ten times as long.
        waiting += [node for node in reversed(body) if isinstance(node, _DOCUMENTED)]
        value = body[0].value if isinstance(body[0], ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.lineno, value.end_lineno or value.lineno, inspect.cleandoc(value.value)


def _pieces(text: str) -> Iterator[str]:
    """The text cut at line ends into pieces of at most ``PIECE_CHARACTERS``; scraps are dropped."""
    start = 0
    while start < len(text):
        end = start + PIECE_CHARACTERS
        if end < len(text):
            end = text.rfind("\n", start, end) + 1 or end
        piece = text[start:end].strip()
        if len(piece) >= SMALLEST_CHARACTERS:
            yield piece
        start = end
