"""What is counted of one tree: rooms, import circles, broken layers, dead files, doubled names."""

import ast
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any

from benchmarks.house_tree import PACKAGE, Import, Module, Tree

Graph = Mapping[str, set[str]]

FLOWS_BEFORE = ("study/scale", "study/search", "study/simulation")
"""Flows that had a folder when there was no ``flows/``; ablation and fit lay loose in ``study``."""


@dataclass(frozen=True)
class Room:
    """One folder, without its sub-folders."""

    name: str
    files: int
    lines: int
    share: float
    """Of all lines of the package, in percent."""


@dataclass(frozen=True)
class Circle:
    """Modules or rooms of which each imports, over some steps, each other one."""

    members: tuple[str, ...]
    imports: tuple[Import, ...]
    """By which it is closed."""


# --- rooms ------------------------------------------------------------------------------------------


def rooms(tree: Tree, of: Callable[[Module], str] = lambda module: module.room) -> list[Room]:
    """All rooms, the largest first."""
    total = sum(module.lines for module in tree.modules.values())
    ordered = sorted(tree.modules.values(), key=of)
    found: list[Room] = []
    for name, group in groupby(ordered, key=of):
        lines = [module.lines for module in group]
        found.append(Room(name, len(lines), sum(lines), 100 * sum(lines) / total))
    return sorted(found, key=lambda room: -room.lines)


def package(module: Module) -> str:
    """The room with all its sub-folders, but each flow for itself."""
    folders = module.room.split("/")
    return "/".join(folders[: 2 if folders[0] == "flows" else 1])


# --- circles ----------------------------------------------------------------------------------------


