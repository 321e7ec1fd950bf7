"""From source files to parts that never share a document.

``prepare`` reads every source once, or twice if there are evaluations. It drops empty documents and
exact duplicates, within a source and across sources (the first wins), removes from the training
sources whatever an evaluation has, and divides the rest (``split.py``). It holds the hashes of the
documents (about 150 bytes each), never their texts: ``Corpus.documents`` reads them again.
"""

from collections import ChainMap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cuvee.errors import ConfigError, EmptySource
from cuvee.progress import Progress, Silent
from cuvee.sources.corpus import Corpus, DividedSource
from cuvee.sources.corpus_overlap import contamination_of
from cuvee.sources.corpus_report import CorpusReport, SourceReport
from cuvee.sources.near_duplicates import NearDuplicates, NearOptions
from cuvee.sources.readers import SourceSpec, passed_over, token_files, token_source
from cuvee.sources.reading import read
from cuvee.sources.split import EVAL, SplitOptions


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
    tables: dict[str, DividedSource] = {}
    reports: dict[str, SourceReport] = {}
    claims: dict[bytes, list[str]] = {}  # hash of a document -> the evaluations that have it
    resembling = NearDuplicates(near) if near is not None else None
    for name, spec in own.items():
        reading = read(spec, seen={}, claims={})
        if not len(reading.digests):
            why = f": {reading.report.shortage}" if reading.report.shortage else ""
            raise EmptySource(f"evaluation '{name}' has no document in {', '.join(spec.paths)}{why}")
        for digest in reading.digests:
            claims.setdefault(digest.tobytes(), []).append(name)
        tables[spec.name] = reading.divided(np.zeros(len(reading.digests), dtype=np.int16), (EVAL,), spec)
        reports[spec.name] = reading.report
        if resembling is not None:
            resembling.pass_over(replace(reading.readable(spec), evaluation=True))
        progress.advance(1, str(reading.report))
    seen: dict[bytes, str] = {}
    held_out: dict[str, set[bytes]] = {}
    for spec in specs:
        origins = (same_text or {}).get(spec.name, ())
        if spec.name in selected:
            reading = read(
                spec, ChainMap({}, seen), _with_held_out(claims, held_out, homes, origins), origins
            )
        else:
            reading = read(spec, seen, claims, origins)
            if resembling is not None:
                found = resembling.pass_over(replace(reading.readable(spec), same_text=frozenset(origins)))
                reading = reading.with_near(found, resembling.options.drop)
        split = splits[spec.name]
        assigned, moved = split.divide(spec.name, reading.digests, reading.report.shortage)
        if selected and EVAL in split.parts:
            held = reading.digests[assigned == split.parts.index(EVAL)]
            held_out[spec.name] = {one.tobytes() for one in held}
        tables[spec.name] = reading.divided(assigned, split.parts, spec)
        reports[spec.name] = replace(reading.report, moved=moved)
        progress.advance(1, str(reports[spec.name]))

    corpus = Corpus(everything, training, homes, CorpusReport((), ()), tables)
    report = CorpusReport(
        sources=tuple(reports[name] for name in everything),
        contamination=contamination_of(corpus, reports, progress, overlaps, same_text or {}),
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
