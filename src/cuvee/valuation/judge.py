"""Judge: a language model that says how probable an answer is. Ask-LLM, MEDU and FASTTRACK ask it.

``clients.py`` has two: a model folder that runs here, and an endpoint.
"""

from collections.abc import Sequence
from typing import Protocol

from cuvee.types import FloatArray


class LanguageJudge(Protocol):
    """A client of a language model; the same prompt gives the same number."""

    @property
    def key(self) -> str:
        """Hash of the model and of all settings that decide its numbers."""
        ...

    def log_probabilities(self, prompts: Sequence[str], answers: Sequence[str]) -> FloatArray:
        """Natural log-probability of each answer right after each prompt [prompts, answers].

        NaN where the model says nothing of an answer: it is none of the most probable that it reports.

        Raises:
            CuveeError: the model cannot be reached, or gives no log-probabilities.
        """
        ...

    def complete(self, prompt: str, tokens: int) -> str:
        """The most probable text after a prompt, so many tokens at most.

        Raises:
            CuveeError: the model cannot be reached.
        """
        ...
