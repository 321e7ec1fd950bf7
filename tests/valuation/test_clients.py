"""Judges: a trained model's own numbers, and the same through an endpoint that serves it."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from cuvee.errors import CheckpointError, ConfigError
from cuvee.sources.tokenizer import train_tokenizer
from cuvee.valuation.clients import EndpointJudge, LocalJudge
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.endpoint import Endpoint
from cuvee.valuation.kept_rows import KeptRows
from cuvee.valuation.methods.ask_llm import AskLLM
from cuvee.valuation.substrates import NotAtHand, Substrates
from tests.valuation.judging import QUESTION, Server, served, texts, trained_judge

YES_NO = (" yes", " no")
QUICK = Endpoint(timeout=5.0, attempts=3, pause=0.001)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> LocalJudge:
    return LocalJudge.open(trained_judge(tmp_path_factory.mktemp("judge")))


@pytest.fixture
def server(judge: LocalJudge) -> Iterator[Server]:
    with served(judge) as one:
        yield one


def prompts(count: int = 12) -> tuple[list[str], list[bool]]:
    asked, good = texts(count, 999)
    return [one + QUESTION for one in asked], good


def test_a_local_judge_learnt_what_is_good(judge: LocalJudge) -> None:
    asked, good = prompts()
    found = judge.log_probabilities(asked, YES_NO)
    assert found.shape == (12, 2) and np.all(found <= 0)
    np.testing.assert_array_equal(found[:, 0] > found[:, 1], good)
    np.testing.assert_array_equal(judge.log_probabilities(asked, YES_NO), found)
    assert judge.complete(asked[0], 4) == (" yes" if good[0] else " no")


def test_an_answer_of_many_tokens_is_the_sum_over_them(judge: LocalJudge) -> None:
    """Against the model asked token by token; and one token alone is the same among longer ones."""
    asked, answer = prompts(3)[0], " yes click here"
    tokens = judge.tokenizer.encode_batch([answer])[0]
    assert len(tokens) > 1
    found = judge.log_probabilities(asked, [answer, " no"])
    for row, prompt in enumerate(asked):
        read = [judge.tokenizer.end_of_text, *judge.tokenizer.encode_batch([prompt])[0]]
        total = 0.0
        for token in tokens:
            with torch.no_grad():
                last = torch.tensor([len(read) - 1])
                total += float(judge.model.next_log_probs(judge.flat, torch.tensor([read]), last)[0, token])
            read.append(token)
        assert found[row, 0] == pytest.approx(total, abs=1e-4)
    np.testing.assert_allclose(found[:, 1], judge.log_probabilities(asked, [" no"])[:, 0], atol=1e-5)


def test_a_long_document_loses_its_beginning_and_never_the_question(judge: LocalJudge) -> None:
    asked, _ = prompts(4)
    long = [f"{'click here ' * 50}{one}" for one in asked]
    found = judge.log_probabilities(long, YES_NO)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, judge.log_probabilities([f"x {one}" for one in long], YES_NO))
    assert np.isfinite(judge.log_probabilities(long, [" yes yes", " no"])).all()


def test_what_a_local_judge_refuses(judge: LocalJudge, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="every answer needs a text"):
        judge.log_probabilities(["a"], [" yes", ""])
    with pytest.raises(ConfigError, match="longer than the 48 tokens"):
        judge.log_probabilities(["a"], [" yes" * 60])
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        LocalJudge.open(tmp_path)
    assert judge.log_probabilities([], YES_NO).shape == (0, 2)
    assert judge.log_probabilities([], [" yes yes"]).shape == (0, 1)
    assert np.isfinite(judge.log_probabilities([""], YES_NO)).all()


def test_a_transformers_model_judges_as_the_native_one(judge: LocalJudge, tmp_path: Path) -> None:
    from cuvee.models.hugging_face import HuggingFaceModel

    model = HuggingFaceModel(judge.tokenizer.folder)
    other = LocalJudge(model, model.read_flat(judge.tokenizer.folder), judge.tokenizer, "other")
    asked, _ = prompts(3)
    mine = judge.log_probabilities(asked, YES_NO)
    np.testing.assert_allclose(other.log_probabilities(asked, YES_NO), mine, atol=1e-4)


def test_an_endpoint_that_echoes_says_what_the_model_says(judge: LocalJudge, server: Server) -> None:
    remote = EndpointJudge(server.url, "small", endpoint=QUICK)
    asked, _ = prompts(20)
    answers = (" yes", " no", " yes click here")
    found = remote.log_probabilities(asked, answers)
    np.testing.assert_allclose(found, judge.log_probabilities(asked, answers), atol=1e-4)
    assert len(server.asked) == 2, "20 prompts in batches of 16"
    assert remote.complete(asked[0], 3) == judge.complete(asked[0], 3)


def test_a_chat_endpoint_knows_only_the_most_probable(judge: LocalJudge, server: Server) -> None:
    remote = EndpointJudge(server.url, "small", kind="chat", endpoint=QUICK)
    asked, _ = prompts(3)
    found = remote.log_probabilities(asked, (" yes", " no", " quixotic"))
    assert np.isnan(found[:, 2]).all()
    known = ~np.isnan(found[:, :2])
    assert known.any(axis=1).all()
    local = judge.log_probabilities(asked, YES_NO)
    np.testing.assert_allclose(found[:, :2][known], local[known], atol=1e-3)
    assert remote.complete(asked[0], 3) == judge.complete(asked[0], 3)


def test_an_answer_inside_a_token_has_no_probability(server: Server) -> None:
    names = {"tokens": ["the end", "less", " x"], "token_logprobs": [None, -1.0, -2.0]}
    server.reply = lambda body: {"choices": [{"index": 0, "logprobs": names}]}
    remote = EndpointJudge(server.url, "small", endpoint=QUICK)
    assert np.isnan(remote.log_probabilities(["the"], [" endless"])).all()
    assert remote.log_probabilities(["the end"], ["less"]).tolist() == [[-1.0]]


@pytest.mark.parametrize("score", [0.5, float("nan"), float("inf")])
def test_an_echo_of_what_is_no_log_probability_is_refused(server: Server, score: float) -> None:
    names = {"tokens": ["the", " end", " x"], "token_logprobs": [None, score, -2.0]}
    server.reply = lambda body: {"choices": [{"index": 0, "logprobs": names}]}
    with pytest.raises(ConfigError, match="gives no log-probabilities of the prompt"):
        EndpointJudge(server.url, "small", endpoint=QUICK).log_probabilities(["the"], [" end"])


def test_a_server_that_is_busy_is_asked_again(judge: LocalJudge, server: Server) -> None:
    server.failures = 2
    remote = EndpointJudge(server.url, "small", endpoint=QUICK)
    assert np.isfinite(remote.log_probabilities(["a"], YES_NO)).all()
    assert len(server.asked) == 3
    server.failures = 3
    with pytest.raises(NotAtHand, match=r"after 3 attempts \(503 .*busy"):
        remote.log_probabilities(["a"], YES_NO)


def test_a_server_that_refuses_is_named(server: Server) -> None:
    with pytest.raises(ConfigError, match=r"404 .*no such model"):
        EndpointJudge(server.url, "large", endpoint=QUICK).log_probabilities(["a"], YES_NO)
    assert len(server.asked) == 1, "a refusal is final"


def test_a_server_that_is_not_there(judge: LocalJudge) -> None:
    with served(judge) as gone:
        pass
    with pytest.raises(NotAtHand, match="start the server"):
        EndpointJudge(gone.url, "small", endpoint=QUICK).log_probabilities(["a"], YES_NO)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"<html>", "is no JSON"),
        (b"[1]", "no JSON object"),
        ({"choices": []}, "no completion for each"),
        ({"choices": [{"text": "yes"}] * 2}, "gives no log-probabilities of the prompt"),
        (
            {"choices": [{"logprobs": {"tokens": ["yes"], "token_logprobs": [-1.0]}}] * 2},
            "gives no log-probabilities of the prompt",
        ),
        ({"choices": [None, None]}, "gives no log-probabilities of the prompt"),
    ],
)
def test_replies_without_numbers_are_refused(server: Server, reply: object, said: str) -> None:
    server.reply = lambda body: reply
    with pytest.raises(ConfigError, match=said):
        EndpointJudge(server.url, "small", endpoint=QUICK).log_probabilities(["a"], YES_NO)


@pytest.mark.parametrize("score", [0.5, float("nan"), "no"])
def test_a_chat_reply_with_impossible_numbers_is_refused(server: Server, score: object) -> None:
    top = [{"token": "yes", "logprob": score}]
    content = {"logprobs": {"content": [{"top_logprobs": top}]}}
    server.reply = lambda body: json.dumps({"choices": [content]}).encode()
    with pytest.raises(ConfigError, match="gives no log-probabilities"):
        EndpointJudge(server.url, "small", "chat", endpoint=QUICK).log_probabilities(["a"], YES_NO)


def test_documents_go_nowhere_else(
    judge: LocalJudge, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither to a machine that nobody named, nor after a redirect, nor through a proxy."""
    with pytest.raises(ConfigError, match=r"judge: example\.com is not this machine"):
        EndpointJudge("http://example.com/v1", "small")
    assert EndpointJudge("http://example.com/v1", "small", hosts=("example.com",))
    for wrong in ("file:///etc/passwd", "localhost:8000", "http://", "http://[::1"):
        with pytest.raises(ConfigError, match="is no address"):
            EndpointJudge(wrong, "small")
    with served(judge) as elsewhere:
        server.redirect = f"{elsewhere.url}/completions"
        with pytest.raises(ConfigError, match=r"refuses the request \(307"):
            EndpointJudge(server.url, "small", endpoint=QUICK).log_probabilities(["a"], YES_NO)
        server.redirect = ""
        monkeypatch.setenv("http_proxy", elsewhere.url)
        EndpointJudge(server.url, "small", endpoint=QUICK).log_probabilities(["a"], YES_NO)
        assert not elsewhere.asked


