"""Windows of requests: what stands in them, and what is scored."""

from pathlib import Path

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.sources.harness import read_task
from cuvee.sources.request_windows import Cut, request_windows, too_long
from cuvee.sources.task_requests import TaskItem, TaskRequests
from cuvee.sources.task_tokens import RequestTokenizer, TaskTokens

BEGIN = 99


def _encode(text: str, special: bool) -> list[int]:
    """A token a character, after one that is added by itself."""
    return [BEGIN] * special + [ord(one) - ord("a") if one != " " else 50 for one in text]


ALL = Cut(6)
TOKENIZER = RequestTokenizer(_encode, BEGIN, "letters")


def choice(context: str, *answers: str, gold: int = 0) -> TaskItem:
    lengths = tuple(map(len, answers))
    return TaskItem(tuple((context, one) for one in answers), lengths, lengths, (gold,))


def windows(requests: TaskRequests, cut: Cut = ALL) -> list[list[str]]:
    """What each window reads and what is scored in it, as text."""
    one, found = request_windows("quiz", TaskTokens.of(requests, TOKENIZER), cut, "letters"), []
    for row in range(one.windows):
        last = int(np.flatnonzero(one.scored[row]).max()) + 1
        texts = one.inputs[row, :last], one.targets[row, one.scored[row]]
        found.append(["".join(map(_letter, text)) for text in texts])
    return found


def _letter(token: int) -> str:
    return {BEGIN: "^", 50: " "}.get(int(token), chr(ord("a") + int(token)))


def test_a_choice_is_scored_behind_its_context() -> None:
    found = windows(TaskRequests("choice", (choice("ab", "cd", "e"), choice("f", "g"))))
    assert found == [["^abc", "cd"], ["^ab", "e"], ["^f", "g"]]


def test_spaces_at_the_end_of_a_context_belong_to_what_follows() -> None:
    found = windows(TaskRequests("answer", (choice("ab ", "c"),)))
    assert found == [["^ab ", " c"]]


def test_what_is_too_long_is_cut_at_its_beginning_and_counted() -> None:
    requests = TaskRequests("choice", (choice("abcdefgh", "ij"), choice("k", "l")))
    assert windows(requests) == [["defghi", "ij"], ["^k", "l"]]
    assert too_long(TaskTokens.of(requests, TOKENIZER), 6) == 1


def test_an_empty_context_is_one_token() -> None:
    found = windows(TaskRequests("answer", (choice("", "abc"),)))
    assert found == [["^ab", "abc"]]


def test_right_answers_alone() -> None:
    requests = TaskRequests("choice", (choice("ab", "c", "d", gold=1), choice("e", "f")))
    assert windows(requests, Cut(6, right_alone=True)) == [["^ab", "d"], ["^e", "f"]]


def test_halves_are_every_other_question() -> None:
    requests = TaskRequests("answer", tuple(choice("a", one) for one in "bcde"))
    assert windows(requests, Cut(6, "choosing")) == [["^a", "b"], ["^a", "d"]]
    assert windows(requests, Cut(6, "checking")) == [["^a", "c"], ["^a", "e"]]


def test_windows_of_other_cuts_have_other_keys() -> None:
    tokens = TaskTokens.of(TaskRequests("answer", (choice("a", "b"), choice("a", "c"))), TOKENIZER)
    cuts = [Cut(6), Cut(7), Cut(6, "choosing"), Cut(6, "checking"), Cut(6, right_alone=True)]
    assert len({request_windows("quiz", tokens, cut, "letters").key for cut in cuts}) == len(cuts)


def test_a_text_is_scored_once_in_full_windows() -> None:
    found = windows(TaskRequests("rolling", (choice("", "abcdefgh"),)))
    # The token that the tokenizer adds is predicted from the one that stands before every text.
    assert found == [["^^abcd", "^abcde"], ["bcdefg", "fgh"]]


def test_an_answer_longer_than_a_window_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'quiz': an answer of 7 tokens does not fit .* 6"):
        windows(TaskRequests("choice", (choice("a", "bcdefgh"),)))


def test_requests_and_tokens_are_kept(tmp_path: Path) -> None:
    requests = TaskRequests("choice", (choice("ab", "c", "d", gold=1),))
    tokens = TaskTokens.of(requests, TOKENIZER)
    tokens.save(tmp_path / "tokens.json")
    assert TaskTokens.open(tmp_path / "tokens.json") == tokens
    requests.save(tmp_path / "requests.json")
    assert TaskRequests.open(tmp_path / "requests.json") == requests
    text = (tmp_path / "requests.json").read_text()
    (tmp_path / "requests.json").write_text(text.replace('"ab"', '"ax"'))
    with pytest.raises(ConfigError, match=r"requests.json: cannot be read .* delete it"):
        TaskRequests.open(tmp_path / "requests.json")


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (lambda: choice("a", "b", gold=1), "right answers"),
        (lambda: choice("a", ""), "empty"),
        (lambda: choice("a"), "needs as many lengths"),
    ],
)
def test_impossible_questions_are_refused(item: object, message: str) -> None:
    assert callable(item)
    with pytest.raises(ConfigError, match=message):
        item()


def test_without_the_extra_the_error_names_it() -> None:
    try:
        import lm_eval  # noqa: F401
    except ImportError:
        with pytest.raises(ConfigError, match=r"downstream task 'arc_easy' needs .*cuvee\[eval\]"):
            read_task("arc_easy")
