"""From source files to parts that never share a document (sources).

``prepare`` reads every source once, or twice if there are evaluations. It drops empty documents and
exact duplicates, within a source and across sources (the first wins), removes from the training
sources whatever an evaluation has, and divides the rest (``split.py``). It holds the hashes of the
documents (about 150 bytes each), never their texts: ``Corpus.documents`` reads them again.
"""

from collections import ChainMap, Counter
from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cuvee.errors import BrokenRecord, ConfigError, EmptySource, SourceError
from cuvee.hashing import digest_bytes
from cuvee.progress import Progress, Silent
from cuvee.sources.contamination import Contamination, OverlapCounter, sample_ngrams
from cuvee.sources.corpus_report import CorpusReport, PartInfo, SourceReport
from cuvee.sources.document import Document
from cuvee.sources.mapped_shard import KeptDocuments
from cuvee.sources.near_duplicates import NearDuplicates, NearFound, NearOptions, Readable
from cuvee.sources.overlap_counts import OverlapCounts
from cuvee.sources.permutation import UInt64Array
from cuvee.sources.readers import (
    SourceSpec,
    nothing_but_tokens,
    passed_over,
    read_rows,
    read_source,
    token_files,
    token_source,
)
from cuvee.sources.shards import content_hash
from cuvee.sources.split import EVAL, PartIndices, SplitOptions
from cuvee.types import BoolArray, IntArray

_DROPPED = -1
_EXAMPLES = 5


@dataclass(frozen=True, eq=False)
class Corpus:
    """Sources divided into parts. Made by ``prepare``."""

    specs: Mapping[str, SourceSpec]
    """All sources by name: training sources, then those of evaluations."""

    training: tuple[str, ...]
    """Names of the training sources, in the order given."""

    evaluations: Mapping[str, str]
    """For each evaluation the source whose part ``eval`` it is."""

    report: CorpusReport
    """What was dropped, moved and found."""

    _tables: Mapping[str, "_Table"] = field(repr=False)

    def parts(self, source: str) -> tuple[str, ...]:
        """The parts of a source."""
        return tuple(self._table(source).parts)

    def part(self, source: str, part: str) -> PartInfo:
        """Size and identity of a part; needs no reading."""
        table = self._table(source)
        if part not in table.parts:
            raise ConfigError(f"source '{source}' has no part '{part}'; it has: {', '.join(table.parts)}")
        return table.parts[part]

    def rows(self, source: str, part: str) -> BoolArray:
        """Which of the documents that ``read_source`` gives are in a part, bool [read]."""
        self.part(source, part)
        table = self._table(source)
        rows: BoolArray = table.assigned == list(table.parts).index(part)
        return rows

    def kept(self, source: str, part: str) -> KeptDocuments | None:
        """The documents of a part, where the source holds nothing but tokens."""
        table = self._table(source)
        if table.kept is None:
            return None
        return table.kept.select(self.rows(source, part)[table.kept.rows])

    def documents(self, source: str, part: str) -> Iterator[Document]:
        """Read the documents of a part again, in reading order.

        Raises:
            SourceError: the source now has another number of documents.
        """
        return select_documents(self.specs[source], self.rows(source, part))

    def _table(self, source: str) -> "_Table":
        if source not in self._tables:
            raise ConfigError(f"there is no source '{source}'; there are: {', '.join(self._tables)}")
        return self._tables[source]


def select_documents(spec: SourceSpec, rows: BoolArray) -> Iterator[Document]:
    """The marked documents of a source.

    Args:
        spec: the source.
        rows: which of the documents that ``read_source`` gives are wanted, bool [read].

    Raises:
        SourceError: the source has another number of documents by now.
    """
    count = 0
    for document in read_rows(spec, rows):
        if document is not None and count < len(rows) and rows[count]:
            yield document
        count += 1
    if count != len(rows):
        raise SourceError(
            f"the files of source '{spec.name}' changed: {len(rows)} documents before, {count} now; run again"
        )


