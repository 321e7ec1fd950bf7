"""Shapes as documented are shapes as they are: every dataclass of cuvee is compared with its own words.

The docstring of a field that holds an array says its shape, as in ``Token shares [R, S]``. While tests run,
each instance of such a class is looked at when it is made: every axis is as long as the axis of the same name
in the other fields, and a number is that length. Where a docstring names several shapes, any may hold.
"""

import ast
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

_SHAPE = re.compile(r"\[((?:\.\.\.|[A-Za-z]\w*|\d+)(?:, ?(?:[A-Za-z]\w*|\d+))*)\]")
_ARRAY = re.compile(r"\b\w*Array\b")

Shape = tuple[str, ...]
CHECKED: set[type] = set()
"""Classes with documented shapes that an instance was made of."""


class WrongShape(AssertionError):
    """An array is not what its field says."""


def install() -> None:
    """Let every dataclass of cuvee that is defined from now on look at its arrays."""
    plain = dataclasses.dataclass

    def dataclass(cls: type | None = None, /, **options: Any) -> Any:
        def made(found: type) -> type:
            result: type = plain(**options)(found)
            if found.__module__.startswith("cuvee."):
                _watch(result)
            return result

        return made if cls is None else made(cls)

    dataclasses.dataclass = dataclass


def check(instance: object) -> None:
    """Compare the arrays of an instance with the words of its fields.

    Raises:
        WrongShape: an axis has another length than the words allow.
    """
    cls: Any = type(instance)
    known: dict[str, tuple[int, str]] = {}
    for field, shapes in documented(cls).items():
        value = getattr(instance, field, None)
        if not isinstance(value, np.ndarray):
            continue
        CHECKED.add(cls)
        fitting = [bound for shape in shapes if (bound := _bound(shape, value.shape, known)) is not None]
        if not fitting:
            said = " or ".join(f"[{', '.join(shape)}]" for shape in shapes)
            lengths = {name: f"{length} in {where}" for name, (length, where) in known.items()}
            raise WrongShape(
                f"{cls.__qualname__}.{field} has the shape {value.shape}, its words say {said} ({lengths})"
            )
        known |= {name: (length, field) for name, length in fitting[0].items() if name not in known}


@cache
def documented(cls: Any) -> Mapping[str, tuple[Shape, ...]]:
    """Field that holds an array -> the shapes that its docstring names."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    except (OSError, SyntaxError, TypeError):
        return {}
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for line, words in zip(tree.body, tree.body[1:], strict=False):
        if not (isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)):
            continue
        if not _ARRAY.search(ast.unparse(line.annotation)) or not isinstance(words, ast.Expr):
            continue
        if isinstance(words.value, ast.Constant) and isinstance(words.value.value, str):
            shapes = tuple(tuple(re.split(r", ?", one)) for one in _SHAPE.findall(words.value.value))
            if shapes:
                found[line.target.id] = shapes
    return found


def _watch(cls: type) -> None:
    original = cls.__init__  # type: ignore[misc]  # of this very class

    def __init__(self: Any, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        if type(self) is cls:
            check(self)

    cls.__init__ = __init__  # type: ignore[misc]


def _bound(
    shape: Shape, found: tuple[int, ...], known: Mapping[str, tuple[int, str]]
) -> dict[str, int] | None:
    """Names of axes with their lengths, if the shape fits; None if it does not."""
    if shape[0] == "...":
        shape, found = shape[1:], found[len(found) - len(shape) + 1 :]
    if len(shape) != len(found):
        return None
    bound: dict[str, int] = {}
    for name, length in zip(shape, found, strict=True):
        wanted = int(name) if name.isdigit() else bound.get(name, known.get(name, (length, ""))[0])
        if wanted != length:
            return None
        if not name.isdigit():
            bound[name] = length
    return bound
