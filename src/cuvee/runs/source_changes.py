"""What can happen to the sources of a study: one is added, split, dropped, or several are merged (floor 3).

The changes are plain values, in the order in which they happen. ``lineage.py`` follows the text through
them, ``remapped.py`` carries the runs over. Mixture reuse is from Olmix (Chen et al. 2026,
arXiv:2602.12237); that sources are told apart by content is ours.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from cuvee.errors import ConfigError
from cuvee.runs.catalogue import Catalogue, SourceContent


@dataclass(frozen=True)
class AddSource:
    """A source is there that was not. With the hash of a source dropped before, it is that source again."""

    name: str
    content_hash: str
    tokens: int

    def __post_init__(self) -> None:
        SourceContent(self.name, self.content_hash, self.tokens)  # its rules are the same


@dataclass(frozen=True)
class SplitSource:
    """A source is cut into parts that share nothing and together hold all of it.

    Raises:
        ConfigError: fewer than two parts, or two of the same name or content.
    """

    name: str
    parts: tuple[SourceContent, ...]
    """At least two; one of them may take the old name."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        if len(self.parts) < 2:
            raise ConfigError(
                f"source {self.name!r} is split into {len(self.parts)}; name at least two parts"
            )
        try:
            Catalogue(self.parts)
        except ConfigError as error:
            raise ConfigError(f"the parts of source {self.name!r}: {error}") from error


@dataclass(frozen=True)
class DropSource:
    """A source is used no longer."""

    name: str


@dataclass(frozen=True)
class MergeSources:
    """Several sources become one that holds the text of all.

    Raises:
        ConfigError: fewer than two sources, one named twice, or an empty name or hash.
    """

    names: tuple[str, ...]
    """At least two, in any order."""
    name: str
    """Name of the whole; it may be that of a part."""
    content_hash: str
    """Hash of all their text together."""

    def __post_init__(self) -> None:
        if isinstance(self.names, str):
            raise ConfigError(f"names of the sources to merge must be a sequence, not {self.names!r}")
        object.__setattr__(self, "names", tuple(self.names))
        SourceContent(self.name, self.content_hash, 1)
        if len(self.names) < 2 or len(set(self.names)) < len(self.names):
            raise ConfigError(
                f"source {self.name!r} is merged from {list(self.names)}; name two or more, each once"
            )


Change = AddSource | SplitSource | DropSource | MergeSources


def changes_between(old: Catalogue, new: Catalogue) -> tuple[Change, ...]:
    """What happened, as far as names and hashes tell: sources dropped, then sources added.

    A renamed source is dropped and added again with the same content, which keeps its runs. That a
    source was split or merged cannot be read off the hashes: say so with the changes themselves.
    """
    gone = [DropSource(source.name) for source in old.sources if source not in new.sources]
    come = [
        AddSource(source.name, source.content_hash, source.tokens)
        for source in new.sources
        if source not in old.sources
    ]
    return (*gone, *come)


def as_changes(changes: Change | Iterable[Change]) -> tuple[Change, ...]:
    """One change or several, as a tuple."""
    if isinstance(changes, Change):
        return (changes,)
    return tuple(changes)