def prepare(
    specs: Sequence[SourceSpec],
    evaluations: Mapping[str, str | SourceSpec],
    options: SplitOptions | Mapping[str, SplitOptions],
    progress: Progress | None = None,
    overlaps: Path | None = None,
    same_text: Mapping[str, Collection[str]] | None = None,
    selected: Collection[str] = (),
    near: NearOptions | None = None,
) -> Corpus:
    """Read, clean and divide the sources of a study.

    Args:
        specs: the training sources; of two that have the same document the earlier keeps it.
        evaluations: for each evaluation the name of the training source whose held-out part it is,
            or files of its own. All documents of those are evaluated, and dropped from training.
        options: how training sources are divided, all alike or each by its name.
        progress: where each source is reported.
        overlaps: a folder that keeps what was counted of evaluations in training text, so that the same
            text is not looked through again.
        same_text: for a source the earlier ones whose documents it may have again: a part has those of the
            whole.
        selected: sources that are chosen documents of those in ``same_text``. They have no held-out part, and
            what the others hold out is left out of them; of several selections each keeps its documents.
        near: what is done about near-duplicates; None looks for none. Selections have none.

    Raises:
        ConfigError: names that are not unique or not known, or no held-out part where one is needed.
        MissingSource, BrokenRecord: see ``read_source``.
        EmptySource: a source has fewer documents than parts.
    """
    progress = progress or Silent()
    own = {name: spec for name, spec in evaluations.items() if isinstance(spec, SourceSpec)}
    homes = {name: spec.name if isinstance(spec, SourceSpec) else spec for name, spec in evaluations.items()}
    training = tuple(spec.name for spec in specs)
    splits = dict.fromkeys(training, options) if isinstance(options, SplitOptions) else options
    _check_names(training, [spec.name for spec in own.values()], homes, splits)
    everything = {spec.name: spec for spec in (*specs, *own.values())}
    for spec in everything.values():  # a wrong path is refused before hours of reading
        for what in passed_over(spec):
            progress.message(f"{spec.name}: passed over {what}")
        if token_files(spec):
            for said in token_source(spec).said(spec.name):
                progress.message(said)

    progress.stage("reading sources", len(everything), "sources")
    tables: dict[str, _Table] = {}
    reports: dict[str, SourceReport] = {}
    claims: dict[bytes, list[str]] = {}  # hash of a document -> the evaluations that have it
    resembling = NearDuplicates(near) if near is not None else None
    for name, spec in own.items():
        reading = _read(spec, seen={}, claims={})
        if not len(reading.digests):
            why = f": {reading.report.shortage}" if reading.report.shortage else ""
            raise EmptySource(f"evaluation '{name}' has no document in {', '.join(spec.paths)}{why}")
        for digest in reading.digests:
            claims.setdefault(digest.tobytes(), []).append(name)
        tables[spec.name] = _Table.of(reading, np.zeros(len(reading.digests), dtype=np.int16), (EVAL,), spec)
        reports[spec.name] = reading.report
        if resembling is not None:
            resembling.pass_over(replace(reading.readable(spec), evaluation=True))
        progress.advance(1, str(reading.report))
    seen: dict[bytes, str] = {}
    held_out: dict[str, set[bytes]] = {}
    for spec in specs:
        origins = (same_text or {}).get(spec.name, ())
        if spec.name in selected:
            reading = _read(
                spec, ChainMap({}, seen), _with_held_out(claims, held_out, homes, origins), origins
            )
        else:
            reading = _read(spec, seen, claims, origins)
            if resembling is not None:
                found = resembling.pass_over(replace(reading.readable(spec), same_text=frozenset(origins)))
                reading = reading.with_near(found, resembling.options.drop)
        split = splits[spec.name]
        assigned, moved = split.divide(spec.name, reading.digests, reading.report.shortage)
        if selected and EVAL in split.parts:
            held = reading.digests[assigned == split.parts.index(EVAL)]
            held_out[spec.name] = {one.tobytes() for one in held}
        tables[spec.name] = _Table.of(reading, assigned, split.parts, spec)
        reports[spec.name] = replace(reading.report, moved=moved)
        progress.advance(1, str(reports[spec.name]))

    corpus = Corpus(everything, training, homes, CorpusReport((), ()), tables)
    report = CorpusReport(
        sources=tuple(reports[name] for name in everything),
        contamination=_contamination(corpus, reports, progress, overlaps, same_text or {}),
    )
    for one in report.sources:
        if one.broken or one.moved or one.duplicates or one.near_duplicates:
            progress.message(str(one))
        for example in one.near_examples:
            progress.message(f"{one.source}: {example}")
    return replace(corpus, report=report)


def _with_held_out(
    claims: Mapping[bytes, list[str]],
    held_out: Mapping[str, set[bytes]],
    homes: Mapping[str, str],
    origins: Collection[str],
) -> dict[bytes, list[str]]:
    """Claims of evaluations, those of the held-out parts of some sources among them.

    A part on which nothing is measured claims in its source's name: parts of that source may be measured.
    """
    found = {digest: list(names) for digest, names in claims.items()}
    for origin in sorted(held_out.keys() & set(origins)):
        names = [name for name, home in homes.items() if home == origin] or [origin]
        for digest in held_out[origin]:
            found.setdefault(digest, []).extend(names)
    return found


@dataclass(frozen=True, eq=False)
class _Reading:
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

    def with_near(self, found: NearFound, drop: bool) -> "_Reading":
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
        return _Reading(kept, digests, sizes, replace(report, kept=_part_info(digests, sizes)))


