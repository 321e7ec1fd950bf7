"""What reading the sources of a study came to: what was kept, what was dropped and why (sources)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cuvee.quantities import agreeing, counted
from cuvee.sources.contamination import Contamination


@dataclass(frozen=True)
class PartInfo:
    """Size and identity of some documents of a source."""

    documents: int
    """How many there are."""

    bytes: int
    """Bytes of their UTF-8 text."""

    content_hash: str
    """Hash of their sorted hashes: independent of the files they lie in and of their order."""


@dataclass(frozen=True)
class SourceReport:
    """What reading one source came to."""

    source: str
    """Name of the source."""

    kept: PartInfo
    """All documents that were kept."""

    empty: int = 0
    """Documents dropped because there was nothing but space in them."""

    duplicates: int = 0
    """Documents dropped because the same text came before, in this source or an earlier one."""

    duplicates_of: Mapping[str, int] = field(default_factory=dict)
    """The same by the source that has the text first, itself included."""

    contaminated: int = 0
    """Documents dropped because an evaluation has the same text."""

    contaminated_by: Mapping[str, int] = field(default_factory=dict)
    """The same by evaluation; of a text that several have each counts it."""

    broken: int = 0
    """Records (or whole files) that could not be read and were skipped."""

    broken_examples: tuple[str, ...] = ()
    """What was wrong with the first of them."""

    near_duplicates: int = 0
    """Documents that nearly are those of this source or an earlier one, exact copies aside."""

    near_duplicates_of: Mapping[str, int] = field(default_factory=dict)
    """The same by the source that has the earlier one, itself included."""

    near_examples: tuple[str, ...] = ()
    """The first of them, and what they resemble."""

    near_dropped: bool = False
    """They were dropped, not only counted."""

    moved: int = 0
    """Documents that were moved to a part that would have been empty."""

    @property
    def losses(self) -> tuple[tuple[int, str], ...]:
        """How many documents were dropped, and what they are, reason by reason."""
        claimed = {
            f"dropped, because evaluation '{name}' has the same text": count
            for name, count in self.contaminated_by.items()
        }
        earlier = {
            agreeing(count, "a copy of another of its own", "copies of others of its own")
            if name == self.source
            else f"in source '{name}' already": count
            for name, count in self.duplicates_of.items()
        }
        resembling = self._near if self.near_dropped else {}
        reasons = claimed | earlier | resembling | {"empty": self.empty}
        return tuple((count, what) for what, count in reasons.items() if count)

    @property
    def _near(self) -> dict[str, int]:
        """Near-duplicates by where the earlier one is, in words."""
        return {
            agreeing(count, "a near-duplicate of another", "near-duplicates of others") + " of its own"
            if name == self.source
            else agreeing(count, "a near-duplicate of a document", "near-duplicates of documents")
            + f" of '{name}'": count
            for name, count in self.near_duplicates_of.items()
        }

    @property
    def shortage(self) -> str:
        """Why hardly a document is left; empty where none was dropped."""
        read = self.kept.documents + self.empty + self.duplicates + self.contaminated + self.broken
        read += self.near_duplicates if self.near_dropped else 0
        broken = f"broken ({'; '.join(self.broken_examples[:1])})"
        losses = [*self.losses, *([(self.broken, broken)] if self.broken else [])]
        if self.kept.documents or len(losses) != 1:
            dropped = ", ".join(_counted(losses))
            return f"of its {counted(read, 'document')} {dropped}" if dropped else ""
        ((_, what),) = losses
        return f"all its {read} documents are {what}" if read > 1 else f"its only document is {what}"

    def __str__(self) -> str:
        near = [] if self.near_dropped else [(count, f"{what}, kept") for what, count in self._near.items()]
        others = [*near, (self.broken, "broken"), (self.moved, "moved to an empty part")]
        more = _counted([*self.losses, *others])
        return "; ".join(
            [f"{self.source}: {counted(self.kept.documents, 'document')}, {self.kept.bytes} bytes", *more]
        )


@dataclass(frozen=True)
class CorpusReport:
    """What preparing the corpus came to."""

    sources: tuple[SourceReport, ...]
    """Training sources in the order given, then evaluations that have files of their own."""

    contamination: tuple[Contamination, ...]
    """One entry for each evaluation and training source."""


def _counted(facts: Sequence[tuple[int, str]]) -> list[str]:
    return [f"{count} {'is' if count == 1 else 'are'} {what}" for count, what in facts if count]
