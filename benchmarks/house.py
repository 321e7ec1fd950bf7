"""``make bench-house``: the shape of the source at an earlier commit and now, counted by one script.

Nothing of the package that is counted is imported. The lists behind the counts stand below the table.
"""

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from benchmarks import harness, house_counts, house_words
from benchmarks.harness import Cell, Table
from benchmarks.house_counts import Circle, Room
from benchmarks.house_tree import Import, Module, Tree

BEFORE = "07f2d23"
SMALLEST_FLOW = PurePosixPath("tests/house/smallest_flow")
"""A folder of the smallest flow that trains, resumes and renders a page; its tests lie beside it."""
QUESTION = (
    "Is the source a house in which a stranger finds the way? Rooms, import circles, imports against the "
    "layers, dead files, doubled names, the size of a new flow and the sentences that were rewritten."
)
NOT_THERE = "not there"

Row = tuple[Cell, ...]


def main() -> None:
    """Count both trees and write the tables."""
    trees = (Tree.at(BEFORE), Tree.on_disk())
    harness.write("house", QUESTION, tables(trees))


def tables(trees: Sequence[Tree]) -> list[Table]:
    """The counts, the sentences, and the lists of each tree that are not empty."""
    first, last = trees[0], trees[-1]
    found = [counts(trees), rewritten(first, last), said_otherwise(first, last)]
    lists = (doubled, unreached, circles, layers, among_flows, rooms, reused)
    return found + [table for make in lists for tree in trees if (table := make(tree)).rows]


# --- the counts -------------------------------------------------------------------------------------


def counts(trees: Sequence[Tree]) -> Table:
    """One row a count, one column a tree."""
    rows: tuple[tuple[str, Callable[[Tree], Cell], Cell], ...] = (
        ("files of the package", lambda tree: len(tree.modules), None),
        ("lines", lambda tree: sum(module.lines for module in tree.modules.values()), None),
        ("largest room, % of lines", lambda tree: _largest(house_counts.rooms(tree)), "≤ 13"),
        (
            "largest room with its sub-folders, % of lines",
            lambda tree: _largest(house_counts.rooms(tree, house_counts.package)),
            None,
        ),
        ("import circles among files", lambda tree: len(house_counts.module_circles(tree)), "0"),
        ("import circles among rooms", lambda tree: len(house_counts.room_circles(tree)), "0"),
        ("imports against the layers", lambda tree: len(house_counts.against_layers(tree)), "0"),
        ("imports among the flows", lambda tree: len(house_counts.among_flows(tree)), "0"),
        ("files reached by no command nor `cuvee.open`", lambda tree: len(house_counts.unreached(tree)), "0"),
        ("their lines", lambda tree: sum(module.lines for module in house_counts.unreached(tree)), "0"),
        ("class names in two files", lambda tree: len(house_counts.classes_twice(tree)), "0"),
        ("of which public", _public_twice, "0"),
        ("lines of the smallest flow", _flow_lines, "half of 1,200"),
    )
    return Table(
        "Before and after",
        ("what", *(tree.name for tree in trees), "goal"),
        tuple((name, *(count(tree) for tree in trees), goal) for name, count, goal in rows),
        NOTES,
    )


NOTES = (
    "Lines are all lines of `.py` files, blank ones too. A *room* is a folder without its sub-folders, so "
    "that each flow stands for itself; `__main__.py` counts to `cli`. `study/` was 30 % with its "
    "sub-folders.",
    "*Import circles among files*: groups of files of which each leads to each other by imports at the "
    "head, inside functions, or for annotations alone (`TYPE_CHECKING`). *Among rooms*: the same for "
    "folders, a folder and its sub-folder being two; what an `__init__` imports for outsiders does not "
    "count.",
    "*Against the layers*: imports of all three kinds that the contracts in the `pyproject.toml` of that "
    "tree forbid, exceptions made there or not. *Flows* are the folders of `flows/`, and before these "
    "were there `study/scale`, `study/search` and `study/simulation`; the ablation and `cuvee fit` lay "
    "loose in `study/` and could not be counted.",
    "*Reached by no command*: no chain of imports, early or late, leads from the entry points in "
    "`pyproject.toml` to the file. Being imported by an `__init__` alone reaches nothing; a name taken "
    "from an `__init__` reaches the file that defines it.",
    "*Class names in two files*: classes at the head of a file, private ones too; nested classes and "
    "functions do not count.",
    f"The *smallest flow* lies in `{SMALLEST_FLOW}`; its tests are not counted.",
)


def _largest(found: Sequence[Room]) -> str:
    return f"{found[0].share:.1f} (`{found[0].name}/`)"


def _public_twice(tree: Tree) -> int:
    return sum(not name.startswith("_") for name in house_counts.classes_twice(tree))


def _flow_lines(tree: Tree) -> Cell:
    files = _flow_files(tree)
    return sum(len(tree.files[name].splitlines()) for name in files) if files else NOT_THERE


