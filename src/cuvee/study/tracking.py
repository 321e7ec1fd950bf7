"""A study followed by trackers: curves of its trainings, its stages, and what it concludes.

All of it is read from what the study keeps anyway, in the process that holds it: the log of a training that
is done, and the facts of its last saved state while it is under way. Trainings know nothing of trackers, so
no key and no byte depends on them.
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from cuvee.decisions.concluded import Concluded
from cuvee.decisions.document import JsonDocument
from cuvee.progress import Progress
from cuvee.quantities import of_unit
from cuvee.runs.metric_names import NATS
from cuvee.runs.run import Run
from cuvee.sources.interleave import Interleave
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.plan.agenda import saved_facts
from cuvee.study.plan.planned import Planned
from cuvee.tracking.interface import Tracker
from cuvee.tracking.trackers import Trackers
from cuvee.training.run import LOG
from cuvee.types import Json

LOOK_EVERY_SECONDS = 20.0
"""As often as trainings are saved."""
MOST_POINTS = 500
"""Of one curve; longer ones are thinned evenly."""
STUDY = "study"
"""The run that the study itself is."""


@dataclass(eq=False)
class Tracking:
    """What trackers are shown of a study; with none of them, nothing is read."""

    folder: StudyFolder
    trackers: Trackers
    look_every: float = LOOK_EVERY_SECONDS
    _expected: dict[str, Planned] = field(default_factory=dict)
    """Trainings by their key."""
    _written: dict[str, int] = field(default_factory=dict)
    """Training -> steps that were shown."""
    _stages: int = 0
    _looked_at: float = field(default_factory=time.monotonic)

    def expect(self, requests: Iterable[object]) -> None:
        """What is asked of the study next."""
        self._expected |= {one.run.key: one for one in requests if isinstance(one, Planned)}

    def look(self) -> None:
        """Show how far trainings under way are, if that was long ago."""
        now = time.monotonic()
        if not self.trackers.any or now - self._looked_at < self.look_every:
            return
        self._looked_at = now
        for planned in self._expected.values():
            if not planned.run.done:
                self._show(planned)

    def made(self, runs: Iterable[Run]) -> None:
        """Show trainings that were measured, at their end or on their way."""
        measured: dict[str, dict[int, Mapping[str, float]]] = defaultdict(dict)
        for run in runs:
            key = run.details.get("run", "")
            if planned := self._expected.get(key):
                step = (run.tokens or 0) // planned.run.recipe.batch_tokens
                measured[key][step] = {name: x for name, x in run.metrics.items() if name.startswith(NATS)}
        for key, by_step in measured.items():
            self._show(self._expected[key], by_step)

    def stage(self, title: str, total: float, unit: str) -> None:
        """A stage of the study begins."""
        self._stages += 1
        self._say(f"stage {self._stages}", f"{title}: {total:,.0f} {of_unit(total, unit)}")

    def concluded(self, decision: JsonDocument) -> None:
        """Show what the study concluded."""
        if not isinstance(decision, Concluded):
            return
        lines = (f"{decision.verdict.title}. {decision.verdict.why}", *decision.headline)
        self._say(f"decision of cuvee {decision.by}", "\n\n".join(lines))
        shares = {f"share/{one.source}": one.share for one in decision.mixture}
        self.trackers.each(lambda tracker: tracker.numbers(STUDY, 0, shares))

    def _say(self, title: str, text: str) -> None:
        self.trackers.each(lambda tracker: tracker.words(STUDY, title, text))

    def _show(self, planned: Planned, measured: Mapping[int, Mapping[str, float]] | None = None) -> None:
        key, name, measured = planned.run.key, run_name(planned), measured or {}
        after = self._written.get(key, 0)

        def write(tracker: Tracker) -> None:
            rows = dict(curve_rows(planned, log_of(self.folder, planned), after))
            for step in sorted(rows.keys() | measured.keys()):
                tracker.numbers(name, step, {**rows.get(step, {}), **measured.get(step, {})})
            self._written[key] = max(rows, default=after)
            if measured and planned.run.done:
                tracker.end(name)

        self.trackers.each(write)


@dataclass(frozen=True)
class Tracked:
    """A progress that trackers see, too."""

    inner: Progress
    tracking: Tracking

    def stage(self, title: str, total: float, unit: str) -> None:
        self.tracking.stage(title, total, unit)
        self.inner.stage(title, total, unit)

    def done_before(self, amount: float) -> None:
        self.inner.done_before(amount)

    def advance(self, amount: float, note: str = "") -> None:
        self.tracking.look()
        self.inner.advance(amount, note)

    def message(self, text: str) -> None:
        self.inner.message(text)


@contextmanager
def tracked(config: StudyConfig, folder: StudyFolder, progress: Progress) -> Iterator[Tracking]:
    """The trackers that a study file names, until the end of the command."""
    trackers = Trackers.opened(config.tracking, config.name, folder.tracking, progress.message)
    try:
        yield Tracking(folder, trackers)
    finally:
        trackers.close()


def run_name(planned: Planned) -> str:
    """What a training is called: what it is for, what it reads, and enough of its key to be no other."""
    return f"{planned.role} {planned.sources} {planned.run.key[:8]}"


def log_of(folder: StudyFolder, planned: Planned) -> Json:
    """Losses and gradient norms of a training by step: of all of it, or up to where it was last saved."""
    if not planned.run.done:
        return saved_facts(folder, planned.run.key)
    found: Json = json.loads((planned.run.folder / LOG).read_text(encoding="utf-8"))
    return found


def curve_rows(planned: Planned, log: Json, after: int = 0) -> Iterator[tuple[int, Mapping[str, float]]]:
    """Loss, gradient norm, learning rate and tokens of each source so far, after steps beyond one.

    Args:
        planned: the training.
        log: its ``losses`` and ``gradient_norms`` by step, as far as they go.
        after: the last step that is known.
    """
    losses, norms = log.get("losses", ()), log.get("gradient_norms", ())
    recipe = planned.run.recipe
    every = -(-recipe.steps // MOST_POINTS)
    for step in range(after + 1, min(len(losses), len(norms)) + 1):
        if step % every and step != recipe.steps:
            continue
        yield (
            step,
            {
                "loss": losses[step - 1],
                "gradient_norm": norms[step - 1],
                "learning_rate": recipe.learning_rate_at(step - 1),
                **{f"tokens/{name}": count for name, count in tokens_after(planned, step).items()},
            },
        )


def tokens_after(planned: Planned, steps: int) -> dict[str, int]:
    """Tokens drawn from each source by the first steps, as ``MixedStream.realised``, without its shards."""
    recipe, mixture = planned.run.recipe, planned.run.mixture
    names = sorted(mixture.support)
    turns = Interleave(np.array([mixture.share(name) for name in names])).counts(
        steps * recipe.batch_sequences
    )
    return {name: int(n) * recipe.context_length for name, n in zip(names, turns, strict=True)}
