"""MEDU by a judge that reads by rules: the description it writes is what documents are graded by."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from cuvee.sources.tokenizer import Tokenizer, train_tokenizer
from cuvee.types import FloatArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.kept_rows import KeptRows
from cuvee.valuation.methods.medu import Medu, expected_grade
from cuvee.valuation.substrates import Substrates


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_tokenizer(["the heart pumps blood"] * 4, 270, tmp_path_factory.mktemp("t") / "t")


class Grader:
    """Describes a target by its words, and grades a document by how many of them it has."""

    key = "grader"

    def __init__(self) -> None:
        self.described = 0

    def complete(self, prompt: str, tokens: int) -> str:
        self.described += 1
        return " It needs: " + " ".join(sorted(set(prompt.partition("The texts above")[0].split())))

    def log_probabilities(self, prompts: Sequence[str], answers: Sequence[str]) -> FloatArray:
        found = np.full((len(prompts), len(answers)), -10.0)
        for row, prompt in enumerate(prompts):
            document, _, rest = prompt.partition("\n\nHow useful")
            needs = set(rest.partition("It needs:")[2].partition("\n")[0].split())
            found[row, min(4, len(needs & set(document.split())))] = -1e-6
        return found


def test_documents_are_graded_by_what_the_target_asks_for(tokenizer: Tokenizer, tmp_path: Path) -> None:
    pool = DocumentTable.of_texts(["heart and blood", "engine oil", "blood in heart valves"], tokenizer)
    target = DocumentTable.of_texts(["heart valves", "blood flow"], tokenizer)
    judge = Grader()
    substrates = Substrates(judge=judge, kept=KeptRows(tmp_path))
    values = Medu().value(pool, target, substrates, 0)
    np.testing.assert_allclose(values, [3.0, 1.0, 4.0], atol=0.01)
    assert Medu().value(pool, target, substrates, 0).tobytes() == values.tobytes()
    assert judge.described == 1, "what it wrote is kept"
    other = Medu().value(pool, DocumentTable.of_texts(["engine oil"], tokenizer), substrates, 0)
    assert other.argmax() == 1


def test_the_expected_grade_in_closed_form() -> None:
    np.testing.assert_allclose(expected_grade(np.log([[0.25, 0.75], [0.1, 0.1]])), [1.75, 1.5])
    partly = np.array([[np.nan, 0.0, -1000.0], [np.nan, np.nan, np.nan], [-1e4, -1e4, -1e4]])
    np.testing.assert_allclose(expected_grade(partly), [2.0, np.nan, 2.0])


def test_samples_of_the_target_are_few_cut_and_the_same_for_a_seed(tokenizer: Tokenizer) -> None:
    from cuvee.progress import Silent
    from cuvee.valuation.answers import JudgeAnswers

    target = DocumentTable.of_texts([f"w{place} {'long ' * 99}" for place in range(30)], tokenizer)
    answers = JudgeAnswers(Grader(), KeptRows(), Silent())
    method = Medu(samples=3, sample_characters=3)
    first, again, other = (method.description(target, answers, seed) for seed in (0, 0, 1))
    assert first == again != other
    assert len(first.removeprefix("It needs: ").split()) <= 3
