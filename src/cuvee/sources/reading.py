"""One pass over a source: which documents are kept, and why the others are not."""

from collections import Counter
from collections.abc import Collection, Mapping, MutableMapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from cuvee.errors import BrokenRecord
from cuvee.hashing import digest_bytes
from cuvee.sources.corpus import DROPPED, DividedSource, select_documents
from cuvee.sources.corpus_report import PartInfo, SourceReport
from cuvee.sources.mapped_shard import KeptDocuments
from cuvee.sources.near_duplicates import NearFound, Readable
from cuvee.sources.readers import SourceSpec, nothing_but_tokens, read_source
from cuvee.sources.shards import content_hash
from cuvee.sources.split import PartIndices
from cuvee.types import BoolArray, IntArray

_EXAMPLES = 5


@dataclass(frozen=True, eq=False)
class Reading:
    """What one pass over a source found."""

    kept: BoolArray
    """Which documents were kept, bool [read]."""

    digests: npt.NDArray[np.uint8]
    """SHA-256 of each kept document, uint8 [kept, 32]."""

    sizes: IntArray
    """Bytes of each kept document, int64 [kept]."""

    report: SourceReport

    def readable(self, spec: SourceSpec) -> Readable:
        """Its kept documents, to be read again."""
        content = digest_bytes(self.digests.tobytes())
        return Readable(spec.name, content, partial(select_documents, spec, self.kept))

    def with_near(self, found: NearFound, drop: bool) -> "Reading":
        """The same with what is known of near-duplicates, which are left out if they are to be dropped."""
        report = replace(
            self.report,
            near_duplicates=len(found.rows),
            near_duplicates_of=found.earlier,
            near_examples=found.examples,
            near_dropped=drop,
        )
        if not drop or not len(found.rows):
            return replace(self, report=report)
        stay = ~found.among(len(self.sizes))
        kept = self.kept.copy()
        kept[np.flatnonzero(self.kept)[~stay]] = False
        digests, sizes = self.digests[stay], self.sizes[stay]
        return Reading(kept, digests, sizes, replace(report, kept=_part_info(digests, sizes)))

    def divided(self, assigned: PartIndices, names: tuple[str, ...], spec: SourceSpec) -> DividedSource:
        """Where each document went, by the part of each that was kept [kept]."""
        parts = {
            name: _part_info(self.digests[assigned == index], self.sizes[assigned == index])
            for index, name in enumerate(names)
        }
        rows = np.full(len(self.kept), DROPPED, dtype=np.int16)
        rows[self.kept] = assigned
        kept = KeptDocuments(np.flatnonzero(self.kept), self.digests, self.sizes)
        return DividedSource(parts, rows, kept if nothing_but_tokens(spec) else None)


def read(
    spec: SourceSpec,
    seen: MutableMapping[bytes, str],
    claims: Mapping[bytes, list[str]],
    same_text: Collection[str] = (),
) -> Reading:
    """Pass over a source; adds the hashes of the documents it keeps, with its name, to ``seen``.

    What only sources of the ``same_text`` have kept so far is no duplicate.
    """
    kept, digests, sizes = bytearray(), bytearray(), []
    claimed: Counter[str] = Counter()
    earlier: Counter[str] = Counter()
    empty = contaminated = broken = 0
    examples: list[str] = []

    def note_broken(error: BrokenRecord) -> None:
        nonlocal broken
        broken += 1
        if len(examples) < _EXAMPLES:
            examples.append(str(error))

    for document in read_source(spec, note_broken):
        digest = document.identity
        keep = False
        if not document.text.strip():
            empty += 1
        elif claimants := claims.get(digest):
            contaminated += 1
            claimed.update(claimants)
        elif digest in seen and seen[digest] not in same_text:
            earlier[seen[digest]] += 1
        else:
            seen[digest] = spec.name
            digests += digest
            sizes.append(len(document.text.encode()))
            keep = True
        kept.append(keep)
    table = np.frombuffer(bytes(digests), dtype=np.uint8).reshape(-1, 32)
    lengths = np.array(sizes, dtype=np.int64)
    return Reading(
        kept=np.frombuffer(bytes(kept), dtype=np.bool_),
        digests=table,
        sizes=lengths,
        report=SourceReport(
            source=spec.name,
            kept=_part_info(table, lengths),
            empty=empty,
            duplicates=earlier.total(),
            duplicates_of=dict(earlier),
            contaminated=contaminated,
            contaminated_by=dict(claimed),
            broken=broken,
            broken_examples=tuple(examples),
        ),
    )


def _part_info(digests: npt.NDArray[np.uint8], sizes: IntArray) -> PartInfo:
    return PartInfo(len(sizes), int(sizes.sum()), content_hash(digests))
