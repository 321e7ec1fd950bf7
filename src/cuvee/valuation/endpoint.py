"""Requests to an OpenAI-compatible server, and what its replies say. Asked by ``EndpointJudge`` alone.

A request goes to the address that was given and nowhere else: neither through a proxy of the environment nor
after a redirect, as the documents that it carries may be private.
"""

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Literal

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import Json
from cuvee.valuation.substrates import NotAtHand

Kind = Literal["completions", "chat"]

_BUSY = (408, 425, 429, 500, 502, 503, 504)
"""Answers of a server that may be another a moment later."""
_TAIL = 20
"""Characters of a prompt by whose end an echo is recognised."""
_PLAIN_END = re.compile(r"[ -~]*$")
"""Of it, what is one byte a character: a token may hold a part of any other."""
_MOST_REPLY = 1 << 26
"""Bytes of a reply that are read."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an error."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass(frozen=True)
class Endpoint:
    """How requests are sent."""

    timeout: float = 120.0
    """Seconds without a byte: a batch of long prompts on a processor takes a minute."""
    attempts: int = 5
    pause: float = 0.5
    """Seconds before the second attempt, twice as long before each further one: eight seconds in all."""

    def ask(self, url: str, body: Json) -> Json:
        """The reply to a request; one that fails for the moment is sent again.

        Raises:
            NotAtHand: the server cannot be reached, or goes on failing.
            ConfigError: it refuses the request, or its reply is no JSON object.
        """
        for attempt in range(self.attempts):
            try:
                return _parsed(self._sent(url, body), url)
            except urllib.error.HTTPError as error:
                reason = f"{error.code} {error.reason}: {_said(error)}"
                if error.code not in _BUSY:
                    raise ConfigError(f"judge: {url} refuses the request ({reason})") from error
            except (OSError, HTTPException) as error:
                reason = str(getattr(error, "reason", error)) or type(error).__name__
            if attempt + 1 < self.attempts:
                time.sleep(self.pause * 2.0**attempt)
        raise NotAtHand(
            f"judge: {url} gives no answer after {self.attempts} attempts ({reason}); start the server, or "
            "take a model folder as the judge"
        )

    def _sent(self, url: str, body: Json) -> bytes:
        request = urllib.request.Request(
            url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
        with opener.open(request, timeout=self.timeout) as reply:
            content: bytes = reply.read(_MOST_REPLY)
        return content


def echoed(reply: Json, asked: Sequence[tuple[str, str]], url: str) -> list[float]:
    """Log-probability of each answer, from prompts that a server echoed with the answers behind them.

    NaN where the answer begins inside a token: it has no probability of its own then.

    Args:
        reply: of ``/completions`` with ``echo`` and ``logprobs``.
        asked: prompt and answer, in the order in which they were sent.
        url: for messages.

    Raises:
        ConfigError: the reply has no log-probabilities of the prompts.
    """
    choices = reply.get("choices")
    if not isinstance(choices, list) or len(choices) != len(asked):
        raise ConfigError(f"judge: {url} gives no completion for each of {len(asked)} prompts")
    try:
        ordered = sorted(choices, key=lambda one: int(one.get("index", 0)))
        return [_of_answer(one["logprobs"], *pair) for one, pair in zip(ordered, asked, strict=True)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"judge: {url} gives no log-probabilities of the prompt (echo with logprobs); ask it by 'chat'"
        ) from error


def most_probable(reply: Json, url: str) -> dict[str, float]:
    """Log-probabilities of the first tokens of an answer, without the spaces around them, added up.

    Raises:
        ConfigError: the reply has none.
    """
    try:
        rows = reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        return _added_up([(str(one["token"]).strip(), float(one["logprob"])) for one in rows])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ConfigError(
            f"judge: {url} gives no log-probabilities (top_logprobs); take a server that does, or a folder"
        ) from error


def written(reply: Json, url: str) -> str:
    """The text that a server wrote.

    Raises:
        ConfigError: there is none.
    """
    try:
        choice = reply["choices"][0]
        text = choice["message"]["content"] if "message" in choice else choice["text"]
    except (KeyError, TypeError, IndexError) as error:
        raise ConfigError(f"judge: {url} gives no text") from error
    return str(text or "")


def _of_answer(scores: Mapping[str, Any], prompt: str, answer: str) -> float:
    tokens, log_probs = [str(one) for one in scores["tokens"]], list(scores["token_logprobs"])
    whole = "".join(tokens)
    # A token is written behind the echo where a server must write one.
    wanted = "".join(_PLAIN_END.findall(prompt[-_TAIL:])) + answer
    ends = [end for end in (len(tokens), len(tokens) - 1) if "".join(tokens[:end]).endswith(wanted)]
    if not whole or not ends or len(log_probs) != len(tokens):
        raise ValueError("no echo")
    first, left = ends[0], len(answer)
    while left > 0:
        first -= 1
        left -= len(tokens[first])
    if left < 0:
        return float("nan")
    return sum(_log_probability(one) for one in log_probs[first : ends[0]])


def _added_up(rows: Sequence[tuple[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for token, one in rows:
        found[token] = float(np.logaddexp(found.get(token, -np.inf), _log_probability(one)))
    return found


def _log_probability(given: Any) -> float:
    if not (one := float(given)) <= 1e-6:  # a server that rounds may say a little more than nothing
        raise ValueError(f"{one} is no log-probability")
    return one


def _parsed(content: bytes, url: str) -> Json:
    try:
        reply = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"judge: the reply of {url} is no JSON") from error
    if not isinstance(reply, dict):
        raise ConfigError(f"judge: the reply of {url} is no JSON object")
    return reply


def _said(error: urllib.error.HTTPError) -> str:
    """The first words of an error's page."""
    try:
        return " ".join(error.read(400).decode("utf-8", "replace").split())[:200]
    except (OSError, HTTPException):
        return ""
