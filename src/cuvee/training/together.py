"""Training many runs of one shape at once: a queue of runs, K places, and the events of each run.

A run that ends frees its place for the next of the queue. A run that diverges fails alone. What a run gives
depends neither on its company nor on its place: the same bytes come out alone, among others, and after a
break.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Protocol

from torch import Tensor

from cuvee.errors import ConfigError, NonFiniteLoss
from cuvee.training.loop import SAVE_EVERY_SECONDS, diverged
from cuvee.training.recipe import Recipe
from cuvee.training.stack import BlockResults, Queued, Stack, idle, planned
from cuvee.training.state import TrainingState
from cuvee.types import IntArray


class Spans(Protocol):
    """Where training tokens come from: a pure function of the steps."""

    def spans(self, step: int, steps: int) -> IntArray:
        """Inputs and the last target of some steps, int64 [steps, B, T + 1]."""
        ...


@dataclass(frozen=True, eq=False)
class Together:
    """One run of a stack."""

    key: str
    begin: Callable[[], TrainingState]
    """Where it begins, if it was not saved on its way."""
    stream: Callable[[], Spans]
    recipe: Recipe
    state_file: Path | None = None
    """Where it is saved every 20 seconds; a usable state found there is resumed."""
    evaluate: Callable[[Tensor], dict[str, float]] | None = None
    """Called with the parameters every ``evaluate_every`` steps, and kept in the state."""
    evaluate_every: int = 0
    until: int | None = None
    """Go no further than this step."""

    @property
    def last(self) -> int:
        """The step after which it ends."""
        return self.recipe.steps if self.until is None else min(self.until, self.recipe.steps)

    def evaluated_at(self, step: int) -> bool:
        """Whether it is measured after this step."""
        return self.evaluate is not None and self.evaluate_every > 0 and step % self.evaluate_every == 0


@dataclass(frozen=True, eq=False)
class Ended:
    """A run that came to its end."""

    number: int
    """Among the runs that were asked for."""
    result: TrainingState | NonFiniteLoss
    tokens: int
    """That it was trained on here; fewer than its recipe says where it went on from a saved state."""


@dataclass(eq=False)
class _Place:
    """A place of the stack and the run that has it."""

    index: int
    run: Together
    state: TrainingState
    """As it was when results were last read."""
    stream: Spans
    first: int
    """Step at which it began here."""
    begun: int
    """Step to which the device was given work."""

    @property
    def trained(self) -> int:
        """Steps done here."""
        return self.state.step - self.first

    @property
    def left(self) -> int:
        """Steps from what was begun to the next thing that has to be done for this run."""
        run, begun = self.run, self.begun
        events = [step for step in (*run.recipe.snapshots, run.last) if step > begun]
        if run.evaluate is not None and run.evaluate_every:
            events.append((begun // run.evaluate_every + 1) * run.evaluate_every)
        return min(events) - begun

    @property
    def at_event(self) -> bool:
        """Whether something has to be done for it after what was begun."""
        run = self.run
        return self.begun in (*run.recipe.snapshots, run.last) or run.evaluated_at(self.begun)


@dataclass(frozen=True, eq=False)
class _Block:
    """Steps that the device was given."""

    steps: int
    places: tuple[tuple[int, _Place], ...]
    """With the numbers of their runs."""
    work: Queued


def train_together(
    stack: Stack,
    runs: Sequence[Together],
    *,
    report: Callable[[float, str], None] = lambda tokens, note: None,
    save_every: float = SAVE_EVERY_SECONDS,
) -> Iterator[Ended]:
    """Train all runs to their end, in whatever order they come to it.

    Cost: 3 x FLOPs of a forward pass a token, also for places that nobody has.

    Args:
        stack: with as many members as there are places; it can be used again when all have ended.
        runs: whose recipes differ from the stack's at most in length, rate, schedule, snapshots and seed.
        report: called with tokens done and a note.
        save_every: seconds between two saved states.

    Raises:
        ConfigError: recipes of different shapes.
    """
    if {shape_of(one) for one in (stack.recipe, *(run.recipe for run in runs))} != {shape_of(stack.recipe)}:
        raise ConfigError(
            "runs of one stack must have the same batches, optimizer, clipping, averaging and types"
        )
    work = _Work(stack, list(enumerate(runs)), report, save_every)
    while work.fill():
        yield from work.block()
    yield from work.ended


@dataclass(eq=False)
class _Work:
    stack: Stack
    waiting: list[tuple[int, Together]]
    report: Callable[[float, str], None]
    save_every: float
    places: dict[int, tuple[int, _Place]] = field(default_factory=dict)
    """Place -> number of the run, and the run at it."""
    ended: list[Ended] = field(default_factory=list)
    """Runs that had come to their end before."""
    under_way: list[_Block] = field(default_factory=list)
    """What the device is at, in its order: two blocks at most."""
    saved_at: float = field(default_factory=time.monotonic)

    def fill(self) -> bool:
        """Give free places to waiting runs; whether there is any work."""
        for index in range(self.stack.model.members):
            while index not in self.places and self.waiting:
                number, run = self.waiting.pop(0)
                saved = TrainingState.load(run.state_file, run.key) if run.state_file is not None else None
                state = saved or run.begin()
                if state.step >= run.last:
                    self.ended.append(Ended(number, state, 0))
                    continue
                self.stack.put(index, state)
                self.places[index] = number, _Place(index, run, state, run.stream(), state.step, state.step)
        return bool(self.places)

    def block(self) -> list[Ended]:
        """Go on towards the next event of any run; those that ended, with what came out.

        The device gets this block while it is at the one before. Only at an event everything is waited for.
        """
        self._begin(min(self.stack.block_steps, *(place.left for _, place in self.places.values())))
        saves = time.monotonic() - self.saved_at >= self.save_every
        everything = saves or any(place.at_event for _, place in self.places.values())
        ended: list[Ended] = []
        while len(self.under_way) > (0 if everything else 1):
            ended += self._settled(self.under_way.pop(0))
        for number, place in list(self.places.values()) if everything else ():
            if place.at_event and self._ended(place):
                ended.append(self._leaves(number, place, place.state))
        if saves:
            self._save()
        return ended

    def _begin(self, steps: int) -> None:
        """Give the device the next steps."""
        room = self.stack.room()
        tokens, plan = room.tokens.numpy(), room.plan.numpy()
        plan[:steps] = idle(steps)[:, None]
        for index, (_, place) in self.places.items():
            ahead = place.begun - place.state.step
            tokens[:steps, index] = place.stream.spans(place.begun, steps)
            plan[:steps, index] = planned(place.run.recipe, place.state, ahead, steps)
            place.begun += steps
        self.under_way.append(_Block(steps, tuple(self.places.values()), self.stack.begin(room, steps)))

    def _settled(self, block: _Block) -> list[Ended]:
        """Write down what a block found; the runs that it ended, as they diverged."""
        found = block.work.found()
        ended = []
        there = [(number, place) for number, place in block.places if self._has(place)]
        for number, place in there:
            if failure := _written_down(place, found, block.steps):
                ended.append(self._leaves(number, place, failure))
        tokens = block.steps * len(there) * self.stack.recipe.batch_tokens
        seen = found.losses[-1, [place.index for _, place in there]]
        self.report(float(tokens), f"loss {seen.mean():.3f}" if there else "")
        return ended

    def _has(self, place: _Place) -> bool:
        """Whether a run is still at its place."""
        return place.index in self.places and self.places[place.index][1] is place

    def _leaves(self, number: int, place: _Place, result: TrainingState | NonFiniteLoss) -> Ended:
        del self.places[place.index]
        return Ended(number, result, place.trained * self.stack.recipe.batch_tokens)

    def _ended(self, place: _Place) -> bool:
        state, run = place.state, place.run
        if state.step in run.recipe.snapshots:
            state.snapshots[state.step] = self.stack.flat[place.index].cpu().clone()
        if run.evaluate is not None and run.evaluated_at(state.step):
            state.evaluations.append((state.step, run.evaluate(self.stack.flat[place.index].clone())))
        if state.step < run.last:
            return False
        self.stack.take(place.index, state)
        if run.state_file is not None and state.step < run.recipe.steps:
            state.save(run.state_file, run.key)
        return True

    def _save(self) -> None:
        for _, place in self.places.values():
            if place.run.state_file is not None:
                self.stack.take(place.index, place.state)
                place.state.save(place.run.state_file, place.run.key)
        self.saved_at = time.monotonic()


def _written_down(place: _Place, found: BlockResults, steps: int) -> NonFiniteLoss | None:
    """Add a block of steps to a run's state; the first that is not finite ends the run."""
    state, recipe = place.state, place.run.recipe
    tail_begins = recipe.steps - round(recipe.tail_average * recipe.steps)
    for step in range(steps):
        loss, norm = float(found.losses[step, place.index]), float(found.norms[step, place.index])
        if not (isfinite(loss) and isfinite(norm)):
            return diverged(place.run.key, recipe, state.step, loss, norm)
        state.step += 1
        state.updates += 1
        state.losses.append(loss)
        state.gradient_norms.append(norm)
        state.tail_steps += recipe.tail_average > 0 and state.step > tail_begins
    return None


def shape_of(recipe: Recipe) -> Recipe:
    """What runs of one stack have in common: all but length, rates, snapshots and seed."""
    return replace(
        recipe, steps=1, learning_rate=1.0, schedule="constant", decay=1.0, warmup_steps=0,
        final_fraction=0.0, snapshots=(), seed=0, optimizer_state="fresh",
    )  # fmt: skip
