"""Ask-LLM by a judge that reads by rules: known odds give known values."""

from pathlib import Path

import numpy as np
import pytest

from cuvee.sources.tokenizer import Tokenizer, train_tokenizer
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.methods.ask_llm import AskLLM
from cuvee.valuation.methods.registry import valuer_named
from cuvee.valuation.substrates import NotAtHand, Substrates
from tests.valuation.judging import ReadingJudge


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_tokenizer(["the heart pumps blood"] * 4, 270, tmp_path_factory.mktemp("t") / "t")


def test_values_are_log_odds(tokenizer: Tokenizer) -> None:
    pool = DocumentTable.of_texts(["fact", "spam", "fact fact"], tokenizer)
    judge = ReadingJudge(lambda prompt: 0.9 if "fact" in prompt else 0.2)
    values = AskLLM().value(pool, pool, Substrates(judge=judge), 0)
    np.testing.assert_allclose(values, np.log([9.0, 0.25, 9.0]))


def test_the_document_stands_before_the_question_and_is_cut(tokenizer: Tokenizer) -> None:
    seen: list[str] = []

    def yes(prompt: str) -> float:
        seen.append(prompt)
        return 0.5

    method = AskLLM(characters=5, question="?")
    method.value(
        DocumentTable.of_texts(["a giant document " * 9], tokenizer),
        DocumentTable.of_texts(["target"], tokenizer),
        Substrates(judge=ReadingJudge(yes)),
        0,
    )
    assert seen == ["a gia?"]


def test_without_a_judge_it_says_what_is_needed(tokenizer: Tokenizer) -> None:
    pool = DocumentTable.of_texts(["a"], tokenizer)
    for name in ("ask_llm", "medu"):
        with pytest.raises(NotAtHand, match=f"{name}: a language model is needed"):
            valuer_named(name).value(pool, pool, Substrates(), 0)


def test_an_answer_that_is_not_reported_leaves_no_value(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """A document has no value then, and the number of them is reported."""
    from collections.abc import Sequence

    from cuvee.progress import Silent
    from cuvee.types import FloatArray
    from cuvee.valuation.kept_rows import KeptRows

    class Silence(ReadingJudge):
        def log_probabilities(self, prompts: Sequence[str], answers: Sequence[str]) -> FloatArray:
            found = super().log_probabilities(prompts, answers)
            found[["quiet" in one for one in prompts]] = np.nan
            found[["half" in one for one in prompts], 0] = np.nan
            return found

    class Heard(Silent):
        def __init__(self) -> None:
            self.said: list[str] = []

        def message(self, text: str) -> None:
            self.said.append(text)

    heard = Heard()
    pool = DocumentTable.of_texts(["quiet", "loud", "half"], tokenizer)
    substrates = Substrates(judge=Silence(lambda _: 0.5), kept=KeptRows(tmp_path), progress=heard)
    for _ in range(2):
        values = AskLLM().value(pool, pool, substrates, 0)
        np.testing.assert_allclose(values, [np.nan, 0.0, np.log(0.5)])
    assert "1 of 3 prompts has no answer" in heard.said[0]
