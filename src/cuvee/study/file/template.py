"""A ``study.yaml`` that documents itself.

What is chosen is written as it is; every other key follows with its default, commented out, under the
words of its field. Section headings are never commented out, so that removing the ``#`` of one key is
always enough and never moves it into another section; a section left empty has its defaults.
"""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cuvee.study.file.config import StudyConfig
from cuvee.study.file.settings import EvaluationSettings, SourceSettings

_WIDTH = 100
_PLAIN = re.compile(r"(?:\.{0,2}/)?[A-Za-z_][\w./-]*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_HEAD = """\
# A cuvee study. `cuvee run` answers it, `cuvee status` shows its progress.
# Relative paths are relative to the folder of this file.
# `#key: value` shows a default: remove the # to change it. Sizes, tokens and counts are those of
# `effort: {effort}`; other efforts have other defaults.
"""
# These sections take names that only the user knows; their keys are explained in words.
_NAMED: Mapping[str, type[BaseModel]] = {"sources": SourceSettings, "evaluations": EvaluationSettings}


def commented_study(given: Mapping[str, Any], notes: Mapping[str, str] | None = None) -> str:
    """The text of a ``study.yaml``.

    Args:
        given: the keys that are chosen, as the file shall say them (``schema`` and ``sources`` at least).
        notes: a remark for each source, written behind it.

    Raises:
        ConfigError: what is given is not a valid study.
    """
    config = StudyConfig.parse(given, Path())
    blocks = [_HEAD.format(effort=config.effort)]
    for name, field in StudyConfig.model_fields.items():
        key = field.alias or name
        lines = list(_comment(_described(field), ""))
        if key in _NAMED:
            lines += _keys_as_words(_NAMED[key])
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            lines += _section(key, value, given.get(key))
        elif key == "sources":
            lines += _sources(given[key], notes or {})
        elif key in given:
            lines.append(f"{key}: {yaml_value(given[key])}")
        else:
            lines.append(f"#{key}: {yaml_value(value)}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def yaml_value(value: object) -> str:
    """Plain data in YAML's flow style, on one line, so that ``yaml_file`` reads the same data back."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{yaml_value(str(k))}: {yaml_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(yaml_value, value)) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    # JSON is YAML: strings come quoted, true, false and null as YAML spells them.
    return json.dumps(value, ensure_ascii=False)


def _sources(sources: Mapping[str, Any], notes: Mapping[str, str]) -> Iterator[str]:
    yield "sources:"
    for name, value in sources.items():
        note = f"  # {notes[name]}" if name in notes else ""
        yield f"  {yaml_value(name)}: {yaml_value(value)}{note}"


def _section(key: str, section: BaseModel, given: object) -> Iterator[str]:
    chosen = given if isinstance(given, Mapping) else {}
    yield f"{key}:"
    for name, field in type(section).model_fields.items():
        yield from _comment(_described(field), "  ")
        if name in chosen:
            yield f"  {name}: {yaml_value(chosen[name])}"
        else:
            yield f"#  {name}: {yaml_value(_plain(getattr(section, name)))}"
    for name in chosen:
        if name not in type(section).model_fields:
            yield f"  {yaml_value(str(name))}: {yaml_value(chosen[name])}"


def _keys_as_words(settings: type[BaseModel]) -> Iterator[str]:
    for name, field in settings.model_fields.items():
        yield from _comment(f"`{name}`: {field.description}", "")


def _described(field: FieldInfo) -> str:
    """The words of a field, and what may stand there where they do not name it."""
    words, choices = field.description or "", get_args(field.annotation)
    if get_origin(field.annotation) is not Literal or len(choices) == 1:
        return words
    if all(str(one) in words for one in choices):
        return words
    return f"{words} One of: {', '.join(map(str, choices))}."


def _comment(text: str, indent: str) -> Iterator[str]:
    prefix = f"{indent}# "
    yield from textwrap.wrap(" ".join(text.split()), _WIDTH, initial_indent=prefix, subsequent_indent=prefix)


def _plain(value: object) -> Any:
    return str(value) if isinstance(value, Path) else value
