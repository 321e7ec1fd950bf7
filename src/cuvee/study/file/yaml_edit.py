"""The text of a YAML file changed in one place: entries added and taken out, comments and layout kept.

A place is the path of keys that leads to it. Layouts that these functions do not foresee come out wrong:
whoever calls them parses the text and compares it with what it shall say.
"""

import re
from collections.abc import Sequence

import yaml


def with_entry(text: str, place: Sequence[str], entry: str) -> str:
    """``text`` with ``entry`` at the end of the non-empty collection at a place."""
    collection = _node(text, place)
    assert isinstance(collection, yaml.CollectionNode)
    last = collection.value[-1]
    leaf = _last_leaf(last[1] if isinstance(last, tuple) else last)
    end = leaf.end_mark.index
    if collection.flow_style:
        return f"{text[:end]}, {entry}{text[end:]}"
    first = collection.value[0]
    if isinstance(first, tuple):
        bullet, column = "", first[0].start_mark.column
    else:
        bullet, column = "- ", collection.start_mark.column
    newline = _newline(text)
    line = f"{' ' * column}{bullet}{entry}"
    if text[:end].endswith(newline):  # a text block ends with its last line
        return f"{text[:end]}{line}{newline}{text[end:]}"
    # What follows the leaf on its line is a comment that belongs to it.
    line_end = _line_end(text, end)
    return f"{text[:line_end]}{newline}{line}{text[line_end:]}"


def without_entry(text: str, place: Sequence[str], name: str) -> str:
    """``text`` without the item or key ``name`` of the collection at a place; something must be left there.

    In a block, the lines of the entry go, with the comments on them.
    """
    collection = _node(text, place)
    assert isinstance(collection, yaml.CollectionNode)
    entries = [one if isinstance(one, tuple) else (one, one) for one in collection.value]
    index = [key.value for key, _ in entries].index(name)
    start, end = entries[index][0].start_mark.index, _last_leaf(entries[index][1]).end_mark.index
    if not collection.flow_style:
        after = _line_end(text, end) + len(_newline(text))
        return text[: text.rfind("\n", 0, start) + 1] + text[after:]
    if index + 1 < len(entries):
        return text[:start] + text[entries[index + 1][0].start_mark.index :]
    return text[: entries[index - 1][1].end_mark.index] + text[end:]


def with_value(text: str, place: Sequence[str], value: str) -> str:
    """``text`` with ``value`` at a place where nothing is yet, or nothing but an empty value.

    Where the file shows a default behind a ``#`` (as ``cuvee init`` writes it), a new key is put there.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    for depth in range(len(place), 0, -1):
        node = _found(root, place[:depth])
        if node is None:
            continue
        inside = value
        for key in reversed(place[depth:]):
            inside = f"{{{key}: {inside}}}"
        if isinstance(node, yaml.CollectionNode) and node.value:
            return with_entry(text, place[:depth], inside[1:-1])
        return f"{text[: node.start_mark.index].rstrip(' ')} {inside}{text[node.end_mark.index :]}"
    for key in reversed(place[1:]):
        value = f"{{{key}: {value}}}"
    return _with_line(text, place[0], f"{place[0]}: {value}")


def _with_line(text: str, key: str, line: str) -> str:
    newline = _newline(text)
    if shown := re.search(rf"^#{re.escape(key)}:.*$", text, re.MULTILINE):
        end = _line_end(text, shown.start())
        return f"{text[:end]}{newline}{line}{text[end:]}"
    between = "" if text.endswith(newline) else newline
    return f"{text}{between}{line}{newline}"


def _node(text: str, place: Sequence[str]) -> yaml.Node:
    found = _found(yaml.compose(text, Loader=yaml.SafeLoader), place)
    assert found is not None
    return found


def _found(node: yaml.Node | None, place: Sequence[str]) -> yaml.Node | None:
    for key in place:
        if not isinstance(node, yaml.MappingNode):
            return None
        node = next((value for name, value in node.value if name.value == key), None)
    return node


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _line_end(text: str, index: int) -> int:
    """Where the line of a character ends, before its line break."""
    end = text.find(_newline(text), index)
    return len(text) if end < 0 else end


def _last_leaf(node: yaml.Node) -> yaml.Node:
    """The node with which ``node`` ends; block collections claim the comments that follow them."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return node