def test_hostile_text_passes_as_text(judge: LocalJudge, server: Server) -> None:
    asked = ['"}]} \x00 </script>\n<|endoftext|>' + QUESTION, "\ud83d\ude00".encode("utf-16", "surrogatepass")
             .decode("utf-16") + QUESTION]  # fmt: skip
    remote = EndpointJudge(server.url, "small", endpoint=QUICK)
    found = remote.log_probabilities(asked, YES_NO)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, judge.log_probabilities(asked, YES_NO), atol=1e-3)


def test_ask_llm_by_an_endpoint_values_good_documents_and_asks_once(
    judge: LocalJudge, server: Server, tmp_path: Path
) -> None:
    tokenizer = train_tokenizer(["some text to learn from"] * 8, 270, tmp_path / "t")
    asked, good = texts(20, 5)
    pool = DocumentTable.of_texts(asked, tokenizer)
    remote = EndpointJudge(server.url, "small", endpoint=QUICK)
    substrates = Substrates(judge=remote, kept=KeptRows(tmp_path / "kept"))
    values = AskLLM(question=QUESTION).value(pool, pool, substrates, seed=0)
    assert values[np.array(good)].min() > values[~np.array(good)].max()
    requests = len(server.asked)
    again = AskLLM(question=QUESTION).value(pool, pool, substrates, seed=0)
    assert values.tobytes() == again.tobytes() and len(server.asked) == requests
