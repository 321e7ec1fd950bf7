"""Lineage: where the text of each source went when the sources changed (floor 3).

Text is followed as pieces. A source of the old catalogue is one piece; a split cuts a piece, a merge
lays pieces together, a source that is added is a new piece. In the end a piece is known from both sides,
so that the overlap of an old and a new source is the tokens of the pieces they share. Nothing else is
kept: how the changes were ordered leaves no trace, and what was undone is as it was.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from cuvee.errors import ConfigError
from cuvee.mixture.mixture import Mixture
from cuvee.runs.catalogue import Catalogue, SourceContent
from cuvee.runs.source_changes import (
    AddSource,
    Change,
    DropSource,
    MergeSources,
    SplitSource,
    as_changes,
)
from cuvee.types import IntArray


@dataclass(frozen=True, eq=False)
class Lineage:
    """Two catalogues, and how much text of each source of the one is in each source of the other.

    Made by ``trace``.
    """

    before: Catalogue
    after: Catalogue
    overlap: IntArray
    """Tokens [S before, S after] that an old and a new source share; read-only."""

    @property
    def same(self) -> dict[str, str]:
        """``{old name: new name}`` of the sources whose content did not change."""
        old, new = self.before.sources, self.after.sources
        common = self.overlap == np.array([source.tokens for source in old])[:, np.newaxis]
        common &= self.overlap == np.array([source.tokens for source in new])
        return {old[row].name: new[column].name for row, column in np.argwhere(common).tolist()}

    @property
    def affected(self) -> tuple[str, ...]:
        """The new sources that are no old source: those a new swarm has to cover."""
        kept = set(self.same.values())
        return tuple(name for name in self.after.names if name not in kept)

    def carry(self, mixture: Mixture) -> Mixture:
        """An old mixture over the sources that did not change, under their new names, renormalised.

        Raises:
            ConfigError: no source is the same, or the mixture has a share of none of them.
            MixtureError: the mixture has a source that the old catalogue does not.
        """
        shares = mixture.reindexed(self.before.names).as_dict()
        kept = {new: shares[old] for old, new in self.same.items()}
        if not any(kept.values()):
            raise ConfigError("the mixture has no share of a source that stays as it was; nothing is carried")
        return Mixture.normalised(kept)


def trace(changes: Change | Iterable[Change], catalogue: Catalogue) -> Lineage:
    """Follow the text of ``catalogue`` through the changes, in their order.

    Raises:
        ConfigError: a change names a source that is not there, a name or content that is taken, or
            tokens that do not add up; or no source is left.
    """
    pieces = _Pieces(catalogue)
    for change in as_changes(changes):
        match change:
            case AddSource():
                pieces.add(SourceContent(change.name, change.content_hash, change.tokens))
            case SplitSource():
                pieces.split(change)
            case DropSource():
                pieces.take(change.name, "drop")
            case MergeSources():
                pieces.merge(change)
            case _:
                raise ConfigError(f"{change!r} is no change of sources")
    if not pieces.here:
        raise ConfigError("the changes leave no source; keep or add at least one")
    after = Catalogue(tuple(SourceContent(n, h, pieces.size(pieces.of[h])) for n, h in pieces.here.items()))
    overlap = np.array(
        [
            [pieces.size(pieces.of[old.content_hash] & pieces.of[new.content_hash]) for new in after.sources]
            for old in catalogue.sources
        ],
        dtype=np.int64,
    )
    overlap.setflags(write=False)
    return Lineage(catalogue, after, overlap)


@dataclass
class _Pieces:
    """The state while changes are followed."""

    catalogue: Catalogue
    here: dict[str, str] = field(init=False)
    """Name of each present source -> hash of its content."""
    of: dict[str, frozenset[str]] = field(init=False)
    """Hash of every content ever seen -> its pieces, each called by the hash it came with."""
    tokens: dict[str, int] = field(init=False)
    """Tokens of each piece."""

    def __post_init__(self) -> None:
        self.here = {source.name: source.content_hash for source in self.catalogue.sources}
        self.of = {content: frozenset([content]) for content in self.here.values()}
        self.tokens = {source.content_hash: source.tokens for source in self.catalogue.sources}

    def size(self, pieces: Iterable[str]) -> int:
        return sum(self.tokens[piece] for piece in pieces)

    def take(self, name: str, verb: str) -> str:
        """Remove a source and give the hash of its content."""
        if name not in self.here:
            raise ConfigError(f"cannot {verb} source {name!r}; there are: {', '.join(sorted(self.here))}")
        return self.here.pop(name)

    def place(self, source: SourceContent) -> None:
        """Let a source of known content be present."""
        if source.name in self.here:
            raise ConfigError(f"the name {source.name!r} is taken by a source; drop that one or name it else")
        self._check_size(source)
        pieces = self.of[source.content_hash]
        if holders := sorted(name for name, content in self.here.items() if self.of[content] & pieces):
            raise ConfigError(
                f"the content of source {source.name!r} ({source.content_hash}) is already there as"
                f" {_listed(holders)}; drop what is replaced before"
            )
        self.here[source.name] = source.content_hash

    def add(self, source: SourceContent) -> None:
        self._meet([source])
        self.place(source)

    def split(self, change: SplitSource) -> None:
        content = self.take(change.name, "split")
        whole = self.of[content]
        total = sum(part.tokens for part in change.parts)
        if total != self.size(whole):
            raise ConfigError(
                f"the parts of source {change.name!r} hold {total} tokens together, the source"
                f" {self.size(whole)}; every token belongs to one part"
            )
        if len(whole) == 1 and not any(part.content_hash in self.of for part in change.parts):
            self._meet(change.parts)
            cut = frozenset(part.content_hash for part in change.parts)
            for known, pieces in self.of.items():
                if whole <= pieces:
                    self.of[known] = (pieces - whole) | cut
        elif not self._makes_up(whole, change.parts):
            raise ConfigError(
                f"source {change.name!r} cannot be followed into {_listed(p.name for p in change.parts)}: in"
                " these changes its content was cut before, or a part is content known from elsewhere."
                " Split it into the pieces it is made of, or apply the changes one after the other"
            )
        for part in change.parts:
            self.place(part)

    def merge(self, change: MergeSources) -> None:
        contents = [self.take(name, "merge") for name in change.names]
        union = frozenset[str]().union(*(self.of[content] for content in contents))
        known = next((content for content, pieces in self.of.items() if pieces == union), None)
        if change.content_hash in self.of and self.of[change.content_hash] != union:
            raise ConfigError(
                f"{_listed(change.names)} merged cannot have the content hash {change.content_hash}: that is"
                " the hash of other text"
            )
        if known is not None and known != change.content_hash:
            raise ConfigError(
                f"{_listed(change.names)} merged are the content {known} again, not {change.content_hash};"
                " give that hash, or add the source if its text is another"
            )
        self.of[change.content_hash] = union
        self.place(SourceContent(change.name, change.content_hash, self.size(union)))

    def _meet(self, sources: Iterable[SourceContent]) -> None:
        """Take note of content that was never seen as new pieces."""
        for source in sources:
            if source.content_hash not in self.of:
                self.of[source.content_hash] = frozenset([source.content_hash])
                self.tokens[source.content_hash] = source.tokens

    def _makes_up(self, whole: frozenset[str], parts: Iterable[SourceContent]) -> bool:
        """Whether parts of known content are the whole, without overlap."""
        found = [piece for part in parts for piece in self.of.get(part.content_hash, ())]
        return len(found) == len(set(found)) and set(found) == whole

    def _check_size(self, source: SourceContent) -> None:
        size = self.size(self.of[source.content_hash])
        if size != source.tokens:
            raise ConfigError(
                f"source {source.name!r} is given {source.tokens} tokens, but content"
                f" {source.content_hash} holds {size}"
            )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