@dataclass(frozen=True, eq=False)
class _Table:
    """Where each document of a source went."""

    parts: Mapping[str, PartInfo]
    """The parts in order."""

    assigned: PartIndices
    """Index of the part of each document read, int16 [read]; ``_DROPPED`` for none."""

    kept: KeptDocuments | None = None
    """What is kept, where the source holds nothing but tokens."""

    @staticmethod
    def of(reading: _Reading, assigned: PartIndices, names: tuple[str, ...], spec: SourceSpec) -> "_Table":
        parts = {
            name: _part_info(reading.digests[assigned == index], reading.sizes[assigned == index])
            for index, name in enumerate(names)
        }
        rows = np.full(len(reading.kept), _DROPPED, dtype=np.int16)
        rows[reading.kept] = assigned
        kept = KeptDocuments(np.flatnonzero(reading.kept), reading.digests, reading.sizes)
        return _Table(parts, rows, kept if nothing_but_tokens(spec) else None)


def _part_info(digests: npt.NDArray[np.uint8], sizes: IntArray) -> PartInfo:
    return PartInfo(len(sizes), int(sizes.sum()), content_hash(digests))


def _read(
    spec: SourceSpec,
    seen: MutableMapping[bytes, str],
    claims: Mapping[bytes, list[str]],
    same_text: Collection[str] = (),
) -> _Reading:
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
    return _Reading(
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


def _contamination(
    corpus: Corpus,
    reports: Mapping[str, SourceReport],
    progress: Progress,
    folder: Path | None,
    same_text: Mapping[str, Collection[str]],
) -> tuple[Contamination, ...]:
    """What every source has in common with every evaluation."""
    texts = {name: corpus.part(home, EVAL).content_hash for name, home in corpus.evaluations.items()}
    counts = {name: OverlapCounts.of(folder, _training_content(corpus, name)) for name in corpus.training}
    _count(corpus, texts, counts, progress)
    return tuple(
        Contamination(
            name,
            source,
            reports[source].contaminated_by.get(name, 0),
            *counts[source].known[texts[name]],
            held_out=home == source or home in same_text.get(source, ()) or source in same_text.get(home, ()),
        )
        for name, home in corpus.evaluations.items()
        for source in corpus.training
    )


def _count(
    corpus: Corpus, texts: Mapping[str, str], counts: Mapping[str, OverlapCounts], progress: Progress
) -> None:
    """Complete the counts of all sources; reads only where some are missing."""
    missing = {name: [one for one in texts if texts[one] not in counts[name].known] for name in counts}
    missing = {name: unknown for name, unknown in missing.items() if unknown}
    if missing:
        progress.stage("looking for evaluation text in training text", len(missing), "sources")
    samples = {
        name: sample_ngrams(document.text for document in corpus.documents(corpus.evaluations[name], EVAL))
        for name in sorted(set(chain(*missing.values())))
    }
    for source, unknown in missing.items():
        found = _found(corpus, source, {name: samples[name] for name in unknown})
        counts[source].add({texts[name]: (len(samples[name]), found[name]) for name in unknown})
        progress.advance(1, source)


def _training_parts(corpus: Corpus, source: str) -> list[str]:
    return [part for part in corpus.parts(source) if part != EVAL]


def _training_content(corpus: Corpus, source: str) -> list[str]:
    return [corpus.part(source, part).content_hash for part in _training_parts(corpus, source)]


def _found(corpus: Corpus, source: str, samples: Mapping[str, UInt64Array]) -> dict[str, int]:
    """How many of the n-grams of each evaluation stand in what may be trained on."""
    counter = OverlapCounter(samples)
    rows = np.logical_or.reduce([corpus.rows(source, part) for part in _training_parts(corpus, source)])
    counter.show(document.text for document in select_documents(corpus.specs[source], rows))
    return counter.found()


def _check_names(
    training: Sequence[str], own: Sequence[str], homes: Mapping[str, str], splits: Mapping[str, SplitOptions]
) -> None:
    if not training:
        raise ConfigError("there is no source to train on")
    names = [*training, *own]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"names of sources, those of evaluations included, must be unique; twice: {', '.join(twice)}"
        )
    if unsplit := [name for name in training if name not in splits]:
        raise ConfigError(f"there are no split options for source '{unsplit[0]}'")
    for name, home in homes.items():
        if home not in names:
            raise ConfigError(
                f"evaluation '{name}' is the held-out part of source '{home}', but there is no such source; "
                f"there are: {', '.join(training)}"
            )
        if home in training and splits[home].eval_fraction == 0:
            raise ConfigError(
                f"evaluation '{name}' needs a held-out part of source '{home}'; set eval_fraction above 0"
            )
