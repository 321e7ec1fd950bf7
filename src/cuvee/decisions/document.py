"""Frozen dataclasses to plain JSON and back, exactly.

The type annotations are the schema. Floats survive bit for bit: ``json`` writes them by ``repr``, NaN
becomes ``null`` and the infinities the strings "inf" and "-inf", since JSON has no word for them.
A float field therefore means NaN by ``null``; other fields may not be null unless annotated so.
"""

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from cuvee.errors import ConfigError, SchemaError
from cuvee.seal import DIGEST
from cuvee.types import Json

T = TypeVar("T")

_LARGEST = 2**63
_INFINITIES = {"inf": math.inf, "-inf": -math.inf}


def encode(value: Any) -> Json:
    """The fields of a dataclass instance as plain JSON (NumPy scalars become Python's)."""
    hints = get_type_hints(type(value))
    return {
        field.name: _encode(hints[field.name], getattr(value, field.name))
        for field in dataclasses.fields(value)
    }


def decode(cls: type[T], document: object, where: str) -> T:
    """Build ``cls`` from what ``encode`` gave.

    Args:
        cls: a dataclass of str, int, bool, float, literals, tuples, string-keyed dicts, optionals
            and further dataclasses.
        document: the JSON object.
        where: path named in errors.

    Raises:
        ConfigError: a key is unknown or missing, or a value has the wrong type; the message names its path.
    """
    if not isinstance(document, dict):
        raise ConfigError(f"{where}: an object is needed, found {document!r}")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if unknown := sorted(set(document) - set(fields)):
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}")
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in document:
            values[name] = _decode(hints[name], document[name], f"{where}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{where}: key {name!r} is missing")
    return cls(**values)


def renamed(body: Json, keys: Mapping[str, str]) -> Json:
    """The same object with other names for some of its keys, for documents of an older schema."""
    return {keys.get(key, key): value for key, value in body.items()}


def rows_renamed(body: Json, key: str, keys: Mapping[str, str]) -> Json:
    """The same with other keys in the objects of the list at ``key``; what is no such list stays."""
    rows = body.get(key)
    if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
        return body
    return {**body, key: [renamed(row, keys) for row in rows]}


class JsonDocument:
    """What a frozen dataclass inherits that is kept as a file of JSON. Two are equal when their JSON is."""

    by: ClassVar[str]
    """The flow that makes it."""
    schema: ClassVar[int]
    """Grows when a field changes its meaning or leaves."""
    nameless: ClassVar[int] = 0
    """Documents up to this schema do not name their flow."""

    def as_json(self) -> Json:
        """Plain JSON under the names of flow and schema; ``from_json`` gives the same back exactly."""
        return {"schema": self.schema, "by": self.by, **encode(self)}

    @classmethod
    def from_json(cls, document: Json) -> Self:
        """Read what ``as_json`` gave, with or without a digest (compared by who reads the file), also under
        an older schema where ``from_older`` knows that.

        Raises:
            SchemaError: another flow wrote it, a newer version of cuvee, or one that is too old.
            ConfigError: a field is missing, unknown or of the wrong type (the message names it).
        """
        if not isinstance(document, dict):
            raise ConfigError(f"{cls.by}: an object is needed, found {type(document).__name__}")
        schema = document.get("schema")
        if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
            raise SchemaError(f"{cls.by}: key 'schema' must be a positive number, found {schema!r}")
        by = document.get("by", cls.by if schema <= cls.nameless else None)
        body = {key: value for key, value in document.items() if key not in ("schema", "by", DIGEST)}
        if (by, schema) == (cls.by, cls.schema):
            return decode(cls, body, cls.by)
        if by == cls.by and schema > cls.schema:
            raise SchemaError(
                f"{cls.by}: written under schema {schema}, this cuvee reads up to {cls.schema}; upgrade cuvee"
            )
        older = cls.from_older(schema, body) if by == cls.by else None
        if older is None:
            raise SchemaError(
                f"{cls.by}: schema {schema!r} by {by!r}, where {cls.schema} by {cls.by!r} is needed; the "
                "command that made it writes it again"
            )
        return older

    @classmethod
    def from_older(cls, schema: int, body: Json) -> Self | None:
        """Read the fields of a document under an older schema; None where that schema is not known.

        What such a document does not hold is concluded from what it does.
        """
        return None

    def __eq__(self, other: object) -> bool:
        return self.as_json() == other.as_json() if isinstance(other, type(self)) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # it may hold dictionaries


def _encode(hint: Any, value: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple:
        return [_encode(arguments[0], entry) for entry in value]
    if origin is dict:
        return {str(key): _encode(arguments[1], entry) for key, entry in value.items()}
    if origin in (Union, types.UnionType):
        return None if value is None else _encode(_inner(arguments), value)
    if dataclasses.is_dataclass(hint):
        return encode(value)
    if origin is Literal:
        return value
    if hint is float:
        number = float(value)
        if math.isnan(number):
            return None
        return number if math.isfinite(number) else "inf" if number > 0 else "-inf"
    return hint(value)


def _decode(hint: Any, value: object, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple and isinstance(value, list):
        return tuple(_decode(arguments[0], entry, f"{where}[{i}]") for i, entry in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {str(key): _decode(arguments[1], entry, f"{where}[{key!r}]") for key, entry in value.items()}
    if origin is Literal and value in arguments:
        return value
    if origin in (Union, types.UnionType):
        return None if value is None else _decode(_inner(arguments), value, where)
    if hint is float:
        return _decode_float(value, where)
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > _LARGEST:
            raise ConfigError(f"{where}: a whole number of more than 63 bits")
        return value
    if hint in (str, bool) and isinstance(value, hint):
        return value
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return decode(hint, value, where)
    raise ConfigError(f"{where}: {value!r} does not fit {getattr(hint, '__name__', hint)}")


def _decode_float(value: object, where: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, str) and value in _INFINITIES:
        return _INFINITIES[value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise ConfigError(f"{where}: a whole number of more than 63 bits")
        return float(value)
    raise ConfigError(f"{where}: {value!r} is not a number")


def _inner(arguments: tuple[Any, ...]) -> Any:
    """``X`` of the annotation ``X | None``."""
    return next(argument for argument in arguments if argument is not types.NoneType)
