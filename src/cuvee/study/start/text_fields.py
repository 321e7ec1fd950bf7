"""Which field of some records holds the text.

A field is never taken for its length alone. One that holds addresses, identifiers, one constant, labels or
nothing is no text, whatever its name; a field of an unusual name must hold whole sentences. Of a prompt and
an answer the answer is taken. Where nothing is left, the fields are named with what they hold.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from statistics import fmean
from typing import Any

from cuvee.errors import BrokenRecord, ConfigError
from cuvee.sources.record import Record, field_of, leaves, messages_of, shown

_USUAL = (
    "text", "content", "contents", "body", "document", "raw_content", "markdown", "article", "page_content",
    "code", "passage", "message",
)  # fmt: skip
_ANSWERS = (
    "output", "outputs", "response", "completion", "answer", "chosen", "solution", "reply", "generation",
    "target", "assistant", "gpt",
)  # fmt: skip
_PROMPTS = (
    "instruction", "instructions", "prompt", "prompts", "question", "query", "input", "inputs", "problem",
    "request", "task", "user", "human", "system", "system_prompt", "rejected", "context",
)  # fmt: skip
_LABELS = re.compile(
    r"(.*[_.-])?(id|ids|uuid|guid|key|url|uri|link|title|headline|heading|subject|name|author|user|label|class|"
    r"category|tag|tags|topic|keywords|date|time|timestamp|created|updated|licen[cs]e|source|origin|dataset|subset|"
    r"split|lang|language|domain|host|path|file|filename|hash|sha\d*|md5|meta|metadata|type|format|version|status)",
    re.IGNORECASE,
)
_URL = re.compile(r"(\w[\w+.-]*:/*|www\.)\S+")
_TOKEN = re.compile(r"[\x21-\x7e]*[^A-Za-z\s][\x21-\x7e]*", re.ASCII)
_JSON = re.compile(r"\s*[\[{]\s*[\"'\[{]")
"""How JSON begins, and lists of Python."""
_NAME_PART = re.compile(r"[A-Z]?[^\W_A-Z]+|[A-Z]+")
_WORD = re.compile(r"[^\W\d_]{2,}")
_MOST_PATHS = 200
_LOOKED_AT = 2000
"""Characters of a value that are looked at."""
_SENTENCE = 4
"""Words that a value of an unusual field has at least, on average."""
_FEW = 10
"""From so many values on, few different ones are labels."""


@dataclass(frozen=True)
class TextField:
    """The field that is taken."""

    name: str
    """A name, or a path such as ``data.text``."""

    remark: str = ""
    """What is left out or joined; empty where there is nothing to say."""


@dataclass
class _Column:
    """The values of one field."""

    values: list[str] = field(default_factory=list)
    """Those that are not blank."""
    chat: bool = False
    other: str = ""
    """The type of a value that is neither."""
    unreadable: int = 0
    """Characters in values that are lists of something else."""

    @property
    def characters(self) -> float:
        return fmean(map(len, self.values)) if self.values else 0.0

    @property
    def different(self) -> int:
        """Different values."""
        return len(set(self.values))

    @property
    def sentences(self) -> bool:
        """Its values have as many words as sentences."""
        return bool(self.values) and fmean(map(_words, self.values)) >= _SENTENCE

    @property
    def prose(self) -> bool:
        """It holds sentences, and most of them differ."""
        return self.sentences and (len(self.values) == 1 or 2 * self.different > len(self.values))


def text_field(records: Sequence[Record], where: str) -> TextField:
    """The field that holds the text.

    Args:
        records: some of the source.
        where: the source, for messages.

    Raises:
        ConfigError: no field looks like text.
    """
    columns = _columns(records)
    verdicts = {path: _verdict(path, column, len(records)) for path, column in columns.items()}
    texts = [path for path, verdict in verdicts.items() if not verdict]
    for choose in (_usual, _chat, _answer, _other, _short):
        if (name := choose(texts, columns)) is not None:
            return TextField(name, _remark(name, columns, verdicts))
    raise ConfigError(f"{where}: {_nothing(columns, verdicts)}")


def _columns(records: Sequence[Record]) -> dict[str, _Column]:
    columns: dict[str, _Column] = {}
    for record in records:
        for path, value in islice(leaves(record.fields), _MOST_PATHS):
            column = columns.setdefault(path, _Column())
            if isinstance(value, str):
                column.values += (
                    [value[:_LOOKED_AT]] if value.strip() and _reached(record, path, value) else []
                )
            elif messages := messages_of(value):
                column.chat = True
                column.values.append("\n\n".join(messages)[:_LOOKED_AT])
            elif value is not None:
                column.other = type(value).__name__
                column.unreadable += _characters(value)
    return columns


def _verdict(path: str, column: _Column, records: int) -> str:
    """What a field holds instead of text; empty where it looks like text."""
    values, name = column.values, _last(path)
    if column.unreadable:
        return "a list that is no conversation"
    if 2 * len(values) < records:
        return _instead_of_strings(column) if not values else "nothing in most records"
    if column.different == 1 and len(values) > 1:
        return "one constant"
    if _mostly(_URL.fullmatch, values):
        return "URLs"
    if _mostly(_TOKEN.fullmatch, values):
        return "ids or numbers"
    if len(values) >= _FEW and column.different <= len(values) / _FEW:
        return "labels"
    if any(_core(one) in _PROMPTS for one in path.split(".")):
        return "a prompt"
    if name in _USUAL:
        return "labels" if 2 * column.different <= len(values) and not column.sentences else ""
    if column.chat:
        return ""
    if _mostly(_JSON.match, values):
        return "JSON in a string"
    return "labels" if _LABELS.fullmatch(name) or not column.prose else ""


def _usual(texts: Sequence[str], columns: Mapping[str, _Column]) -> str | None:
    return _short([path for path in texts if columns[path].sentences and not columns[path].chat], columns)


def _short(texts: Sequence[str], columns: Mapping[str, _Column]) -> str | None:
    """A field of a usual name or a conversation, without sentences where there is nothing else."""
    named = [path for path in texts if _last(path) in _USUAL]
    chats = (path for path in texts if columns[path].chat)
    usual = min(named, key=lambda path: (path.count("."), _USUAL.index(_last(path))), default=None)
    return usual if usual is not None else next(chats, None)


def _chat(texts: Sequence[str], columns: Mapping[str, _Column]) -> str | None:
    chats = [path for path in texts if columns[path].chat and columns[path].prose]
    return max(chats, key=lambda path: columns[path].characters, default=None)


def _answer(texts: Sequence[str], columns: Mapping[str, _Column]) -> str | None:
    named = [path for path in texts if _core(path) in _ANSWERS and columns[path].prose]
    return min(named, key=lambda path: (path.count("."), _ANSWERS.index(_core(path))), default=None)


def _other(texts: Sequence[str], columns: Mapping[str, _Column]) -> str | None:
    """The longest, unless lists hold more."""
    prose = [path for path in texts if columns[path].prose]
    longest = max(prose, key=lambda path: columns[path].characters, default=None)
    if longest is None:
        return None
    held = sum(map(len, columns[longest].values))
    return longest if held > max(column.unreadable for column in columns.values()) else None


def _remark(name: str, columns: Mapping[str, _Column], verdicts: Mapping[str, str]) -> str:
    """What else holds text, and what is joined."""
    others = [
        path
        for path, column in columns.items()
        if path != name and column.prose and _worth_naming(path, verdicts[path], name)
    ]
    joined = [f"the messages in `{name}` are joined"] if columns[name].chat else []
    left = [f"only `{name}` is taken, {_listed(others)} left out"] if others else []
    return "; ".join(joined + left)


def _worth_naming(path: str, verdict: str, chosen: str) -> bool:
    """Whether somebody may miss the sentences of a field: beside a usual name, only half of a pair."""
    pair = verdict == "a prompt" or (not verdict and any(_core(one) in _ANSWERS for one in path.split(".")))
    return pair or (verdict in ("", "labels") and _last(chosen) not in _USUAL)


def _nothing(columns: Mapping[str, _Column], verdicts: Mapping[str, str]) -> str:
    held = [f"`{shown(path)}` holds {verdicts[path] or 'less than a list beside it'}" for path in columns]
    fields = "; ".join(held[:_FEW]) + ("; ..." if len(held) > _FEW else "")
    return (
        f"no field looks like text ({fields or 'there are no fields'}); name the right one as text_field of "
        "this source in a study.yaml, or write the text into a field `text`"
    )


def _instead_of_strings(column: _Column) -> str:
    return {"int": "numbers", "float": "numbers", "bool": "true or false"}.get(column.other, "nothing")


def _reached(record: Record, path: str, value: object) -> bool:
    """Whether the reader finds the value under this path."""
    try:
        return field_of(record.fields, path, record.location) is value
    except BrokenRecord:
        return True  # refused in words when it is read


def _characters(value: Any, depth: int = 0) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple) and depth < _FEW:
        return sum(_characters(one, depth + 1) for one in value)
    return 0


def _mostly(matches: Callable[[str], object], values: Sequence[str]) -> bool:
    return 2 * sum(matches(value.strip()) is not None for value in values) > len(values)


def _words(value: str) -> int:
    """Words of a text; where they are not set apart, as in Chinese, two characters count as one."""
    return sum(len(word) // 2 if ord(word[0]) >= 0x0E00 else 1 for word in _WORD.findall(value))


def _core(name: str) -> str:
    """The word that says what a field is: ``prompt`` of ``user_prompt``, ``promptText``, ``data.prompt``."""
    words = [word.lower() for word in _NAME_PART.findall(name)]
    while len(words) > 1 and words[-1] in ("text", "str", "string", "body", "content"):
        words.pop()
    return words[-1] if words else ""


def _last(path: str) -> str:
    return path.rpartition(".")[2].lower()


def _listed(names: Sequence[str]) -> str:
    quoted = [f"`{shown(name)}`" for name in names[:_FEW]] + (["more"] if len(names) > _FEW else [])
    return f"{' and '.join(quoted)} {'is' if len(names) == 1 else 'are'}"
