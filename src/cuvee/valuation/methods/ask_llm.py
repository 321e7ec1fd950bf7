"""Ask-LLM: whether a language model would train on the document.

    value(x) = log P(yes | x, question) - log P(no | x, question)

The logistic function of it is the paper's score P(yes) / (P(yes) + P(no)) (Sachdeva et al. 2024, How to Train
Data-Efficient LLMs, https://arxiv.org/abs/2402.09668). The target plays no part.
"""

from dataclasses import dataclass

from cuvee.types import FloatArray
from cuvee.valuation.answers import JudgeAnswers, needed_judge, of_any_spelling
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.substrates import Substrates

QUESTION = """

Is the text above worth reading for a language model in pre-training? It is if it carries information about
the world, is well written, and is more than a list, an advertisement or boilerplate.
Options: yes, no.
Answer:"""
ANSWERS = (" yes", " Yes", " no", " No")


@dataclass(frozen=True)
class AskLLM:
    """One prompt a document, the document first."""

    temperature: float = 0.0
    name: str = "ask_llm"
    paper: str = "https://arxiv.org/abs/2402.09668"
    unit: str = "log-odds"
    needs: str = "a judge"
    cost: str = "one pass of the judge over the beginning of each document"
    deviations: str = (
        "Log-odds instead of a probability, which is rounded to one for many documents. The question is "
        "asked in our words. Upper and lower case count together. The target plays no part."
    )
    question: str = QUESTION
    characters: int = 4000
    """Of a document that are shown: about a thousand tokens, so that a context of 2048 holds the question."""

    def value(
        self, pool: DocumentTable, target: DocumentTable, substrates: Substrates, seed: int
    ) -> FloatArray:
        """See ``Valuer.value``."""
        judge = needed_judge(substrates, self.name)
        found = JudgeAnswers(judge, substrates.kept, substrates.progress).log_probabilities(
            "asking the judge whether documents are worth reading",
            [self.name, pool.key, self.question, self.characters],
            len(pool),
            lambda row: pool.text(row)[: self.characters] + self.question,
            ANSWERS,
        )
        spelt = of_any_spelling(found, 2)
        result: FloatArray = spelt[:, 0] - spelt[:, 1]
        return result
