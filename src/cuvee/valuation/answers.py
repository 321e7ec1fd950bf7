"""Answers of a judge, kept by content: what was asked once is not asked again, also after a break."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.hashing import digest
from cuvee.progress import Progress
from cuvee.quantities import agreeing, counted
from cuvee.types import AnyArray, FloatArray
from cuvee.valuation.judge import LanguageJudge
from cuvee.valuation.kept_rows import KeptRows, by_blocks
from cuvee.valuation.substrates import NotAtHand, Substrates

BLOCK = 64
"""Prompts between two notes of progress: chosen by hand, some batches of a local model or an endpoint."""
_NONE = np.inf  # no log-probability is +inf, and a row that is not there is NaN already
_LONGEST = 4096  # characters of a text that are kept


def needed_judge(substrates: Substrates, what: str) -> LanguageJudge:
    """The judge.

    Raises:
        NotAtHand: there is none.
    """
    if substrates.judge is None:
        raise NotAtHand(
            f"{what}: a language model is needed that judges documents; name a model folder, or an "
            "OpenAI-compatible server on your machine (--judge)"
        )
    return substrates.judge


@dataclass(frozen=True, eq=False)
class JudgeAnswers:
    """A judge that remembers."""

    judge: LanguageJudge
    kept: KeptRows
    progress: Progress

    def log_probabilities(
        self,
        title: str,
        facts: Sequence[object],
        count: int,
        prompt: Callable[[int], str],
        answers: Sequence[str],
    ) -> FloatArray:
        """Log-probabilities of the answers to ``count`` prompts [count, answers]; NaN where there is none.

        Args:
            title: of the stage, for progress.
            facts: plain JSON that determines the prompts.
            count: of prompts.
            prompt: one of them, made when it is asked.
            answers: see ``LanguageJudge.log_probabilities``.
        """
        key = digest(["answers", 1, self.judge.key, list(facts), count, list(answers)])
        self.progress.stage(title, count, "prompts")

        def blocks(done: int) -> Iterator[AnyArray]:
            self.progress.done_before(done)
            for first in range(done, count, BLOCK):
                rows = range(first, min(first + BLOCK, count))
                found = self.judge.log_probabilities([prompt(row) for row in rows], answers)
                yield np.where(np.isnan(found), _NONE, found)
                self.progress.advance(len(rows))

        rows = self.kept.array(key, (count, len(answers)), "float64", by_blocks(blocks))
        found = np.where(np.isposinf(rows), np.nan, rows)
        self._count_missing(title, found)
        return found

    def text(self, prompt: str, tokens: int) -> str:
        """What the judge writes after a prompt."""
        key = digest(["text", 1, self.judge.key, prompt, tokens])

        def fill(rows: AnyArray, done: int, note: Callable[[int], None]) -> None:
            text = self.judge.complete(prompt, tokens)[:_LONGEST]
            rows[:] = -1.0
            rows[: len(text)] = [ord(one) for one in text]

        rows = self.kept.array(key, (_LONGEST,), "float32", fill)
        return "".join(chr(int(one)) for one in rows[rows >= 0])

    def _count_missing(self, title: str, found: FloatArray) -> None:
        missing = int(np.isnan(found).all(axis=1).sum()) if found.size else 0
        if missing:
            self.progress.message(
                f"{title}: {missing} of {counted(len(found), 'prompt')} {agreeing(missing, 'has', 'have')} "
                "no answer among the most probable"
            )


def of_any_spelling(log_probs: FloatArray, spellings: int) -> FloatArray:
    """Log-probability of each answer in any of its spellings [n, answers / spellings].

    A spelling of which nothing is known counts for nothing; NaN where none is known.
    """
    grouped = log_probs.reshape(len(log_probs), -1, spellings)
    known = np.where(np.isnan(grouped), -np.inf, grouped)
    found: FloatArray = np.logaddexp.reduce(known, axis=2)
    return np.where(np.isnan(grouped).all(axis=2), np.nan, found)
