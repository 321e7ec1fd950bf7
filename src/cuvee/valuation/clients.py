"""Judges: a model folder that runs here, or an endpoint on a machine that the user names.

Both are asked in plain text, without a chat template unless the endpoint has one of its own. Prompts put the
document first and the question last, so that a prompt which is too long loses the beginning of the document.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import torch
from torch import Tensor

from cuvee.errors import ConfigError
from cuvee.hashing import digest
from cuvee.models.checkpoint import content_hash
from cuvee.models.hugging_face import check_finite, open_model, read_flat
from cuvee.models.interface import CausalModel
from cuvee.sources.tokenizer import Tokenizer, load_tokenizer
from cuvee.types import FloatArray
from cuvee.valuation.endpoint import Endpoint, Kind, echoed, most_probable, written

BATCH_TOKENS = 8192
"""Tokens that a local model reads at once: chosen by hand, so that the scores of a vocabulary of 50,000 take
some 2 GB at most."""
ENDPOINT_BATCH = 16
"""Prompts of one request: chosen by hand; a server puts them into one batch, and a lost one costs little."""
TOP = 20
"""Most probable tokens that an endpoint is asked for: the most that the protocol allows."""
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, eq=False)
class LocalJudge:
    """A language model of a folder, with the folder's tokenizer."""

    model: CausalModel = field(repr=False)
    flat: Tensor = field(repr=False)
    """Parameters, float32 [N]."""
    tokenizer: Tokenizer
    key: str
    """Hash of the model, its parameters and its tokenizer."""

    @classmethod
    def open(cls, folder: Path) -> "LocalJudge":
        """Any causal model as transformers saves it, or a checkpoint of a study.

        Raises:
            CheckpointError: it is no model, or damaged.
            MissingSource: the folder has no tokenizer.
            ConfigError: its tokenizer has tokens that the model does not know.
        """
        model, tokenizer = open_model(folder), load_tokenizer(folder)
        if tokenizer.vocabulary_size > model.vocabulary_size:
            raise ConfigError(
                f"{folder}: its tokenizer has {tokenizer.vocabulary_size:,} tokens, its model knows "
                f"{model.vocabulary_size:,}; take a folder in which both belong together"
            )
        flat = read_flat(folder, model)
        check_finite(folder, flat)
        key = digest(["local judge", 1, model.model_hash, content_hash(flat), tokenizer.hash])
        return cls(model, flat, tokenizer, key)

    def log_probabilities(self, prompts: Sequence[str], answers: Sequence[str]) -> FloatArray:
        """See ``LanguageJudge.log_probabilities``; sums over the answer's tokens.

        One forward pass a prompt where every answer is one token, else one for each answer.

        Raises:
            ConfigError: no answer, an empty one, or one longer than the context.
        """
        wanted = self.tokenizer.encode_batch(answers)
        if not wanted or not all(wanted):
            raise ConfigError("judge: every answer needs a text")
        if max(map(len, wanted)) > self.model.context_length:
            raise ConfigError(f"judge: an answer is longer than the {self.model.context_length} tokens read")
        asked = [[self.tokenizer.end_of_text, *one] for one in self.tokenizer.encode_batch(prompts)]
        if max(map(len, wanted)) == 1:
            return self._single(asked, [one[0] for one in wanted])
        columns = [self._sums(asked, one) for one in wanted]
        return np.stack(columns, axis=1) if prompts else np.zeros((0, len(answers)))

    def complete(self, prompt: str, tokens: int) -> str:
        """See ``LanguageJudge.complete``; one forward pass a token."""
        read = [self.tokenizer.end_of_text, *self.tokenizer.encode_batch([prompt])[0]]
        found: list[int] = []
        for _ in range(tokens):
            sequence = torch.tensor([(read + found)[-self.model.context_length :]])
            last = torch.tensor([sequence.shape[1] - 1])
            with torch.no_grad():
                scores = self.model.next_log_probs(self.flat, sequence, last)
            best = int(scores[0, : self.tokenizer.vocabulary_size].argmax())
            if best == self.tokenizer.end_of_text:
                break
            found.append(best)
        return self.tokenizer.decode(found)

    def _single(self, asked: list[list[int]], answers: list[int]) -> FloatArray:
        found = np.empty((len(asked), len(answers)))
        cut = [one[-self.model.context_length :] for one in asked]
        for rows, inputs, lengths in self._batches(cut):
            with torch.no_grad():
                scores = self.model.next_log_probs(self.flat, inputs, lengths - 1)
            found[rows] = scores[:, answers].double().cpu().numpy()
        return found

    def _sums(self, asked: list[list[int]], answer: list[int]) -> FloatArray:
        found = np.empty(len(asked))
        whole = [(one + answer)[-self.model.context_length - 1 :] for one in asked]
        for rows, inputs, lengths in self._batches(whole):
            with torch.no_grad():
                scores = self.model.token_log_probs(self.flat, inputs[:, :-1], inputs[:, 1:]).double().cpu()
            place = torch.arange(scores.shape[1])[None, :]
            last = (lengths - 1)[:, None]
            counted = (place < last) & (place >= last - len(answer))
            found[rows] = (scores * counted).sum(dim=1).numpy()
        return found

    def _batches(self, sequences: list[list[int]]) -> "list[tuple[list[int], Tensor, Tensor]]":
        """Rows of like length together, padded behind; what follows changes nothing before it."""
        order = sorted(range(len(sequences)), key=lambda row: (-len(sequences[row]), row))
        batches: list[tuple[list[int], Tensor, Tensor]] = []
        while order:
            longest = len(sequences[order[0]])
            rows, order = (
                order[: max(1, BATCH_TOKENS // longest)],
                order[max(1, BATCH_TOKENS // longest) :],
            )
            padded = np.full((len(rows), longest), self.tokenizer.end_of_text, dtype=np.int64)
            for place, row in enumerate(rows):
                padded[place, : len(sequences[row])] = sequences[row]
            lengths = torch.tensor([len(sequences[row]) for row in rows])
            batches.append((rows, torch.from_numpy(padded), lengths))
        return batches


@dataclass(frozen=True)
class EndpointJudge:
    """An OpenAI-compatible server on this machine, or on one that the user names.

    ``completions`` echoes a prompt with its answer and gives the log-probability of every token: any answer.
    ``chat`` gives the most probable first tokens: an answer that is none of them is NaN.
    The key names the server and the model by name: whether another model answers under it cannot be seen.

    Raises:
        ConfigError: the address is none, or of a machine that nobody named.
    """

    url: str
    """Up to the version, ``http://localhost:8000/v1``."""
    model: str
    """As the server calls it."""
    kind: Kind = "completions"
    hosts: tuple[str, ...] = ()
    """Other machines that may read the documents."""
    endpoint: Endpoint = field(default_factory=Endpoint)
    """How requests are sent, and how often again."""

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            host = parts.hostname or ""
        except ValueError as error:
            raise ConfigError(f"judge: {self.url!r} is no address ({error})") from error
        if parts.scheme not in ("http", "https") or not host:
            raise ConfigError(f"judge: {self.url!r} is no address; write http://localhost:8000/v1")
        if host not in (*THIS_MACHINE, *self.hosts):
            raise ConfigError(
                f"judge: {host} is not this machine, and documents would be sent to it; if it may "
                "read them, name it from Python: EndpointJudge(..., hosts=...)"
            )
        if self.kind not in ("completions", "chat"):
            raise ConfigError(f"judge: kind must be completions or chat, not {self.kind!r}")

    @property
    def key(self) -> str:
        """Hash of the server's address, the model's name and the kind of request."""
        return digest(["endpoint judge", 1, self.url, self.model, self.kind])

    def log_probabilities(self, prompts: Sequence[str], answers: Sequence[str]) -> FloatArray:
        """See ``LanguageJudge.log_probabilities``.

        Raises:
            NotAtHand: the server cannot be reached.
            ConfigError: it gives no log-probabilities.
        """
        if not answers or not all(answers):
            raise ConfigError("judge: every answer needs a text")
        asked = self._chat if self.kind == "chat" else self._echoed
        rows = [asked(prompts[first : first + ENDPOINT_BATCH], answers)
                for first in range(0, len(prompts), ENDPOINT_BATCH)]  # fmt: skip
        return np.concatenate(rows) if rows else np.zeros((0, len(answers)))

    def complete(self, prompt: str, tokens: int) -> str:
        """See ``LanguageJudge.complete``."""
        settings = {"model": self.model, "max_tokens": tokens, "temperature": 0}
        if self.kind == "chat":
            body = {**settings, "messages": [{"role": "user", "content": prompt}]}
            return written(self.endpoint.ask(f"{self._base}/chat/completions", body), self.url)
        return written(
            self.endpoint.ask(f"{self._base}/completions", {**settings, "prompt": prompt}), self.url
        )

    @property
    def _base(self) -> str:
        return self.url.rstrip("/")

    def _echoed(self, prompts: Sequence[str], answers: Sequence[str]) -> FloatArray:
        asked = [(prompt, answer) for prompt in prompts for answer in answers]
        body = {
            "model": self.model, "prompt": ["".join(pair) for pair in asked], "echo": True, "logprobs": 1,
            "max_tokens": 1, "temperature": 0,
        }  # fmt: skip
        reply = self.endpoint.ask(f"{self._base}/completions", body)
        return np.array(echoed(reply, asked, self.url)).reshape(len(prompts), len(answers))

    def _chat(self, prompts: Sequence[str], answers: Sequence[str]) -> FloatArray:
        found = np.full((len(prompts), len(answers)), np.nan)
        for row, prompt in enumerate(prompts):
            body = {
                "model": self.model, "messages": [{"role": "user", "content": prompt}], "max_tokens": 1,
                "temperature": 0, "logprobs": True, "top_logprobs": TOP,
            }  # fmt: skip
            top = most_probable(self.endpoint.ask(f"{self._base}/chat/completions", body), self.url)
            # A chat template ends in a new line or a mark, after which no space stands.
            found[row] = [top.get(answer.strip(), np.nan) for answer in answers]
        return found
