"""FASTTRACK: which documents support a claim.

Before any claim: documents are divided into small leaves by their embeddings, and a language model names the
keywords of each leaf. For a claim it chooses leaves by their keywords, then reads their documents some at a
time and votes for each whether it supports the claim; the score is the mean vote over other orders and
company (Chen et al. 2024, FASTTRACK: Reliable Fact Tracing via Clustering and LLM-Powered Evidence
Validation, https://aclanthology.org/2024.findings-emnlp.334). Sizes and prompts are ours; no code of the
paper was found.

BM25 stands beside every answer. Without a judge nothing is voted on: documents are ranked by words and
embeddings, and the answer says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from cuvee.errors import ConfigError
from cuvee.quantities import counted
from cuvee.types import BoolArray, FloatArray, IntArray
from cuvee.valuation.answers import JudgeAnswers, needed_judge, of_any_spelling
from cuvee.valuation.bm25 import BM25, words
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.leaves import leaves_of, typical_words
from cuvee.valuation.substrates import NotAtHand, Substrates

ANSWERS = (" yes", " Yes", " no", " No")
FUSION = 60.0
"""Of ranks by words and by embeddings: the constant of Cormack, Clarke & Buettcher 2009 (reciprocal rank
fusion), which they found to matter little."""


@dataclass(frozen=True)
class TraceSettings:
    """Chosen by hand: the paper does not say its sizes.

    Raises:
        ConfigError: a number out of range.
    """

    leaf: int = 16
    """Documents of a leaf, at most."""
    keywords: int = 16
    """Of a leaf: about one a document."""
    leaves: int = 6
    """That are read for a claim."""
    batch: int = 4
    """Documents of one prompt."""
    votes: int = 3
    """For each document, each in other company."""
    threshold: float = 0.5
    """Least mean vote of a document that supports the claim."""
    characters: int = 800
    """Of a document that are shown: the part with most words of the claim."""
    most: int = 20
    """Documents of an answer, at most."""

    def __post_init__(self) -> None:
        for name in ("leaf", "keywords", "leaves", "batch", "votes", "characters", "most"):
            if getattr(self, name) < 1:
                raise ConfigError(f"trace: {name} must be at least 1, not {getattr(self, name)}")
        if not 0.0 < self.threshold <= 1.0:
            raise ConfigError(f"trace: threshold must be in (0, 1], not {self.threshold}")


@dataclass(frozen=True)
class Support:
    """One document for a claim."""

    row: int
    """In the table."""
    score: float
    """Mean vote in [0, 1]; without a judge a fused rank; of BM25 its score."""


@dataclass(frozen=True)
class Traced:
    """What was found for a claim."""

    claim: str
    supports: tuple[Support, ...]
    """Best first."""
    by_words: tuple[Support, ...]
    """The best by BM25, beside it."""
    judged: bool
    """False: the documents are near, and nobody read whether they support the claim."""
    notes: tuple[str, ...]
    """What a reader must know."""


@dataclass(frozen=True, eq=False)
class Tracer:
    """Documents, ready for claims."""

    documents: DocumentTable
    substrates: Substrates
    seed: int = 0
    settings: TraceSettings = field(default_factory=TraceSettings)

    def trace(self, claim: str) -> Traced:
        """The documents that support a claim.

        Cost: with a judge one prompt a leaf, and ``votes`` prompts for each document of the chosen leaves;
        once, before the first claim, one text a leaf and the embeddings of all documents.

        Raises:
            ConfigError: the claim has no word.
            NotAtHand: a judge is there, but nothing that embeds.
        """
        if any(0xD800 <= ord(one) < 0xE000 for one in claim):
            raise ConfigError("trace: the claim is not UTF-8; write it in a terminal that is")
        if not words(claim):
            raise ConfigError("trace: the claim has no word; write a sentence that documents may support")
        by_words = self._best(scores := self.index.scores(claim), scores > 0)
        if self.substrates.judge is None:
            return self._near(claim, scores, by_words)
        rows = self._candidates(claim)
        voted = self._mean_votes(claim, rows)
        found = np.full(len(self.documents), np.nan)
        found[rows] = voted
        notes = list(self._keyword_notes)
        if unknown := int(np.isnan(voted).sum()):
            notes.append(f"the judge gave no answer for {unknown} of {counted(len(rows), 'document')}")
        notes.append(self._read(found >= self.settings.threshold, len(rows)))
        return Traced(
            claim, self._best(found, found >= self.settings.threshold), by_words, True, tuple(notes)
        )

    @cached_property
    def index(self) -> BM25:
        """Of all documents."""
        return BM25.of(self.documents.text(row) for row in range(len(self.documents)))

    @cached_property
    def leaves(self) -> list[IntArray]:
        """Rows of each."""
        return leaves_of(self.substrates.embeddings(self.documents), self.settings.leaf, self.seed)

    @cached_property
    def keywords(self) -> tuple[tuple[str, ...], ...]:
        """Of each leaf, as the judge writes them; those of tf-idf where it writes none."""
        return tuple(
            written or typical_words(self.index, rows, self.settings.keywords)
            for rows, written in zip(self.leaves, self._written, strict=True)
        )

    @property
    def _keyword_notes(self) -> tuple[str, ...]:
        silent = sum(not one for one in self._written)
        if not silent:
            return ()
        return (
            f"the judge wrote no keywords for {silent} of {counted(len(self.leaves), 'group')}: tf-idf does",
        )

    def _read(self, supports: BoolArray, read: int) -> str:
        """How much of all was read, and whether the votes tell documents apart."""
        found = int(supports.sum())
        said = (
            f"the judge read {read} of {counted(len(self.documents), 'document')} and finds support in "
            f"{found}"
        )
        return f"{said}: in all of them, so that its votes tell none apart" if 1 < read == found else said

    @property
    def _answers(self) -> JudgeAnswers:
        judge = needed_judge(self.substrates, "trace")
        return JudgeAnswers(judge, self.substrates.kept, self.substrates.progress)

    @cached_property
    def _written(self) -> tuple[tuple[str, ...], ...]:
        return tuple(self._written_keywords(rows) for rows in self.leaves)

    def _written_keywords(self, rows: IntArray) -> tuple[str, ...]:
        shown = "\n".join(_flat(self.documents.text(int(row)), 300) for row in rows)
        prompt = f"{shown}\n\nKeywords of the texts above, names first, with commas between them.\nKeywords:"
        text = self._answers.text(prompt, 6 * self.settings.keywords)
        found = dict.fromkeys(_flat(one, 60).lower() for one in text.replace("\n", ",").split(","))
        return tuple(one for one in found if words(one))[: self.settings.keywords]

    def _candidates(self, claim: str) -> IntArray:
        """Rows of the leaves that the judge chooses by their keywords."""
        prompts = [
            f"Keywords: {', '.join(one)}\n\nMay a document with some of the keywords above be about this "
            f"claim? {claim}\nAnswer:"
            for one in self.keywords
        ]
        odds = self._log_odds("choosing groups of documents for the claim", prompts)
        shared = [len(set(words(claim)) & set(words(" ".join(one)))) for one in self.keywords]
        # Equal odds, and odds that nobody knows, are ranked by shared words.
        order = np.lexsort((-np.array(shared), -np.where(np.isnan(odds), -np.inf, odds)))
        return np.sort(np.concatenate([self.leaves[int(one)] for one in order[: self.settings.leaves]]))

    def _mean_votes(self, claim: str, rows: IntArray) -> FloatArray:
        """The share of votes that each document supports the claim [rows]; NaN where there is none."""
        rng = np.random.default_rng([self.seed, len(rows)])
        orders = [rng.permutation(len(rows)) for _ in range(self.settings.votes)]
        prompts = [one for order in orders for one in self._vote_prompts(claim, rows[order])]
        odds = self._log_odds("reading documents for the claim", prompts)
        votes = np.where(np.isnan(odds), np.nan, (odds > 0).astype(np.float64))
        placed = np.empty((len(orders), len(rows)))
        for place, order in enumerate(orders):
            placed[place, order] = votes[place * len(rows) : (place + 1) * len(rows)]
        known = ~np.isnan(placed)
        total, count = np.where(known, placed, 0.0).sum(axis=0), known.sum(axis=0)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def _vote_prompts(self, claim: str, rows: IntArray) -> list[str]:
        """One prompt a document, each with the documents of its batch before the question."""
        found: list[str] = []
        for first in range(0, len(rows), self.settings.batch):
            some = rows[first : first + self.settings.batch]
            texts = [_part(self.documents.text(int(row)), claim, self.settings.characters) for row in some]
            shown = "\n".join(f"Document {place}: {text}" for place, text in enumerate(texts, start=1))
            found += [
                f"{shown}\n\nClaim: {claim}\nDoes document {place} support the claim?\nAnswer:"
                for place in range(1, len(some) + 1)
            ]
        return found

    def _log_odds(self, title: str, prompts: Sequence[str]) -> FloatArray:
        answers = self._answers.log_probabilities(
            title, ["trace", list(prompts)], len(prompts), lambda row: prompts[row], ANSWERS
        )
        spelt = of_any_spelling(answers, 2)
        result: FloatArray = spelt[:, 0] - spelt[:, 1]
        return result

    def _near(self, claim: str, scores: FloatArray, by_words: tuple[Support, ...]) -> Traced:
        """Without a judge: near by words, and by embeddings where they are at hand."""
        fused = np.where(scores > 0, 1.0 / (FUSION + _ranks(scores)), 0.0)
        how = "by words and embeddings"
        try:
            asked = self.substrates.embeddings(DocumentTable.of_texts([claim], self.documents.tokenizer))
            cosines = np.asarray(self.substrates.embeddings(self.documents) @ asked[0], dtype=np.float64)
            fused += 1.0 / (FUSION + _ranks(cosines))
        except NotAtHand:
            how = "by words alone"
        note = f"no judge: documents are near the claim {how}; whether they support it was not read"
        return Traced(claim, self._best(fused, fused > 0), by_words, False, (note,))

    def _best(self, scores: FloatArray, chosen: BoolArray) -> tuple[Support, ...]:
        rows = np.flatnonzero(chosen)
        rows = rows[np.argsort(-scores[rows], kind="stable")][: self.settings.most]
        return tuple(Support(int(row), float(scores[row])) for row in rows)


def _ranks(scores: FloatArray) -> FloatArray:
    """Places from 1 on, the highest first."""
    found = np.empty(len(scores))
    found[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return found


def _flat(text: str, characters: int) -> str:
    """On one line, so that no document can pass for another, or for a question."""
    return " ".join(text.split())[:characters]


def _part(text: str, claim: str, characters: int) -> str:
    """The part of a text, half overlapping the next, that has most words of the claim."""
    flat, wanted = _flat(text, len(text)), set(words(claim))
    starts = range(0, max(1, len(flat) - characters // 2), max(1, characters // 2))
    parts = [flat[start : start + characters] for start in starts]
    return max(parts, key=lambda one: len(wanted & set(words(one))))
