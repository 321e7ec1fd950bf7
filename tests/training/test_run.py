"""Runs as values: their keys, what they leave on disk, and that they are done once."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cuvee.errors import CheckpointError, ConfigError, MissingSource
from cuvee.mixture.mixture import Mixture
from cuvee.models.checkpoint import Checkpoint
from cuvee.sources.shards import TokenShard
from cuvee.training import loop
from cuvee.training import run as run_module
from cuvee.training.run import (
    MOMENTS,
    ModelSpec,
    Start,
    TrainedModel,
    TrainingRun,
    begin,
    execute,
    execute_together,
    read_snapshots,
)
from cuvee.training.state import TrainingState
from tests.models.tiny_models import save_random
from tests.training.helpers import CONFIG, CONTEXT, VOCABULARY, files, recipe, shard, training_run


def test_equal_inputs_have_equal_keys_wherever_they_lie(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = training_run(tmp_path / "a"), training_run(tmp_path / "b")
    assert one.key == other.key
    assert one.folder != other.folder
    assert replace(one, root=tmp_path / "elsewhere", tokenizer_folder=tmp_path).key == one.key
    on_disk = {name: (tmp_path / name,) for name in one.shards}
    assert replace(one, shards=on_disk).key == one.key, "shards are told by their content"


def test_the_key_does_not_depend_on_the_order_or_on_sources_without_a_share(tmp_path: Path) -> None:
    one = training_run(tmp_path)
    turned = replace(one, mixture=Mixture.of({"code": 0.25, "web": 0.75}))
    assert turned.key == one.key
    more = replace(one, mixture=Mixture.of({"web": 0.75, "code": 0.25, "books": 0.0}))
    assert more.key == one.key
    unused = replace(one, content={**one.content, "books": ("x",)}, fractions={"books": 0.5, "web": 1.0})
    assert unused.key == one.key


CHANGES: dict[str, Callable[[TrainingRun], TrainingRun]] = {
    "architecture": lambda r: replace(r, model=ModelSpec(replace(CONFIG, layers=2))),
    "start": lambda r: replace(r, start=Start("seed", Path("seed"))),
    "another start": lambda r: replace(r, start=Start("other", Path("seed"))),
    "mixture": lambda r: replace(r, mixture=Mixture.of({"web": 0.5, "code": 0.5})),
    "content": lambda r: replace(r, content={**r.content, "web": ("changed",)}),
    "fraction": lambda r: replace(r, fractions={"web": 0.5}),
    "tokenizer": lambda r: replace(r, tokenizer="other"),
    "steps": lambda r: replace(r, recipe=recipe(steps=13)),
    "learning rate": lambda r: replace(r, recipe=recipe(learning_rate=1e-3)),
    "order of the data": lambda r: replace(r, recipe=recipe(seed=1)),
    "dtype": lambda r: replace(r, recipe=recipe(dtype="bfloat16")),
}


def test_the_key_changes_with_every_input(tmp_path: Path) -> None:
    one = training_run(tmp_path)
    keys = {name: change(one).key for name, change in CHANGES.items()}
    assert len({one.key, *keys.values()}) == len(keys) + 1, keys


def test_a_run_is_done_once(tmp_path: Path) -> None:
    one = training_run(tmp_path)
    assert not one.done
    first = execute(one)
    assert one.done
    before = files(one.folder)
    told: list[float] = []
    second = execute(one, lambda tokens, note: told.append(tokens))
    assert told == []
    assert files(one.folder) == before
    assert second.checkpoint == first.checkpoint
    assert second.log == json.loads(json.dumps(first.log))
    assert (second.key, second.flops) == (first.key, first.flops)
    assert second.seconds == 0 < first.seconds
    assert [entry.name for entry in one.root.iterdir()] == [one.key], "no state is left beside it"


def test_what_a_run_leaves(tmp_path: Path) -> None:
    one = training_run(tmp_path, recipe=recipe(snapshots=(4, 8)))
    done = execute(one)
    assert set(files(one.folder)) == {
        "config.json",
        "model.safetensors",
        "cuvee.json",
        "training.json",
        "snapshots.safetensors",
    }
    checkpoint = Checkpoint.load(one.folder)
    assert (checkpoint.ancestor, checkpoint.tokenizer) == (None, "letters")
    assert checkpoint.recipe == one.recipe.hash
    assert checkpoint.details["mixture"] == {"code": 0.25, "web": 0.75}
    assert checkpoint.details["key"] == one.key
    assert done.flops == 3 * CONFIG.flops_per_token * one.recipe.tokens
    assert set(read_snapshots(one.folder)) == {4, 8}
    assert read_snapshots(tmp_path) == {}


def test_the_log_has_the_realised_shares(tmp_path: Path) -> None:
    one = training_run(tmp_path)
    log = execute(one).log
    assert log["tokens"] == {"web": 0.75 * one.recipe.tokens, "code": 0.25 * one.recipe.tokens}
    for name, epochs in log["epochs"].items():
        windows = (len(TokenShard.open(one.shards[name][0]).tokens) - 1) // CONTEXT
        assert epochs == log["tokens"][name] / (windows * CONTEXT)
    assert log["learning_rates"] == [one.recipe.learning_rate_at(step) for step in range(12)]
    assert len(log["losses"]) == len(log["gradient_norms"]) == 12
    assert log["losses"][-1] < log["losses"][0]


def test_a_fraction_is_repeated_more_often(tmp_path: Path) -> None:
    whole = execute(training_run(tmp_path)).log
    part = execute(training_run(tmp_path, fractions={"web": 0.25})).log
    assert part["tokens"] == whole["tokens"]
    assert part["epochs"]["web"] == pytest.approx(4 * whole["epochs"]["web"], rel=0.1)
    assert part["epochs"]["code"] == whole["epochs"]["code"]


class Stop(Exception):
    pass


@pytest.mark.parametrize("stops", [[1], [6], [12], [3, 4, 11]])
def test_a_stopped_run_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops: list[int]
) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(loop, "_NOTE_EVERY_SECONDS", 0.0)
    one = training_run(tmp_path, recipe=recipe(tail_average=0.3, snapshots=(5,)), keep_moments=True)
    execute(one)
    other = replace(one, root=tmp_path / "stopped")
    for step in stops:

        def report(tokens: float, note: str, step: int = step) -> None:
            if note.startswith(f"step {step}/"):
                raise Stop

        with pytest.raises(Stop):
            execute(other, report)
        assert not other.done
    execute(other)
    assert files(other.folder) == files(one.folder)
    assert [entry.name for entry in other.root.iterdir()] == [other.key]


def loss_of(flat: Tensor) -> dict[str, float]:
    return {"size": float(flat.norm())}


def quiet(tokens: float, note: str) -> None:
    pass


def test_a_frozen_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    one = training_run(tmp_path, recipe=recipe(steps=12, tail_average=0.3, snapshots=(5,)))
    whole = execute(one, quiet, loss_of, 4)
    other = replace(one, root=tmp_path / "frozen")
    first = begin(other, 4, quiet, loss_of, 4)
    assert [step for step, _ in first.evaluations] == [4] and first.seconds > 0
    assert not other.done
    assert begin(other, 4, quiet, loss_of, 4) == replace(first, seconds=pytest.approx(0, abs=5))  # type: ignore[arg-type]
    second = begin(other, 8, quiet, loss_of, 4)
    assert second.evaluations[0] == first.evaluations[0]
    execute(other, quiet, loss_of, 4)
    assert files(other.folder) == files(one.folder)
    assert [entry.name for entry in other.root.iterdir()] == [other.key]
    # What is done is only looked up.
    assert begin(other, 8, quiet, loss_of, 4) == replace(second, seconds=0.0)
    assert [tuple(pair) for pair in whole.log["evaluations"]][:2] == list(second.evaluations)


def test_a_run_is_frozen_without_a_state_on_disk_lost(tmp_path: Path) -> None:
    """Whoever removes the state of a frozen run loses time and nothing else."""
    one = training_run(tmp_path, recipe=recipe(steps=6))
    before = begin(one, 3, quiet, loss_of, 3)
    (one.root / f".{one.key}.state").unlink()
    assert begin(one, 3, quiet, loss_of, 3).evaluations == before.evaluations


# Branches


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    """A finished seed run, its parameters averaged over its end."""
    one = training_run(tmp_path_factory.mktemp("seed"), recipe=recipe(tail_average=0.5), keep_moments=True)
    execute(one)
    return one


def branch(seed: TrainingRun, root: Path, **changes: Any) -> TrainingRun:
    given: dict[str, Any] = {"mixture": Mixture.of({"web": 1.0}), "recipe": recipe(steps=3)}
    return replace(seed, start=seed.as_start, root=root, keep_moments=False, **given | changes)


def test_a_branch_names_its_ancestor_and_starts_at_its_result(
    seed: TrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[TrainingState] = []
    original = run_module.train  # type: ignore[attr-defined]  # it is imported there

    def spy(model: Any, state: TrainingState, *args: Any, **options: Any) -> TrainingState:
        started.append(replace(state, flat=state.flat.clone(), first_moment=state.first_moment.clone()))
        return original(model, state, *args, **options)

    monkeypatch.setattr(run_module, "train", spy)
    parent = Checkpoint.load(seed.folder)
    assert execute(branch(seed, tmp_path)).checkpoint.ancestor == parent.content_hash
    fresh = recipe(steps=3, optimizer_state="fresh")
    execute(branch(seed, tmp_path, recipe=fresh))
    restored, zero = started
    result = parent.read_flat(seed.model.build())
    assert torch.equal(restored.flat, result)
    assert torch.equal(zero.flat, result)
    moments = load_file(seed.folder / MOMENTS)
    assert not torch.equal(moments["flat"], result), "the seed is judged by its average"
    assert torch.equal(restored.first_moment, moments["first_moment"])
    assert restored.updates == 12
    assert zero.updates == 0
    assert not zero.first_moment.any()


def test_damaged_moments_are_told_and_not_replaced_by_zeros(seed: TrainingRun, tmp_path: Path) -> None:
    copy = tmp_path / seed.key
    copy.mkdir()
    for name, data in files(seed.folder).items():
        (copy / name).write_bytes(data[:100] if name == MOMENTS else data)
    one = replace(branch(seed, tmp_path / "out"), start=Start(seed.key, copy))
    with pytest.raises(CheckpointError, match=r"optimizer\.safetensors: damaged; delete the folder"):
        execute(one)


@pytest.mark.parametrize("state", ["restored", "fresh"])
def test_moments_that_the_seed_kept_must_be_there(seed: TrainingRun, tmp_path: Path, state: str) -> None:
    copy = tmp_path / seed.key
    copy.mkdir()
    for name, data in files(seed.folder).items():
        if name != MOMENTS:
            (copy / name).write_bytes(data)
    one = branch(seed, tmp_path / "out", recipe=recipe(steps=3, optimizer_state=state))
    one = replace(one, start=Start(seed.key, copy))
    if state == "fresh":  # they are not asked for
        execute(one)
        return
    with pytest.raises(CheckpointError, match=r"optimizer\.safetensors: damaged; delete the folder"):
        execute(one)


@pytest.mark.parametrize("name", [MOMENTS, "snapshots.safetensors", "training.json", "cuvee.json"])
def test_one_flipped_bit_of_a_companion_is_refused(tmp_path: Path, name: str) -> None:
    one = training_run(tmp_path, recipe=recipe(snapshots=(4,)), keep_moments=True)
    execute(one)
    data = bytearray((one.folder / name).read_bytes())
    digit = next(i for i in range(len(data) // 2, len(data)) if name == MOMENTS or chr(data[i]).isdigit())
    data[digit] ^= 1
    (one.folder / name).write_bytes(data)
    readers: dict[str, Callable[[], object]] = {
        MOMENTS: lambda: execute(branch(one, tmp_path / "out")),
        "snapshots.safetensors": lambda: read_snapshots(one.folder),
    }
    with pytest.raises(CheckpointError, match=f"{name}: damaged"):
        readers.get(name, lambda: execute(one))()


def test_a_companion_that_is_gone_is_missed(tmp_path: Path) -> None:
    one = training_run(tmp_path, recipe=recipe(snapshots=(4,)))
    execute(one)
    (one.folder / "snapshots.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"snapshots\.safetensors: damaged"):
        read_snapshots(one.folder)
    (one.folder / "training.json").unlink()
    with pytest.raises(CheckpointError, match=r"training\.json: damaged"):
        execute(one)


def test_a_damaged_start_is_told(seed: TrainingRun, tmp_path: Path) -> None:
    copy = tmp_path / seed.key
    copy.mkdir()
    for name, data in files(seed.folder).items():
        changed = data[:-4] + b"\x00\x00\x80\x3f" if name == "model.safetensors" else data
        (copy / name).write_bytes(changed)
    for state in ("restored", "fresh"):
        one = branch(seed, tmp_path / "out", recipe=recipe(steps=3, optimizer_state=state))
        with pytest.raises(CheckpointError, match="parameters differ from their hash"):
            execute(replace(one, start=Start(seed.key, copy)))


def test_a_folder_of_any_model_can_be_the_start(tmp_path: Path) -> None:
    save_random(tmp_path / "model", "gqa", VOCABULARY)
    given = Checkpoint.load(tmp_path / "model")
    one = training_run(
        tmp_path,
        model=ModelSpec(folder=tmp_path / "model"),
        start=Start(given.content_hash, tmp_path / "model"),
        recipe=recipe(learning_rate=1e-3),
    )
    done = execute(one)
    assert done.checkpoint.ancestor == given.content_hash
    assert done.log["losses"][-1] < done.log["losses"][0]
    assert not torch.equal(done.checkpoint.read_flat(one.model.build()), given.read_flat(one.model.build()))


def test_models_are_built_once_a_process() -> None:
    assert ModelSpec(CONFIG).build() is ModelSpec(CONFIG).build()
    assert ModelSpec(CONFIG).model_hash == CONFIG.model_hash


def test_a_model_of_nothing_is_told() -> None:
    with pytest.raises(CheckpointError, match="an architecture or a folder"):
        ModelSpec().build()


def test_a_missing_shard_is_told_before_training(tmp_path: Path) -> None:
    one = training_run(tmp_path)
    shards: dict[str, tuple[Path, ...]] = {"web": one.shards["web"], "code": ()}
    with pytest.raises(MissingSource, match="source 'code'"):
        execute(replace(one, shards=shards))
    with pytest.raises(ConfigError, match="fraction"):
        execute(replace(one, fractions={"web": 2.0}))
    assert not one.root.exists() or list(one.root.iterdir()) == []


def test_several_shards_of_a_source_are_one_text(tmp_path: Path) -> None:
    one = training_run(tmp_path)
    more = shard(tmp_path / "shards" / "web-2", "web", 5)
    both = replace(
        one,
        shards={**one.shards, "web": (*one.shards["web"], more.folder)},
        content={**one.content, "web": (*one.content["web"], more.content_hash)},
    )
    assert both.key != one.key
    assert execute(both).log["epochs"]["web"] < execute(one).log["epochs"]["web"]


def test_a_run_of_a_study_that_began_on_a_gpu_is_the_same_on_a_cpu(tmp_path: Path) -> None:
    there = training_run(tmp_path, model=ModelSpec(CONFIG, device="cuda", kernels=2))
    here = replace(there, model=replace(there.model, device="cpu"))
    assert here.key == there.key != replace(there, model=ModelSpec(CONFIG)).key


def test_a_resumed_run_of_a_stack_costs_what_it_took_here(tmp_path: Path) -> None:
    runs = [training_run(tmp_path, recipe=recipe(stacked=2, seed=seed)) for seed in (0, 1)]
    model = runs[0].model.build()
    begin(runs[0], 9, lambda tokens, note: None, lambda flat: {}, 0)
    assert runs[0].state_file.is_file()
    found = dict(execute_together(runs))
    first, second = found[0], found[1]
    assert isinstance(first, TrainedModel) and isinstance(second, TrainedModel)
    assert first.checkpoint.read_flat(model).shape == (model.layout.size,)
    assert first.seconds < second.seconds
