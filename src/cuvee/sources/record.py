"""A record with fields, and the text in it (sources).

A field is named as it stands, or by a path into objects: ``data.text``. A conversation, as a list of
messages, is joined: the contents in their order, a blank line between them; roles are left out.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cuvee.errors import BrokenRecord
from cuvee.sources.unpacked import in_words

OnBroken = Callable[[BrokenRecord], None]
"""Called for each record that cannot be read; raises it, or takes note and returns."""

MOST_DOCUMENT_BYTES = 1 << 24
"""A larger document is refused: the longest books have half of it, and a tokenizer takes 25 times as much."""

RECORD_FACTOR = 2
"""So many times the limit on a document is that on a record with all its fields."""

_CONTENTS = ("content", "value", "text")
_DEEPEST = 8
_MOST_FIELDS = 24
_LONGEST_NAME = 60
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Record:
    """An object of a file."""

    fields: Mapping[str, Any]
    """Its fields, as JSON has them."""

    location: str
    """``file:line`` or ``file:row``."""

    size: int
    """Bytes that it takes in the unpacked file; 0 where that is not known."""


class Repeated(dict[str, Any]):
    """An object in which a name stood twice; the last value is kept."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice = {name for name, count in Counter(name for name, _ in pairs).items() if count > 1}


def text_of(fields: Mapping[str, Any], field: str, location: str, limit: int = MOST_DOCUMENT_BYTES) -> str:
    """The text of a record.

    Args:
        fields: the record.
        field: the name of a field, or a path such as ``data.text``.
        location: of the record, for messages.
        limit: bytes of the largest document.

    Raises:
        BrokenRecord: there is no such field, it holds no text, or too much of it.
    """
    value = field_of(fields, field, location)
    if value is _MISSING:
        known = ", ".join(field_names(fields)) or "none"
        raise BrokenRecord(f"{location}: there is no field '{field}' (fields: {known}); set text_field")
    if isinstance(value, str):
        return checked_text(value, field, location, limit)
    parts = messages_of(value)
    if parts is None:
        raise BrokenRecord(
            f"{location}: field '{field}' must be a string, not {type(value).__name__}{_inside(value, field)}"
        )
    return checked_text("\n\n".join(parts), field, location, limit)


def checked_text(text: str, field: str, location: str, limit: int) -> str:
    """The text itself, if it can be written in UTF-8 and is not too large.

    Raises:
        BrokenRecord: says what is wrong.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise BrokenRecord(f"{location}: field '{field}' has half a surrogate pair") from error
    if size > limit:
        raise BrokenRecord(f"{location}: {too_large(field, size, limit)}")
    return text


def too_large(field: str, size: int, limit: int) -> str:
    """What is said of a text that is larger than a document may be."""
    return (
        f"field '{field}' has {in_words(size)}, and a document at most {in_words(limit)}; cut it into several"
    )


def field_of(fields: Mapping[str, Any], path: str, location: str) -> Any:
    """The value of a field; a name with a point in it comes before a path.

    Raises:
        BrokenRecord: a name of the path stands twice.
    """
    value: Any = fields
    for name in [path] if path in fields else path.split("."):
        if isinstance(value, Repeated) and name in value.twice:
            raise BrokenRecord(f"{location}: there are two fields '{name}' in one object; keep one")
        if not isinstance(value, Mapping) or name not in value:
            return _MISSING
        value = value[name]
    return value


def messages_of(value: Any) -> list[str] | None:
    """The contents of a conversation that are not empty; None where it is none.

    Messages are objects with ``content`` (a text, or parts of which some are text), ``value`` or ``text``.
    """
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        return None
    contents: list[str] = []
    for message in value:
        key = (
            next((one for one in _CONTENTS if one in message), None) if isinstance(message, Mapping) else None
        )
        if key is None:
            return None
        parts = list(_parts(message[key]))
        if any(part is None for part in parts):
            return None
        contents += [part for part in parts if part]
    return contents


def field_names(fields: Mapping[str, Any]) -> list[str]:
    """The names of all fields, those inside others as paths; the first of them if they are many."""
    names: list[str] = []
    for name, _ in leaves(fields):
        if len(names) == _MOST_FIELDS:
            return [*names, "..."]
        names.append(shown(name))
    return names


def shown(name: str) -> str:
    """The name of a field, cut where it is too long for a message."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."


def leaves(fields: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Paths and values of all that is no object."""
    for name, value in fields.items():
        if isinstance(value, Mapping) and value and depth < _DEEPEST:
            yield from leaves(value, f"{prefix}{name}.", depth + 1)
        else:
            yield f"{prefix}{name}", value


def _parts(content: Any) -> Iterator[str | None]:
    """The texts of one message; None for what is neither text nor a part of a known kind."""
    if content is None or isinstance(content, str):
        yield content or ""
        return
    for part in content if isinstance(content, Sequence) else [content]:
        if isinstance(part, str):
            yield part
        elif isinstance(part, Mapping) and isinstance(part.get("text"), str):
            yield part["text"]
        else:  # an image has a type and no text
            yield "" if isinstance(part, Mapping) and "type" in part else None


def _inside(value: Any, field: str) -> str:
    """What to name instead of an object."""
    if isinstance(value, Mapping) and value:
        return f"; set text_field to one of: {', '.join(field_names({field: value}))}"
    return ""
