"""Strict YAML, and validation errors in plain words. Knows no key of any file.

Numbers and words are read as YAML 1.2 says: ``1e9`` is a number, ``no`` and ``on`` are words (names of
sources among them), dates stay text. A key that stands twice in one mapping is refused, and so is an alias: a
few of them make a small file as large as you like.
"""

import difflib
import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cuvee.errors import ConfigError
from cuvee.quantities import not_percent

_MISSING = object()
_MOST_BYTES = 1 << 21
"""Of a file; reading takes about twelve seconds a megabyte."""


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2, without duplicate keys and without aliases."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None, None, f'alias "*{event.anchor}": write the value out instead', event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f'key "{key.value}" stands twice', key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


# Nothing of YAML 1.1's scalars is inherited.
_StrictLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("int", r"[-+]?[0-9][0-9_]*", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan",
        "-+.0123456789",
    ),
):
    _StrictLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), list(_first)
    )


def _decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node).replace("_", ""))


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _decimal)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises:
        ConfigError: the file is missing, not UTF-8, not YAML, not a mapping, or has an alias in it, or a key
            twice in one mapping.
    """
    try:
        if not path.is_file():
            raise ConfigError(f"{path}: {'is no regular file' if path.exists() else 'no such file'}")
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError(f"{path}: larger than {_MOST_BYTES >> 20} MB, which no file written by hand is")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> dict[str, Any]:
    """The same for a text; ``name`` is what messages call it."""
    try:
        value = yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise ConfigError(f"{where}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ConfigError(f"{name}: is nested too deeply") from error
    except (ValueError, LookupError, TypeError) as error:  # thousands of digits; `!!bool x`
        raise ConfigError(f"{name}: a value cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{name}: must hold keys with values (`key: value`)")
    return value


def in_plain_words(
    error: ValidationError, model: type[BaseModel], raw: Mapping[str, Any], name: str
) -> ConfigError:
    """A validation error as one ConfigError: a line for each problem, each with file and dotted key."""
    order = {str(key): index for index, key in enumerate(raw)}
    problems: dict[str, int] = {}
    for problem in error.errors(include_url=False):
        place = _place(problem)
        # One check may find several things; it then writes one a line, with its own keys.
        for reason in _reason(problem, model).splitlines():
            line = ": ".join(part for part in (name, place, reason) if part)
            top = str(problem["loc"][0]) if problem["loc"] else reason.split(":")[0].split(".")[0]
            problems.setdefault(line, order.get(top, len(order)))
    return ConfigError("\n".join(sorted(problems, key=problems.__getitem__)))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean "..."?`` or, when nothing is near, ``; known are ...``."""
    choices = list(known)
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f"; known are {', '.join(choices)}" if choices else ""


def _place(problem: ErrorDetails) -> str:
    """The dotted key; for an unknown key that of the mapping which does not know it."""
    location = problem["loc"][:-1] if problem["type"] == "extra_forbidden" else problem["loc"]
    return ".".join(str(part) for part in location if part != "[key]")


def _reason(problem: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context, given = problem["type"], problem.get("ctx", {}), problem.get("input", _MISSING)
    if kind == "extra_forbidden":
        location = problem["loc"]
        keys = _keys(_model_at(model, location[:-1]))
        return f'unknown key "{location[-1]}"{did_you_mean(str(location[-1]), keys)}'
    if kind == "too_short" and context.get("min_length") == 1:
        return "is empty; name at least one"
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"must be {context['expected']}, not {_shown(given)}"
    if kind in _BOUNDS:
        word, key = _BOUNDS[kind]
        reason = f"must be {word} {context[key]:g}, not {_shown(given)}"
        in_percent = context[key] == 1 and key == "le" and isinstance(given, int | float) and given <= 100
        return f"{reason}; {not_percent(given)}" if in_percent else reason
    for prefix, wanted in _TYPES.items():
        if kind.startswith(prefix):
            return f"must be {wanted}, not {_shown(given)}"
    return f"{problem['msg'][:1].lower()}{problem['msg'][1:]}, not {_shown(given)}"


_BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_TYPES = {
    "int_": "a whole number",
    "float_": "a number",
    "finite_number": "a finite number",
    "bool_": "true or false",
    "string_": "text (put it in quotes)",
    "path_": "a path",
    "tuple_": "a list",
    "list_": "a list",
    "dict_": "keys with values",
    "model_": "keys with values",
    "too_": "a list of another length",
}


def _shown(value: object) -> str:
    if value is None:
        return "empty"
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _keys(model: type[BaseModel] | None) -> list[str]:
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_at(model: type[BaseModel] | None, location: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The class that validates the mapping at ``location`` below ``model``."""
    annotation: Any = model
    for part in location:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            fields = {field.alias or name: field for name, field in annotation.model_fields.items()}
            extra = annotation.__annotations__.get("__pydantic_extra__")
            annotation = fields[str(part)].annotation if part in fields else _value_type(extra)
        else:
            annotation = _value_type(annotation)
        annotation = _section_of(annotation)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _section_of(annotation: Any) -> Any:
    """The class of a section that may be left out; anything else as it is."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    found = (one for one in get_args(annotation) if isinstance(one, type) and issubclass(one, BaseModel))
    return next(found, annotation)


def _value_type(annotation: Any) -> Any:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _value_type(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return next((found for option in get_args(annotation) if (found := _value_type(option))), None)
    if origin is dict:
        return get_args(annotation)[1]
    if origin is not None and origin is not Literal and get_args(annotation):
        return get_args(annotation)[0]
    return None
