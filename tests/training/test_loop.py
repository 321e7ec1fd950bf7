"""The training loop: AdamW as torch has it, and nothing lost when it is stopped."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from cuvee.errors import NonFiniteLoss
from cuvee.training import loop
from cuvee.training.loop import train
from cuvee.training.recipe import Recipe
from cuvee.training.state import TrainingState
from tests.training.helpers import VOCABULARY, Counting, recipe, tiny_model


def start(seed: int = 0) -> TrainingState:
    return TrainingState.fresh(tiny_model().initial(seed))


def trained(one: Recipe, state: TrainingState | None = None, **options: Any) -> TrainingState:
    return train(tiny_model(), state or start(), Counting(one.batch_sequences), one, key="k", **options)


def same(left: TrainingState, right: TrainingState) -> bool:
    """Bit for bit."""
    one, other = dict(vars(left)), dict(vars(right))
    tensors = [name for name, value in one.items() if isinstance(value, Tensor)]
    snapshots = one.pop("snapshots"), other.pop("snapshots")
    return (
        all(torch.equal(one.pop(name), other.pop(name)) for name in tensors)
        and one == other
        and snapshots[0].keys() == snapshots[1].keys()
        and all(torch.equal(value, snapshots[1][step]) for step, value in snapshots[0].items())
    )


def test_the_loss_falls_on_what_can_be_learnt() -> None:
    state = trained(recipe(steps=150, batch_sequences=8, warmup_steps=10, schedule="linear"))
    uniform = torch.tensor(float(VOCABULARY)).log().item()
    assert state.losses[0] == pytest.approx(uniform, rel=0.02)
    # Only the first stride of a sequence cannot be known.
    assert sum(state.losses[-10:]) / 10 < 0.25 * uniform
    assert (state.step, state.updates, len(state.losses)) == (150, 150, 150)


def test_the_same_inputs_give_the_same_bytes() -> None:
    assert same(trained(recipe()), trained(recipe()))


class Oracle:
    """Plain torch: one parameter for each tensor, torch's AdamW, torch's clipping."""

    def __init__(self, one: Recipe) -> None:
        self.model = tiny_model()
        self.recipe = one
        flat = self.model.initial(0)
        self.parameters = [
            torch.nn.Parameter(entry.view(flat).clone()) for entry in self.model.layout.entries
        ]
        matrices = [p for p in self.parameters if p.ndim > 1]
        vectors = [p for p in self.parameters if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": one.weight_decay},
                {"params": vectors, "weight_decay": 0.0},
            ],
            betas=(one.beta1, one.beta2),
            eps=one.epsilon,
        )

    @property
    def flat(self) -> Tensor:
        return torch.cat([parameter.flatten() for parameter in self.parameters])

    def run(self) -> tuple[Tensor, list[float]]:
        norms = []
        for step in range(self.recipe.steps):
            inputs, targets = map(torch.from_numpy, Counting(self.recipe.batch_sequences).batch(step))
            self.optimizer.zero_grad()
            (-self.model.token_log_probs(self.flat, inputs, targets).mean()).backward()
            norms.append(torch.nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip).item())
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.learning_rate_at(step)
            self.optimizer.step()
        return self.flat.detach(), norms


@pytest.mark.parametrize(
    "change",
    [
        {"clip": 1e9},
        {"clip": 0.3},
        {"clip": 1e9, "weight_decay": 2.0},
        {"schedule": "linear", "warmup_steps": 4, "beta1": 0.8, "beta2": 0.99, "epsilon": 1e-5},
    ],
)
def test_adamw_is_that_of_torch_on_separate_tensors(change: dict[str, Any]) -> None:
    one = recipe(learning_rate=1e-3, **change)
    expected, norms = Oracle(one).run()
    state = trained(one)
    torch.testing.assert_close(state.flat, expected, rtol=1e-5, atol=1e-6)
    assert state.gradient_norms == pytest.approx(norms, rel=1e-4)
    if one.clip < 1:
        assert max(norms) > one.clip, "the test must clip"


class Flat:
    """A loss without slope, so that only weight decay moves the parameters."""

    def __init__(self) -> None:
        self.inner = tiny_model()
        self.layout = self.inner.layout

    def mean_loss(self, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        return (flat * 0).sum()


def test_norms_are_not_decayed_and_matrices_by_the_closed_form() -> None:
    one = recipe(steps=5, learning_rate=0.1, weight_decay=0.5)
    state = start()
    before = state.flat.clone()
    model: Any = Flat()
    after = train(model, state, Counting(), one, key="k").flat
    boundary = model.layout.decayed
    assert torch.equal(after[boundary:], before[boundary:])
    torch.testing.assert_close(after[:boundary], before[:boundary] * (1 - 0.05) ** 5)


def test_accumulation_changes_memory_and_not_the_result() -> None:
    whole, parts = (trained(recipe(accumulation=count)) for count in (1, 4))
    torch.testing.assert_close(parts.flat, whole.flat, rtol=1e-4, atol=1e-5)
    assert parts.losses == pytest.approx(whole.losses, rel=1e-5)
    assert parts.gradient_norms == pytest.approx(whole.gradient_norms, rel=1e-4)


def test_clipping_shortens_long_gradients_only() -> None:
    loose, tight = trained(recipe(clip=1e9)), trained(recipe(clip=1e9 / 2))
    assert torch.equal(loose.flat, tight.flat), "no gradient is that long"
    # The norm is told as it was before clipping.
    clipped = trained(recipe(clip=1e-3))
    assert clipped.gradient_norms[0] == loose.gradient_norms[0] > 1e-3
    # Adam forgets the scale, so the first moment shows what was clipped.
    first = trained(recipe(steps=1, clip=1e-3)).first_moment
    assert first.norm().item() == pytest.approx(0.1 * 1e-3, rel=1e-3)


def every_step(one: Recipe) -> list[Tensor]:
    """The parameters after each step."""
    seen: list[Tensor] = []

    def look(flat: Tensor) -> dict[str, float]:
        seen.append(flat.clone())
        return {}

    trained(one, evaluate=look, evaluate_every=1)
    return seen


def test_the_tail_average_is_the_mean_of_the_last_parameters() -> None:
    path = every_step(recipe())
    state = trained(recipe(tail_average=0.25))
    torch.testing.assert_close(state.result, torch.stack(path[-3:]).mean(0), rtol=1e-6, atol=1e-7)
    assert state.tail_steps == 3
    assert torch.equal(state.flat, path[-1]), "averaging does not change the training"
    assert torch.equal(trained(recipe()).result, path[-1])


def test_a_tail_of_less_than_a_step_keeps_the_last() -> None:
    state = trained(recipe(tail_average=0.01))
    assert torch.equal(state.result, state.flat)


def test_snapshots_are_the_parameters_on_the_way() -> None:
    path = every_step(recipe())
    state = trained(recipe(snapshots=(1, 5, 12)))
    assert set(state.snapshots) == {1, 5, 12}
    for step, flat in state.snapshots.items():
        assert torch.equal(flat, path[step - 1])


def test_evaluations_are_kept() -> None:
    state = trained(recipe(), evaluate=lambda flat: {"size": float(len(flat))}, evaluate_every=5)
    size = float(tiny_model().layout.size)
    assert state.evaluations == [(5, {"size": size}), (10, {"size": size})]


def test_progress_adds_up_to_all_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[float, str]] = []
    for pause in (0.0, 1e9):  # told at every step, and only at the end
        monkeypatch.setattr(loop, "_NOTE_EVERY_SECONDS", pause)
        told.clear()
        trained(recipe(), report=lambda tokens, note: told.append((tokens, note)))
        assert sum(tokens for tokens, _ in told) == recipe().tokens
    assert told[-1][1].startswith("step 12/12 loss ")


def test_moments_go_on_where_they_were() -> None:
    whole = trained(recipe(steps=10))
    first = trained(recipe(steps=4))

    class Later(Counting):
        def batch(self, step: int) -> Any:
            return super().batch(step + 4)

    second = train(tiny_model(), first.branch(keep_moments=True), Later(), recipe(steps=6), key="k")
    assert torch.equal(second.flat, whole.flat)
    assert second.updates == 10
    assert second.step == 6
    fresh = train(tiny_model(), first.branch(keep_moments=False), Later(), recipe(steps=6), key="k")
    assert fresh.updates == 6
    assert not torch.equal(fresh.flat, whole.flat)


def test_a_branch_leaves_its_start_as_it_was() -> None:
    first = trained(recipe(steps=4))
    flat, moment = first.flat.clone(), first.first_moment.clone()
    trained(recipe(steps=3), first.branch(keep_moments=True))
    assert torch.equal(first.flat, flat)
    assert torch.equal(first.first_moment, moment)


# Stopping and going on

COMPLETE = recipe(tail_average=0.5, snapshots=(2, 9), schedule="cosine", warmup_steps=2)


class Stop(Exception):
    pass


def stop_at(step: int) -> Callable[[float, str], None]:
    def report(tokens: float, note: str) -> None:
        if note.startswith(f"step {step}/"):
            raise Stop

    return report


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save and report at every step."""
    monkeypatch.setattr(loop, "SAVE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(loop, "_NOTE_EVERY_SECONDS", 0.0)


def evaluated(**options: Any) -> TrainingState:
    return trained(COMPLETE, evaluate=lambda flat: {"norm": flat.norm().item()}, evaluate_every=3, **options)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("stops", [[1], [2], [6], [7], [8], [11], [12], [2, 3, 9, 12], list(range(1, 13))])
def test_a_stopped_training_goes_on_to_the_same_bytes(tmp_path: Path, stops: list[int]) -> None:
    file = tmp_path / "state"
    for step in stops:
        with pytest.raises(Stop):
            evaluated(state_file=file, report=stop_at(step))
    assert same(evaluated(state_file=file), evaluated())


@pytest.mark.usefixtures("eager")
def test_what_is_saved_is_not_done_again(tmp_path: Path) -> None:
    file = tmp_path / "state"
    with pytest.raises(Stop):
        trained(COMPLETE, state_file=file, report=stop_at(8))
    asked: list[int] = []

    class Asking(Counting):
        def batch(self, step: int) -> Any:
            asked.append(step)
            return super().batch(step)

    train(tiny_model(), start(), Asking(), COMPLETE, key="k", state_file=file)
    assert asked == [7, 8, 9, 10, 11], "the report of step 8 comes before its state is saved"


@pytest.mark.usefixtures("eager")
def test_the_state_of_another_run_is_not_used(tmp_path: Path) -> None:
    file = tmp_path / "state"
    with pytest.raises(Stop):
        trained(COMPLETE, state_file=file, report=stop_at(8))
    other = train(tiny_model(), start(1), Counting(), COMPLETE, key="other", state_file=file)
    assert same(other, train(tiny_model(), start(1), Counting(), COMPLETE, key="other"))


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: b"\x00" * len(data),
        lambda data: data.replace(b'\\"step\\"', b'\\"stop\\"'),
        lambda data: data.replace(b'\\"key\\"', b'\\"kay\\"'),
        lambda data: data.replace(b'"first_moment"', b'"first_mament"'),
    ],
)
def test_a_damaged_state_is_a_new_start(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "state"
    with pytest.raises(Stop):
        trained(COMPLETE, state_file=file, report=stop_at(8))
    data = file.read_bytes()
    assert damage(data) != data
    file.write_bytes(damage(data))
    assert same(trained(COMPLETE, state_file=file), trained(COMPLETE))


def test_no_flipped_bit_of_a_state_is_gone_on_with(tmp_path: Path) -> None:
    state, file = evaluated(), tmp_path / "state"
    state.save(file, "k")
    whole, chance = file.read_bytes(), np.random.default_rng(0)
    header = 8 + int.from_bytes(whole[:8], "little")
    for place in (*chance.integers(header, size=60), *chance.integers(header, len(whole), size=60)):
        data = bytearray(whole)
        data[place] ^= 1 << int(chance.integers(8))
        file.write_bytes(data)
        again = TrainingState.load(file, "k")
        assert again is None or same(again, state), int(place)


def test_a_state_of_an_earlier_version_is_gone_on_with(tmp_path: Path) -> None:
    state, file = evaluated(), tmp_path / "state"
    state.save(file, "k")
    with safe_open(file, framework="pt") as saved:
        facts = json.loads(saved.metadata()["facts"])
        tensors = {name: saved.get_tensor(name) for name in saved.keys()}  # noqa: SIM118 - not a dict
    del facts["checksum"]
    save_file(tensors, file, {"facts": json.dumps(facts)})
    again = TrainingState.load(file, "k")
    assert again is not None and same(again, state)


def test_a_state_comes_back_bit_for_bit(tmp_path: Path) -> None:
    state = evaluated()
    state.save(tmp_path / "state", "k")
    again = TrainingState.load(tmp_path / "state", "k")
    assert again is not None
    assert same(again, state)


# What cannot be trained


class Exploding:
    """Infinite loss or gradient from some step on."""

    def __init__(self, step: int, what: str) -> None:
        self.inner = tiny_model()
        self.layout = self.inner.layout
        self.left = step
        self.what = what

    def mean_loss(self, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        loss = self.inner.mean_loss(flat, inputs, targets)
        self.left -= 1
        if self.left >= 0:
            return loss
        return (
            loss * float("inf")
            if self.what == "loss"
            else loss + (flat[:1] - flat[:1].detach()).abs().sqrt().sum()
        )


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_training_that_explodes_says_where_and_overwrites_nothing(tmp_path: Path, what: str) -> None:
    file = tmp_path / "state"
    model: Any = Exploding(5, what)
    with pytest.raises(
        NonFiniteLoss, match=rf"run k: {what} became (inf|nan) at step 5 .*lower the learning"
    ):
        train(model, start(), Counting(), recipe(), key="k", state_file=file)
    kept = TrainingState.load(file, "k")
    assert kept is not None
    assert kept.step == 5
    assert torch.equal(kept.flat, every_step(recipe())[4])
