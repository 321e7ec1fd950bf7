"""Runs trained together: as the loop trains them, and none knows of the others."""

import gc
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cuvee.errors import ConfigError, NonFiniteLoss
from cuvee.models.stacked_llama import StackedLlama
from cuvee.training.loop import train
from cuvee.training.recipe import Recipe
from cuvee.training.stack import Stack
from cuvee.training.state import TrainingState
from cuvee.training.together import Together, train_together
from cuvee.types import IntArray
from tests.training.helpers import CONFIG, CONTEXT, Counting, recipe, tiny_model
from tests.training.test_loop import same

K = 3


class Seeded(Counting):
    """Sequences of one seed."""

    def __init__(self, seed: int, sequences: int = 4) -> None:
        super().__init__(sequences)
        self.seed = seed

    def batch(self, step: int) -> tuple[IntArray, IntArray]:
        return super().batch(1000 * self.seed + step)

    def spans(self, step: int, steps: int) -> IntArray:
        batches = [self.batch(one) for one in range(step, step + steps)]
        return np.stack([np.concatenate([a, b[:, -1:]], axis=1) for a, b in batches])


def start(seed: int) -> TrainingState:
    return TrainingState.fresh(tiny_model().initial(seed))


def run(seed: int, folder: Path | None = None, **changes: Any) -> Together:
    one = recipe(seed=seed, **changes)
    file = None if folder is None else folder / f"{seed}.state"
    return Together(f"run-{seed}", lambda: start(seed), lambda: Seeded(seed), one, file)


def stack(one: Recipe, members: int = K) -> Stack:
    return Stack(StackedLlama(CONFIG, members), one)


def together(runs: Sequence[Together], members: int = K, **options: Any) -> dict[int, Any]:
    found = train_together(stack(runs[0].recipe, members), runs, **options)
    return {one.number: one.result for one in found}


def alone(seed: int, one: Recipe) -> TrainingState:
    return train(tiny_model(), start(seed), Seeded(seed), one, key="k")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"schedule": "cosine", "warmup_steps": 3, "weight_decay": 0.3, "clip": 0.05},
        {"tail_average": 0.5, "snapshots": (4, 9)},
        {"accumulation": 2},
    ],
)
def test_a_run_is_what_the_loop_makes_of_it_up_to_rounding(changes: dict[str, Any]) -> None:
    found = together([run(seed, **changes) for seed in range(4)])
    for seed in range(4):
        expected, state = alone(seed, recipe(seed=seed, **changes)), found[seed]
        torch.testing.assert_close(state.result, expected.result, rtol=1e-4, atol=2e-5)
        np.testing.assert_allclose(state.losses, expected.losses, rtol=1e-4)
        np.testing.assert_allclose(state.gradient_norms, expected.gradient_norms, rtol=1e-3)
        assert (state.step, state.updates, state.tail_steps) == (12, 12, expected.tail_steps)
        assert state.snapshots.keys() == expected.snapshots.keys()
        for step, flat in state.snapshots.items():
            torch.testing.assert_close(flat, expected.snapshots[step], rtol=1e-4, atol=2e-5)


def test_company_and_place_change_no_byte() -> None:
    lengths = (12, 5, 9, 7, 12)
    runs = [run(seed, steps=steps, snapshots=(2, 5)) for seed, steps in enumerate(lengths)]
    among = together(runs)
    for number, one in enumerate(runs):
        assert same(together([one])[0], among[number])
    assert all(same(state, among[4 - number]) for number, state in together(runs[::-1]).items())


def test_a_run_that_diverges_fails_alone() -> None:
    runs = [run(0), run(1, learning_rate=1e30), run(2)]
    found = together(runs)
    assert isinstance(found[1], NonFiniteLoss)
    assert "run run-1: " in str(found[1])
    assert same(found[0], together([run(0)])[0]) and same(found[2], together([run(2)])[0])


def test_a_broken_stack_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    def runs() -> list[Together]:
        return [run(seed, tmp_path, steps=steps, tail_average=0.5) for seed, steps in enumerate((4, 30, 30))]

    first = run(3, tmp_path, steps=2, tail_average=0.5)
    work = train_together(stack(first.recipe), [first, *runs()], save_every=0.0)
    ended = [next(work).number for _ in range(2)]
    del work
    assert ended == [0, 1]
    state = TrainingState.load(tmp_path / "2.state", "run-2")
    assert state is not None and 0 < state.step < 30
    resumed, whole = (
        together(runs()),
        together([run(s, steps=n, tail_average=0.5) for s, n in ((1, 30), (2, 30))]),
    )
    assert same(resumed[1], whole[0]) and same(resumed[2], whole[1])


def test_a_stack_is_used_again_and_freed_with_its_last_user() -> None:
    runs = [run(seed, tail_average=0.5) for seed in range(K)]
    used = stack(runs[0].recipe)
    first = {one.number: one.result for one in train_together(used, [run(9, tail_average=0.5), *runs])}
    again = {one.number: one.result for one in train_together(used, runs)}
    fresh = together(runs)
    for seed in range(K):
        found, other, expected = again[seed], first[seed + 1], fresh[seed]
        assert isinstance(found, TrainingState) and isinstance(other, TrainingState)
        assert same(found, expected) and same(other, expected)
    gone = weakref.ref(used)
    gc.disable()
    try:
        del used
        assert gone() is None
    finally:
        gc.enable()


def test_a_run_that_is_measured_on_its_way_is_measured_at_its_own_steps() -> None:
    def measured(flat: Tensor) -> dict[str, float]:
        return {"length": float(flat.norm())}

    def followed(seed: int, every: int) -> Together:
        return replace(run(seed, steps=40, snapshots=(7,)), evaluate=measured, evaluate_every=every)

    followed_runs = [followed(0, 10), run(1, steps=37), followed(2, 16)]
    found = together(followed_runs)
    for seed, every in ((0, 10), (2, 16)):
        state, alone_there = found[seed], together([followed(seed, every)])[0]
        assert [step for step, _ in state.evaluations] == list(range(every, 41, every))
        assert state.evaluations == alone_there.evaluations and same(state, alone_there)
    assert found[0].evaluations[-1][1]["length"] == float(found[0].flat.norm())


def test_a_run_that_diverges_in_the_midst_of_what_is_queued_leaves_its_place() -> None:
    runs = [run(0, steps=70), run(1, steps=70, learning_rate=1e30), run(2, steps=70), run(3, steps=40)]
    found = together(runs)
    assert isinstance(found[1], NonFiniteLoss)
    for seed in (0, 2, 3):
        assert same(found[seed], together([runs[seed]])[0])


def test_runs_of_other_shapes_do_not_stack() -> None:
    with pytest.raises(ConfigError, match="runs of one stack must have the same batches"):
        together([run(0), run(1, batch_sequences=2)])


def test_all_tokens_are_reported() -> None:
    heard: list[float] = []
    together([run(seed) for seed in range(2)], report=lambda tokens, note: heard.append(tokens))
    assert sum(heard) == 2 * 12 * 4 * CONTEXT


def test_moments_of_a_seed_are_gone_on_with() -> None:
    before = alone(0, recipe())
    branch = Together("b", lambda: before.branch(keep_moments=True), lambda: Seeded(5), recipe(seed=5))
    expected = train(tiny_model(), before.branch(keep_moments=True), Seeded(5), recipe(seed=5), key="b")
    state = together([branch])[0]
    torch.testing.assert_close(state.flat, expected.flat, rtol=1e-4, atol=2e-5)
    assert state.updates == 24
