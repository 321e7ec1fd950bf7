"""Trainings of adapters: keys, what they leave, and going on after a break."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cuvee.models.adapted import AdaptedModel
from cuvee.models.adapters import Adapters
from cuvee.models.checkpoint import Checkpoint, content_hash
from cuvee.training.run import (
    AdaptedStart,
    ModelSpec,
    Start,
    TrainingRun,
    begin,
    execute,
    read_snapshots,
)
from tests.models.tiny_models import save_random
from tests.training.helpers import CONTEXT, VOCABULARY, files, recipe, training_run

ADAPTERS = Adapters(rank=2, alpha=4.0)


def adapted_run(root: Path, adapters: Adapters = ADAPTERS, kind: str = "gqa") -> TrainingRun:
    """A run of adapters of a random model in ``root / seed``."""
    seed = root / "seed"
    if not seed.is_dir():
        save_random(seed, kind, VOCABULARY, max_position_embeddings=CONTEXT)
    start = Start(Checkpoint.load(seed).content_hash, seed)
    spec = ModelSpec(folder=seed, adapted=AdaptedStart(adapters, start))
    return replace(training_run(root), model=spec, start=start)


def test_a_run_of_adapters_learns_and_leaves_the_model_as_it_is(tmp_path: Path) -> None:
    run = adapted_run(tmp_path)
    before = files(tmp_path / "seed")
    done = execute(replace(run, recipe=recipe(steps=40, snapshots=(20,), learning_rate=3e-2)))
    assert files(tmp_path / "seed") == before
    losses = done.log["losses"]
    assert sum(losses[-5:]) < sum(losses[:5]) - 0.5
    model = run.model.build()
    assert isinstance(model, AdaptedModel)
    flat = done.checkpoint.read_flat(model)
    assert flat.shape == (model.layout.size,)
    assert all(view.any() for view in model.layout.views(flat).values())
    assert done.checkpoint.ancestor == content_hash(model.initial(0))
    assert {step: kept.shape for step, kept in read_snapshots(done.checkpoint.folder).items()} == {
        20: flat.shape
    }
    assert run.model.parameters == model.base.layout.size
    assert done.flops == 3 * model.base.flops_per_token * 40 * run.recipe.batch_tokens


@pytest.mark.parametrize("kind", ["gqa", "gpt2"])
def test_a_run_of_adapters_that_is_frozen_goes_on_to_the_same_bytes(tmp_path: Path, kind: str) -> None:
    (tmp_path / "once").mkdir()
    once = adapted_run(tmp_path / "once", kind=kind)
    whole = execute(once)
    broken = replace(once, root=tmp_path / "broken")
    begin(broken, 5, lambda tokens, note: None, lambda flat: {"size": float(flat.numel())}, 5)
    assert broken.state_file.is_file() and not broken.done
    again = execute(broken)
    assert again.checkpoint.content_hash == whole.checkpoint.content_hash
    same = ("adapter_model.safetensors", "adapter_config.json")
    for name in same:
        assert (again.checkpoint.folder / name).read_bytes() == (whole.checkpoint.folder / name).read_bytes()


def test_the_key_knows_every_setting_and_the_model_that_is_adapted(tmp_path: Path) -> None:
    run = adapted_run(tmp_path)
    keys = {
        adapted_run(tmp_path, adapters).key
        for adapters in (
            ADAPTERS,
            replace(ADAPTERS, rank=3),
            replace(ADAPTERS, alpha=5.0),
            replace(ADAPTERS, modules=("q_proj",)),
            replace(ADAPTERS, modules=("q_proj", "v_proj")),
            replace(ADAPTERS, seed=1),
        )
    }
    assert run.key in keys and len(keys) == 6
    turned = replace(ADAPTERS, modules=("v_proj", "q_proj"))
    assert adapted_run(tmp_path, turned).key in keys, "their order means nothing"
    assert replace(run, model=run.model.base).key not in keys
    assert run.model.adapted is not None
    other = replace(run.model, adapted=replace(run.model.adapted, seed=Start("other", tmp_path / "seed")))
    assert other.model_hash != run.model.model_hash, "adapters of two models are not interchangeable"


def test_a_run_without_adapters_has_the_key_that_it_had(tmp_path: Path) -> None:
    save_random(tmp_path / "seed", "gqa", VOCABULARY, max_position_embeddings=CONTEXT)
    plain = replace(training_run(tmp_path), model=ModelSpec(folder=tmp_path / "seed"))
    spelled = replace(plain, model=replace(plain.model, adapted=None))
    assert plain.key == spelled.key
    assert plain.model.model_hash == plain.model.build().model_hash


def test_the_key_is_known_before_the_model_is_trained(tmp_path: Path) -> None:
    run = adapted_run(tmp_path)
    later = Start("a run that is not done", tmp_path / "nowhere")
    planned = replace(run, model=replace(run.model, adapted=AdaptedStart(ADAPTERS, later)), start=later)
    assert planned.key != run.key
    assert planned.flops == run.flops
    assert torch.equal(planned.model.build().initial(0), run.model.build().initial(0))
