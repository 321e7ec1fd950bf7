"""Producer: makes observations of one kind.

A producer knows the key under which the store keeps what a request measured, and makes what is missing.
``Runner.observe`` asks the store, writes down what is made, and returns the rows: the same for all kinds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from cuvee.evaluation.scores import Scores
from cuvee.execution.interface import Executor
from cuvee.progress import Progress
from cuvee.runs.run import Run

RequestT = TypeVar("RequestT", contravariant=True)


@dataclass(frozen=True)
class Spent:
    """Work time that was spent on a run: of cores, or of GPUs where the study computes there."""

    key: str
    stage: str
    seconds: float


@dataclass(frozen=True, eq=False)
class Results:
    """Runs that were made together. They are written down in one transaction, before others are made."""

    runs: tuple[Run, ...]
    spent: Spent | None = None
    """None where the time is not measured."""


class Producer(Protocol[RequestT]):
    """A way to make observations: immutable, made for one plan.

    Inherit from it: what most producers have in common is here.
    """

    @property
    def failures(self) -> bool:
        """A failure is a row without values and is not tried again; else it is raised."""
        return False

    def key(self, request: RequestT) -> str:
        """Under which the store keeps it: a hash of all that determines what is measured."""
        ...

    def kept(self, request: RequestT) -> bool:
        """Whatever is read again of it, beside its row in the store, is there."""
        return True

    def make(
        self, missing: Sequence[RequestT], asked: Sequence[RequestT], executor: Executor, progress: Progress
    ) -> Iterator[Results]:
        """Make what is missing.

        Args:
            missing: at least one request; each once.
            asked: all requests, for what the stage says of itself.
            executor: where jobs run.
            progress: listens to the stage and its work.
        """
        ...

    def scores(self, requests: Sequence[RequestT], executor: Executor) -> Scores | None:
        """Losses of documents [R, D] that are quicker computed than kept; None: the store keeps them."""
        return None
