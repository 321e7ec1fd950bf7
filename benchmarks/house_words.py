"""Sentences in the source, and how many of them stayed word for word between two trees."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.house_tree import PACKAGE, Tree

END = re.compile(r"(?<=[.!?])\s+")
"""Where a sentence ends."""
WORD = re.compile(r"[^\W\d_]{2,}")
MIN_WORDS = 3
"""Of what counts as a sentence: shorter strings are keys and pieces of punctuation."""


@dataclass(frozen=True)
class Texts:
    """One kind of text that users read."""

    name: str
    where: str
    """Which files and which of their strings, in words."""
    holds: Callable[[str], bool]
    """Whether a file, by its path in the package, has such texts."""
    docstrings: bool
    """Whether docstrings are shown to users there: help texts, comments of a study file."""


KINDS = (
    Texts(
        "help texts and messages of `cli/`",
        "string literals and docstrings below functions and classes",
        lambda path: path.startswith("cli/"),
        docstrings=True,
    ),
    Texts(
        "headlines and verdicts",
        "string literals of `*headline.py` and `*verdict.py`",
        lambda path: path.endswith(("headline.py", "verdict.py")),
        docstrings=False,
    ),
    Texts(
        "the study file (`settings.py`)",
        "docstrings of classes and fields, and string literals",
        lambda path: path.endswith("/settings.py"),
        docstrings=True,
    ),
)


@dataclass(frozen=True)
class Change:
    """What became of the sentences of one kind."""

    before: int
    kept: int
    """Of ``before``, how many stand anywhere in the other tree word for word."""
    after: int
    new: int
    """Of ``after``, how many stood nowhere in the first tree."""

    @property
    def gone(self) -> int:
        """Rewritten or dropped."""
        return self.before - self.kept


def changes(before: Tree, after: Tree) -> list[tuple[Texts, Change]]:
    """Compare two trees; a sentence that moved to another file is kept."""
    all_before, all_after = everything(before), everything(after)
    found: list[tuple[Texts, Change]] = []
    for kind in KINDS:
        old, new = sentences(kind, before), sentences(kind, after)
        found.append((kind, Change(len(old), len(old & all_after), len(new), len(new - all_before))))
    return found


def replaced(before: Tree, after: Tree) -> list[tuple[str, str]]:
    """Sentences of headlines and verdicts that stand in one tree alone, each with ``before`` or ``now``."""
    (kind,) = (one for one in KINDS if one.name == "headlines and verdicts")
    gone = sentences(kind, before) - everything(after)
    new = sentences(kind, after) - everything(before)
    return [("before", one) for one in sorted(gone)] + [("now", one) for one in sorted(new)]


def sentences(kind: Texts, tree: Tree) -> frozenset[str]:
    """All different ones of one kind."""
    found: set[str] = set()
    for module in tree.modules.values():
        path = module.path.as_posix().removeprefix(f"src/{PACKAGE}/")
        if kind.holds(path):
            docstrings, literals = _texts(module.syntax)
            body = docstrings[1:] if ast.get_docstring(module.syntax) else docstrings
            found.update(_split([*(body if kind.docstrings else ()), *literals]))
    return frozenset(found)


def everything(tree: Tree) -> frozenset[str]:
    """All sentences of all files of a tree."""
    return frozenset(
        one for module in tree.modules.values() for group in _texts(module.syntax) for one in _split(group)
    )


def _split(texts: list[str]) -> Iterator[str]:
    for text in texts:
        for paragraph in text.split("\n\n"):
            for sentence in END.split(" ".join(paragraph.split())):
                if len(WORD.findall(sentence)) >= MIN_WORDS:
                    yield sentence


def _texts(syntax: ast.AST) -> tuple[list[str], list[str]]:
    """Docstrings (those below fields too) and other literals; ``{}`` stands for what an f-string fills in."""
    docstrings: list[str] = []
    literals: list[str] = []
    parts: set[ast.expr] = set()
    for node in ast.walk(syntax):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            parts.add(node.value)
            docstrings += [node.value.value] if isinstance(node.value.value, str) else []
        elif isinstance(node, ast.JoinedStr):
            parts.update(node.values)
            literals.append("".join(_part(value) for value in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
            literals.append(node.value)
    return docstrings, literals


def _part(value: ast.expr) -> str:
    return str(value.value) if isinstance(value, ast.Constant) else "{}"
