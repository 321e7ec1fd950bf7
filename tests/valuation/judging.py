"""A small model that learnt to answer, an endpoint that serves it, and a judge that reads by rules."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cuvee.models.checkpoint import save_checkpoint
from cuvee.models.config import ModelConfig
from cuvee.models.llama import Llama
from cuvee.sources.tokenizer import Tokenizer, train_tokenizer
from cuvee.training.loop import train
from cuvee.training.recipe import Recipe
from cuvee.training.state import TrainingState
from cuvee.types import FloatArray, IntArray
from cuvee.valuation.clients import LocalJudge

GOOD = ("the heart pumps blood", "iron rusts in wet air", "light bends in glass")
BAD = ("buy now cheap cheap", "click here click here", "lol lol lol lol")
QUESTION = " good? Answer:"
CONTEXT = 48


def texts(count: int, seed: int) -> tuple[list[str], list[bool]]:
    """Documents, and which of them are good."""
    rng = np.random.default_rng(seed)
    good = rng.random(count) < 0.5
    return [str(rng.choice(GOOD if one else BAD)) for one in good], [bool(one) for one in good]


@dataclass(frozen=True)
class Lessons:
    """Batches of documents with the question and the right answer."""

    tokenizer: Tokenizer
    rows: int = 16

    def batch(self, step: int) -> tuple[IntArray, IntArray]:
        """See ``Batches.batch``."""
        asked, good = texts(self.rows, step)
        said = [one + QUESTION + (" yes" if yes else " no") for one, yes in zip(asked, good, strict=True)]
        end = self.tokenizer.end_of_text
        filled = np.full((self.rows, CONTEXT + 1), end, dtype=np.int64)
        for row, tokens in enumerate(self.tokenizer.encode_batch(said)):
            filled[row, 1 : 1 + len(tokens)] = tokens[:CONTEXT]
        return filled[:, :-1], filled[:, 1:]


def trained_judge(folder: Path) -> Path:
    """A model folder with its tokenizer: a Llama that learnt whether documents are good."""
    spoken = [f"{one}{QUESTION} {answer}" for one in (*GOOD, *BAD) for answer in ("yes", "no")]
    tokenizer = train_tokenizer(spoken * 4, 320, folder / "tokenizer")
    config = ModelConfig(320, CONTEXT, width=32, layers=1, heads=2, hidden=64)
    model = Llama(config)
    recipe = Recipe(steps=150, batch_sequences=16, context_length=CONTEXT, learning_rate=1e-2)
    state = train(model, TrainingState.fresh(model.initial(0)), Lessons(tokenizer), recipe, key="judge")
    save_checkpoint(folder / "judge", model, state.result, tokenizer_folder=tokenizer.folder)
    return folder / "judge"


@dataclass
class Server:
    """What a served endpoint did, and how it shall misbehave."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    failures: int = 0
    """Requests still to be answered with 503."""
    reply: Callable[[dict[str, Any]], Any] | None = None
    """Instead of the model's answer."""
    redirect: str = ""


@contextmanager
def served(judge: LocalJudge) -> Iterator[Server]:
    """An OpenAI-compatible endpoint on this machine whose numbers are computed by a model."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.asked.append(body)
            if server.redirect:
                self._send(307, b"", {"Location": server.redirect})
            elif server.failures:
                server.failures -= 1
                self._send(503, b"busy")
            elif body["model"] != "small":
                self._send(404, b'{"error": "no such model"}')
            else:
                answer = server.reply or (chat if self.path.endswith("/chat/completions") else completion)
                found = answer(body)
                self._send(200, found if isinstance(found, bytes) else json.dumps(found).encode())

        def _send(self, code: int, content: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(code)
            for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    def completion(body: dict[str, Any]) -> dict[str, Any]:
        if not body.get("echo"):
            return {"choices": [{"text": judge.complete(body["prompt"], body["max_tokens"])}]}
        choices = [{"index": place, **_echo(judge, one)} for place, one in enumerate(body["prompt"])]
        return {"choices": choices[::-1]}  # in any order: they have an index

    def chat(body: dict[str, Any]) -> dict[str, Any]:
        prompt = body["messages"][0]["content"]
        message = {"message": {"content": judge.complete(prompt, body["max_tokens"])}}
        if not body.get("logprobs"):
            return {"choices": [message]}
        best = _scores(judge, prompt).topk(body["top_logprobs"])
        top = [
            {"token": judge.tokenizer.decode([int(token)]), "logprob": float(score)}
            for token, score in zip(best.indices, best.values, strict=True)
        ]
        return {"choices": [{**message, "logprobs": {"content": [{"top_logprobs": top}]}}]}

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.url = f"http://127.0.0.1:{httpd.server_port}/v1"
    try:
        yield server
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def _scores(judge: LocalJudge, prompt: str) -> torch.Tensor:
    tokens = [judge.tokenizer.end_of_text, *judge.tokenizer.encode_batch([prompt])[0]]
    with torch.no_grad():
        last = torch.tensor([len(tokens) - 1])
        return judge.model.next_log_probs(judge.flat, torch.tensor([tokens]), last)[0]


def _echo(judge: LocalJudge, text: str) -> dict[str, Any]:
    """The whole text scored token by token, and one token more, as servers write one."""
    tokens = judge.tokenizer.encode_batch([text])[0]
    row = torch.tensor([[judge.tokenizer.end_of_text, *tokens]])
    with torch.no_grad():
        scores = judge.model.token_log_probs(judge.flat, row[:, :-1], row[:, 1:])[0].tolist()
    names = [judge.tokenizer.decode([one]) for one in tokens]
    return {"logprobs": {"tokens": [*names, " yes"], "token_logprobs": [*scores, -0.1]}}


@dataclass(frozen=True)
class ReadingJudge:
    """A judge by rules: a function from the prompt to how likely ``yes`` is, and one that writes."""

    yes: Callable[[str], float]
    write: Callable[[str], str] = lambda prompt: ""
    key: str = "rules"

    def log_probabilities(self, prompts: Sequence[str], answers: Sequence[str]) -> FloatArray:
        """``yes`` and ``no`` share all probability, over the spellings that are asked for."""
        rows = [self.yes(one) for one in prompts]
        spelt = [one.strip().lower() for one in answers]
        chance = np.array([[p if one == "yes" else 1 - p for one in spelt] for p in rows])
        counts = np.array([spelt.count(one) for one in spelt])
        found: FloatArray = np.log(chance / counts)
        return found

    def complete(self, prompt: str, tokens: int) -> str:
        """What the rule writes."""
        return self.write(prompt)
