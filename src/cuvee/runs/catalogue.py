"""Catalogue: which sources there are, by name and by what is in them (floor 3).

A name is what a column is called. What a source *is*, is told by the hash of its content: a source of
equal content under another name is the same source, a source of equal name and other content is not.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from cuvee.errors import ConfigError
from cuvee.runs.observations import check_text
from cuvee.runs.store import SourceRecord


@dataclass(frozen=True)
class SourceContent:
    """A source: its name, and what is in it.

    Raises:
        ConfigError: an empty name or hash, or no tokens.
    """

    name: str
    content_hash: str
    """Hash of its text; equal hashes are taken for equal text."""
    tokens: int
    """Unique tokens it holds, at least one."""

    def __post_init__(self) -> None:
        check_text("source", self.name)
        check_text("content hash", self.content_hash)
        if not self.name:
            raise ConfigError("a source has an empty name")
        if not self.content_hash:
            raise ConfigError(f"source {self.name!r} has an empty content hash")
        if not (self.tokens >= 1 and self.tokens % 1 == 0):
            raise ConfigError(
                f"source {self.name!r} has {self.tokens} tokens; it must hold a whole number, at least one"
            )
        object.__setattr__(self, "tokens", int(self.tokens))


@dataclass(frozen=True)
class Catalogue:
    """The sources of a study at one time, sorted by name.

    Raises:
        ConfigError: there is none, or two of the same name or content.
    """

    sources: tuple[SourceContent, ...]

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.sources, key=lambda source: source.name))
        if not ordered:
            raise ConfigError("a catalogue needs at least one source")
        owners: dict[str, str] = {}
        names: set[str] = set()
        for source in ordered:
            if source.name in names:
                raise ConfigError(f"source {source.name!r} is named twice; give each its own name")
            names.add(source.name)
            owner = owners.setdefault(source.content_hash, source.name)
            if owner != source.name:
                raise ConfigError(
                    f"sources {owner!r} and {source.name!r} have the same content"
                    f" ({source.content_hash}); keep one of them"
                )
        object.__setattr__(self, "sources", ordered)

    @classmethod
    def of(cls, records: Iterable[SourceRecord]) -> Self:
        """The catalogue of prepared sources, as ``RunStore.sources`` gives them."""
        return cls(tuple(SourceContent(one.name, one.content_hash, one.tokens) for one in records))

    @property
    def names(self) -> tuple[str, ...]:
        """The names [S], sorted."""
        return tuple(source.name for source in self.sources)
