"""Which documents of a study support a claim."""

from dataclasses import dataclass

from cuvee.decisions.document import encode
from cuvee.execution.interface import Executor
from cuvee.progress import Progress
from cuvee.study.at_hand import at_hand
from cuvee.study.document_tables import pool_documents
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from cuvee.types import Json
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.embeddings import Embedder
from cuvee.valuation.judge import LanguageJudge
from cuvee.valuation.trace import Support, Tracer

SHOWN_CHARACTERS = 300


@dataclass(frozen=True)
class TracedDocument:
    """A document for a claim."""

    id: str
    source: str
    score: float
    """Mean vote in [0, 1]; without a judge a fused rank; of BM25 its score."""
    text: str
    """How it begins."""


@dataclass(frozen=True)
class Tracing:
    """What was found for a claim."""

    claim: str
    judged: bool
    """False: the documents are near, and nobody read whether they support the claim."""
    supports: tuple[TracedDocument, ...]
    """Best first."""
    by_words: tuple[TracedDocument, ...]
    """The best by BM25, beside it."""
    notes: tuple[str, ...]

    def as_json(self) -> Json:
        """Plain JSON."""
        return encode(self)


def trace(
    config: StudyConfig,
    folder: StudyFolder,
    claim: str,
    progress: Progress | None = None,
    executor: Executor | None = None,
    judge: LanguageJudge | None = None,
    encoder: Embedder | None = None,
) -> Tracing:
    """The documents of the pool that support a claim; see ``cuvee.valuation.trace``.

    Raises:
        ConfigError: the claim has no word.
    """
    with opened(config, folder, progress, executor) as runner:
        pool = pool_documents(runner.plan)
        found = Tracer(pool, at_hand(runner, pool, judge, encoder), config.seed).trace(claim)
        return Tracing(
            claim, found.judged, _named(pool, found.supports), _named(pool, found.by_words), found.notes
        )


def _named(pool: DocumentTable, supports: tuple[Support, ...]) -> tuple[TracedDocument, ...]:
    return tuple(
        TracedDocument(
            pool.id_of(one.row),
            pool.sources[int(pool.source[one.row])],
            one.score,
            pool.text(one.row)[:SHOWN_CHARACTERS],
        )
        for one in supports
    )
