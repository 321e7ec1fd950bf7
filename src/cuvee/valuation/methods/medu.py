"""MEDU: a language model describes what the target asks for, then grades documents by the description.

    value(x) = sum_k k P(grade k | x, description) / sum_k P(grade k | x, description)

Held et al. 2025, Optimizing Pretraining Data Mixtures with LLM-Estimated Utility,
https://arxiv.org/abs/2501.11747. The expected grade of a document; of a source, the mean over its documents.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.types import FloatArray
from cuvee.valuation.answers import JudgeAnswers, needed_judge
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.substrates import Substrates

DESCRIBE = """

The texts above are samples of what a language model shall do well on. Name the knowledge, the skills and the
kind of text that it needs for them, in two sentences.
Description:"""
GRADE = """

How useful is the text above for a model that needs the following? {description}
Grades: 1 useless, 2 hardly useful, 3 of some use, 4 useful, 5 very useful.
Grade:"""
GRADES = (" 1", " 2", " 3", " 4", " 5")


@dataclass(frozen=True)
class Medu:
    """A description of the target, and one prompt a document."""

    temperature: float = 0.0
    name: str = "medu"
    paper: str = "https://arxiv.org/abs/2501.11747"
    unit: str = "grade (1 to 5)"
    needs: str = "a judge"
    cost: str = "one text written, and one pass of the judge over the beginning of each document"
    deviations: str = (
        "The expected grade by log-probabilities instead of one grade that is written. One description of "
        "all samples instead of a summary of several. Prompts in our words."
    )
    samples: int = 8
    """Documents of the target that are shown: chosen by hand, as many as a context of 2048 tokens holds."""
    sample_characters: int = 600
    """Of each."""
    description_tokens: int = 96
    """Chosen by hand: two long sentences."""
    characters: int = 4000
    """Of a document that are shown, see ``AskLLM``."""

    def value(
        self, pool: DocumentTable, target: DocumentTable, substrates: Substrates, seed: int
    ) -> FloatArray:
        """See ``Valuer.value``; NaN where no grade is known."""
        judge = needed_judge(substrates, self.name)
        answers = JudgeAnswers(judge, substrates.kept, substrates.progress)
        question = GRADE.format(description=self.description(target, answers, seed))
        found = answers.log_probabilities(
            "asking the judge to grade documents",
            [self.name, pool.key, question, self.characters],
            len(pool),
            lambda row: pool.text(row)[: self.characters] + question,
            GRADES,
        )
        return expected_grade(found)

    def description(self, target: DocumentTable, answers: JudgeAnswers, seed: int) -> str:
        """What the judge writes of the target."""
        rng = np.random.default_rng([seed, len(target)])
        rows = np.sort(rng.permutation(len(target))[: self.samples])
        texts = [target.text(int(row))[: self.sample_characters] for row in rows]
        return " ".join(answers.text("\n\n".join(texts) + DESCRIBE, self.description_tokens).split())


def expected_grade(log_probs: FloatArray) -> FloatArray:
    """The mean grade of each row [n] under log-probabilities of grades 1, 2, ... [n, grades].

    Grades of which nothing is known count for nothing; NaN where none is known.
    """
    known = np.where(np.isnan(log_probs), -np.inf, log_probs)
    some = np.isfinite(known).any(axis=1)
    weights = np.exp(known - np.where(some, known.max(axis=1), 0.0)[:, None])
    grades = np.arange(1, log_probs.shape[1] + 1)
    found: FloatArray = np.full(len(log_probs), np.nan)
    found[some] = weights[some] @ grades / weights[some].sum(axis=1)
    return found
