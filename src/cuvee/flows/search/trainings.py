"""What makes the trainings of a search. Whoever it is, a search sees fidelities, and runs of the store."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from cuvee.execution.tariff import Tariff
from cuvee.mixture.mixture import Mixture
from cuvee.runs.metric_names import NATS
from cuvee.runs.run import Run
from cuvee.search.space import Fidelity
from cuvee.study.outlook import Stopwatch
from cuvee.study.producers.producer import Producer
from cuvee.study.runner import Runner
from cuvee.types import FloatArray


class SearchTrainings(Protocol):
    """Trainings of a study that may be asked for."""

    @property
    def fidelities(self) -> tuple[Fidelity, ...]:
        """From the shortest; the target fidelity last."""
        ...

    @property
    def producer(self) -> Producer[Any]:
        """Makes what is asked for by ``request``."""
        ...

    @property
    def stage(self) -> str:
        """Under which the store keeps the time of its runs."""
        ...

    @property
    def recipe(self) -> str:
        """Digest of what all its runs have in common."""
        ...

    @property
    def target_key(self) -> str:
        """Of the run of equal shares at the target fidelity."""
        ...

    @property
    def metrics(self) -> tuple[str, ...]:
        """Evaluations that experiments are measured on [E], all that count among them."""
        ...

    def lacks(self, run: Run) -> str:
        """Why a run that ended well is a failed experiment all the same; empty where it is none."""
        ...

    @property
    def again(self) -> str:
        """How trainings that failed are tried again, as a sentence without its end; empty: they are not."""
        ...

    def check_failures(self, failed: Sequence[Any], error: str) -> None:
        """Whether a search may go on.

        Args:
            failed: the last trainings of the search, as many as failed in a row.
            error: of the last.

        Raises:
            TrainingError: they are so many that something is broken.
        """
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know of its runs."""
        ...

    @property
    def lanes(self) -> int:
        """Trainings side by side."""
        ...

    def request(self, mixture: Mixture, place: int, replica: int = 0) -> Any:
        """The run of a mixture at one of ``fidelities``; replicas have other seeds."""
        ...

    def made(self, runner: Runner, requests: Sequence[Any]) -> list[Run]:
        """The runs that were asked for, in their order; a runner makes what is missing.

        Raises:
            RunsAwaited: something else makes them, and has not yet.
            CuveeError: something that is missing cannot be made.
        """
        ...

    def place_of(self, run: Run) -> int | None:
        """At which of them a run of the store stands, if at any."""
        ...

    def prepare(self) -> None:
        """Make what its runs need."""
        ...

    def seconds(self, place: int, watch: Stopwatch) -> float:
        """Of one training on one worker; NaN where nobody knows."""
        ...

    def tariff(self, watch: Stopwatch) -> tuple[Tariff, float]:
        """What computes, and how many of them a training takes; NaN where that is not known."""
        ...


def losses_of(runs: Sequence[Run], evaluations: Sequence[str]) -> FloatArray:
    """Nats per token [n, E], NaN where a run gave none. A trainer of the user's calls them by the
    evaluation alone."""
    rows = [
        [run.metrics.get(NATS + name, run.metrics.get(name, np.nan)) for name in evaluations] for run in runs
    ]
    return np.array(rows, dtype=np.float64).reshape(len(runs), len(evaluations))