def _flow_files(tree: Tree) -> list[str]:
    inside = [PurePosixPath(name) for name in tree.files if SMALLEST_FLOW in PurePosixPath(name).parents]
    return [path.as_posix() for path in inside if not path.name.startswith(("test_", "conftest"))]


def rewritten(before: Tree, after: Tree) -> Table:
    """What became of the sentences that users read."""
    rows: list[Row] = [
        (kind.name, one.before, one.kept, one.gone, one.after, one.new)
        for kind, one in house_words.changes(before, after)
    ]
    where = "; ".join(f"{kind.name}: {kind.where}" for kind in house_words.KINDS)
    return Table(
        f"Sentences rewritten, {before.name} to {after.name}",
        ("where", "before", "kept", "rewritten or dropped", "now", "new"),
        tuple(rows),
        (
            "Different sentences of three words and more, with `{}` for what is filled in. One that moved to "
            f"another file word for word is kept. Counted are, for {where}.",
        ),
    )


def said_otherwise(before: Tree, after: Tree) -> Table:
    """Headlines and verdicts, sentence by sentence."""
    rows: list[Row] = list(house_words.replaced(before, after))
    return Table(f"Headlines and verdicts, {before.name} to {after.name}", ("when", "sentence"), tuple(rows))


# --- the lists --------------------------------------------------------------------------------------


def doubled(tree: Tree) -> Table:
    """Class names in two files."""
    rows = [
        (f"`{name}`", ", ".join(_path(module) for module in files))
        for name, files in house_counts.classes_twice(tree).items()
    ]
    return Table(f"Class names in two files: {tree.name}", ("class", "files"), tuple(rows))


def unreached(tree: Tree) -> Table:
    """Files reached by no command, and who imports them nevertheless."""
    rows: list[Row] = []
    for module in house_counts.unreached(tree):
        others = [_path(tree.modules[name]) for name in house_counts.importers(tree, module.name)]
        rows.append((_path(module), module.lines, ", ".join(others) or "nothing"))
    return Table(f"Files reached by no command: {tree.name}", ("file", "lines", "imported by"), tuple(rows))


def circles(tree: Tree) -> Table:
    """Circles among files and among rooms, and the imports that close them."""
    rows = [_circle(tree, "files", one) for one in house_counts.module_circles(tree)]
    rows += [_circle(tree, "rooms", one) for one in house_counts.room_circles(tree)]
    return Table(
        f"Import circles: {tree.name}",
        ("among", "members", "imports"),
        tuple(rows),
        ("Of two rooms only the imports in the rarer direction are listed; of two files the first line.",),
    )


def _circle(tree: Tree, among: str, circle: Circle) -> Row:
    members = [_path(tree.modules[one]) if among == "files" else f"`{one}/`" for one in circle.members]
    first = {(one.importer, one.imported): one for one in reversed(circle.imports)}
    return among, ", ".join(members), "; ".join(_arrow(tree, one) for one in sorted(first.values()))


def layers(tree: Tree) -> Table:
    """Imports against the layers."""
    return _imports(tree, "Imports against the layers", house_counts.against_layers(tree))


def among_flows(tree: Tree) -> Table:
    """Imports of one flow by another."""
    return _imports(tree, "Imports among the flows", house_counts.among_flows(tree))


def rooms(tree: Tree) -> Table:
    """All rooms, the largest first."""
    rows = [
        (_folder(room), room.files, room.lines, round(room.share, 1)) for room in house_counts.rooms(tree)
    ]
    return Table(f"Rooms: {tree.name}", ("room", "files", "lines", "%"), tuple(rows))


def reused(tree: Tree) -> Table:
    """What the smallest flow has from the package."""
    names: set[str] = set()
    for file in _flow_files(tree):
        names.update(tree.imported_by(file))
    rows = [(_path(tree.modules[name]), tree.modules[name].lines) for name in sorted(names)]
    return Table(f"What the smallest flow reuses: {tree.name}", ("file", "lines"), tuple(rows))


def _imports(tree: Tree, title: str, found: Sequence[Import]) -> Table:
    rows = [(_path(tree.modules[one.importer]), one.line, _path(tree.modules[one.imported])) for one in found]
    return Table(f"{title}: {tree.name}", ("file", "line", "imports"), tuple(rows))


def _arrow(tree: Tree, one: Import) -> str:
    low, high = tree.modules[one.importer], tree.modules[one.imported]
    return f"{_path(low)}:{one.line} → {_path(high)}" + ("" if one.kind == "head" else f" ({one.kind})")


def _folder(room: Room) -> str:
    return "files outside of folders" if room.name == "." else f"`{room.name}/`"


def _path(module: Module) -> str:
    return f"`{module.path.relative_to('src/cuvee')}`"


if __name__ == "__main__":
    main()