def reached(graph: Graph, roots: Iterable[str]) -> set[str]:
    """What imports lead to from these roots, the roots among it."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting += graph.get(here, ())
    return found


def strongly_connected(graph: Graph) -> list[tuple[str, ...]]:
    """Groups of two and more of which each reaches each."""
    ahead = {node: reached(graph, [node]) for node in graph}
    groups = {tuple(sorted(other for other in ahead[node] if node in ahead.get(other, ()))) for node in graph}
    return sorted(group for group in groups if len(group) > 1)


def module_circles(tree: Tree) -> list[Circle]:
    """Circles among files, by imports of all three kinds."""
    groups = strongly_connected(_graph((one.importer, one.imported) for one in tree.imports))
    return [
        Circle(group, tuple(one for one in tree.imports if {one.importer, one.imported} <= set(group)))
        for group in groups
    ]


def room_circles(tree: Tree) -> list[Circle]:
    """Circles among rooms; faces import for outsiders and close none.

    The imports given are, of two rooms that import each other, those in the rarer direction.
    """
    between: dict[tuple[str, str], list[Import]] = defaultdict(list)
    for one in tree.imports:
        importer, imported = tree.modules[one.importer], tree.modules[one.imported]
        if importer.room != imported.room and not importer.is_face:
            between[importer.room, imported.room].append(one)
    return [
        Circle(group, tuple(sorted(_closing(between, set(group)))))
        for group in strongly_connected(_graph(between))
    ]


def _closing(between: Mapping[tuple[str, str], list[Import]], group: set[str]) -> Iterator[Import]:
    """The rarer direction of each pair in a group, and what has no way back but over a third room."""
    for (low, high), found in between.items():
        back = between.get((high, low), [])
        if {low, high} <= group and (not back or len(found) <= len(back)):
            yield from found


def _graph(edges: Iterable[tuple[str, str]]) -> Graph:
    graph: dict[str, set[str]] = defaultdict(set)
    for low, high in edges:
        graph[low].add(high)
    return dict(graph)


# --- layers and flows -------------------------------------------------------------------------------


def against_layers(tree: Tree) -> list[Import]:
    """Imports that the contracts of this tree's ``pyproject.toml`` forbid, exceptions made there or not.

    Raises:
        ValueError: a contract of a type that is not known here, whose imports would go uncounted.
    """
    linter = tomllib.loads(tree.files["pyproject.toml"])["tool"]["importlinter"]
    return sorted({one for contract in linter["contracts"] for one in _broken(tree.imports, contract)})


def _broken(imports: Sequence[Import], contract: Mapping[str, Any]) -> list[Import]:
    match contract["type"]:
        case "layers":
            containers = contract.get("containers", ("",))
            return [one for place in containers for one in _upward(imports, contract["layers"], place)]
        case "independence":
            return _among(imports, contract["modules"])
        case "forbidden":
            low, high = contract["source_modules"], contract["forbidden_modules"]
            return [one for one in imports if _matched(one.importer, low) and _matched(one.imported, high)]
        case other:
            raise ValueError(
                f"pyproject.toml: contract {contract['name']!r} has type {other!r}; count it here"
            )


def _upward(imports: Iterable[Import], layers: list[str], container: str) -> list[Import]:
    """From a lower layer to a higher one, or between neighbours that must not know each other (``|``)."""
    floors: dict[str, tuple[int, bool]] = {}
    for floor, layer in enumerate(layers):
        for name in layer.replace("|", ":").split(":"):
            floors[f"{container}.{name.strip(' ()')}".strip(".")] = (floor, "|" in layer)
    broken: list[Import] = []
    for one in imports:
        low, high = _inside(one.importer, floors), _inside(one.imported, floors)
        if low and high and low != high:
            (here, apart), (there, _) = floors[low], floors[high]
            if there < here or (there == here and apart):
                broken.append(one)
    return broken


def _among(imports: Iterable[Import], patterns: list[str]) -> list[Import]:
    """Imports between modules of an independence contract."""
    pairs = [(one, _matched(one.importer, patterns), _matched(one.imported, patterns)) for one in imports]
    return [one for one, low, high in pairs if low and high and low != high]


def _matched(name: str, patterns: Iterable[str]) -> str | None:
    """The module, or the package above it, that a pattern of a contract names."""
    parts = name.split(".")
    names = [".".join(parts[: end + 1]) for end in range(len(parts))]
    return next((one for one in names for pattern in patterns if fnmatchcase(one, pattern)), None)


def _inside(name: str, names: Iterable[str]) -> str | None:
    found = [one for one in names if name == one or name.startswith(f"{one}.")]
    return max(found, key=len, default=None)


def flows(tree: Tree) -> list[str]:
    """The folders of flows."""
    folders = {"/".join(module.room.split("/")[:2]) for module in tree.modules.values()}
    return sorted(one for one in folders if one.startswith("flows/")) or list(FLOWS_BEFORE)


def among_flows(tree: Tree) -> list[Import]:
    """Imports of one flow by another."""
    names = [f"{PACKAGE}.{folder.replace('/', '.')}" for folder in flows(tree)]
    return _among(tree.imports, names)


# --- dead files and doubled names -------------------------------------------------------------------


def unreached(tree: Tree) -> list[Module]:
    """Files that neither a command loads, early or late, nor ``cuvee.open``, nor a program that another file
    starts by its name; a file that only a face imports counts as unreached."""
    scripts = tomllib.loads(tree.files["pyproject.toml"])["project"]["scripts"].values()
    roots = [*(script.split(":")[0] for script in scripts), f"{PACKAGE}.__main__"]
    roots += [one.imported for one in tree.imports if one.importer == PACKAGE and one.kind == "late"]
    roots += _programs(tree)
    inner = [one for one in tree.imports if not tree.modules[one.importer].is_face]
    alive = reached(_graph((one.importer, one.imported) for one in inner), roots)
    return [module for module in tree.modules.values() if module.name not in alive and not module.is_face]


def _programs(tree: Tree) -> list[str]:
    """Files that run by themselves, and whose name another file has in a string."""
    found = {
        name
        for name, module in tree.modules.items()
        if any(
            isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) for node in module.syntax.body
        )
    }
    said = {
        node.value
        for module in tree.modules.values()
        for node in ast.walk(module.syntax)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return sorted(found & said)


def importers(tree: Tree, name: str) -> list[str]:
    """Files that import a module, faces among them."""
    return sorted({one.importer for one in tree.imports if one.imported == name})


def classes_twice(tree: Tree) -> dict[str, list[Module]]:
    """Names of classes that are defined at the head of more than one file, with the files."""
    found: dict[str, list[Module]] = defaultdict(list)
    for module in tree.modules.values():
        for name in {node.name for node in module.syntax.body if isinstance(node, ast.ClassDef)}:
            found[name].append(module)
    return {name: files for name, files in sorted(found.items()) if len(files) > 1}
