"""What the training text of a corpus has in common with its evaluations."""

from collections.abc import Collection, Mapping
from itertools import chain
from pathlib import Path

import numpy as np

from cuvee.progress import Progress
from cuvee.sources.contamination import Contamination, OverlapCounter, sample_ngrams
from cuvee.sources.corpus import Corpus, select_documents
from cuvee.sources.corpus_report import SourceReport
from cuvee.sources.overlap_counts import OverlapCounts
from cuvee.sources.permutation import UInt64Array
from cuvee.sources.split import EVAL


def contamination_of(
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
