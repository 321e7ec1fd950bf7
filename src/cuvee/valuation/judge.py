"""Judge: a language model that says how probable an answer is. What Ask-LLM, MEDU and FASTTRACK ask
(``clients.py``)."""

from collections.abc import Sequence
from typing import Protocol

from cuvee.types import FloatArray


class Judge(Protocol):
    """A client of a language model; the same prompt gives the same number."""

    @property
    def key(self) -> str:
        """Hash of the model and of all settings that decide its numbers."""
        ...

    def log_probabilities(self, prompts: Sequence[str], answers: Sequence[str]) -> FloatArray:
        """Natural log-probability of each answer right after each prompt [prompts, answers].

        Raises:
            CuveeError: the model cannot be reached, or gives no log-probabilities.
        """
        ...
