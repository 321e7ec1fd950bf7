"""Whole studies on model folders of others: their shapes, their number format, their tokenizer."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.execution.local import InProcess
from cuvee.flows.ablation import flow as ablation
from cuvee.mixture.mixture import Mixture
from cuvee.models.adapted import AdaptedModel
from cuvee.models.checkpoint import Checkpoint
from cuvee.models.hugging_face import HuggingFaceModel, open_model
from cuvee.runs.roles import BRANCH, FRESH, REFERENCE
from cuvee.runs.run import Run
from cuvee.runs.store import RunStore
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from cuvee.study.plan.numerics import Numerics
from cuvee.study.pooling import planned_branches
from cuvee.study.producers.trained import Trainings
from cuvee.study.proxies import Proxies
from cuvee.training.run import ModelSpec
from tests.study.given_seed import given_model, given_study
from tests.study.tiny_study import LANGUAGES, hashes, killed, run, timeless


def written(root: Path, study: dict[str, Any]) -> StudyFolder:
    (root / "study.yaml").write_text(json.dumps(study))  # JSON is YAML
    return StudyFolder(root)


def rows(study: StudyFolder, **filters: Any) -> list[Run]:
    with RunStore(study.store) as store:
        return store.runs(**filters)


@pytest.mark.parametrize(("kind", "tied"), [("gpt2", True), ("gqa", False)])
def test_a_study_on_a_given_seed_comes_to_its_decision(tmp_path: Path, kind: str, tied: bool) -> None:
    folder = given_model(tmp_path / "model", kind, tie_word_embeddings=tied)
    assert len(list(folder.glob("model-*-of-00002.safetensors"))) == 2
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"
    model = open_model(folder)
    assert isinstance(model, HuggingFaceModel)
    study = written(tmp_path, given_study(tmp_path, folder))
    decision = run(study)
    assert decision.sources == LANGUAGES
    assert sum(entry.share for entry in decision.mixture) == pytest.approx(1.0)
    made = [Checkpoint.load(path) for path in study.checkpoints.iterdir()]
    assert {one.ancestor for one in made} == {Checkpoint.load(folder).content_hash}
    assert {one.model_hash for one in made} == {model.model_hash}
    # A branch is a folder that opens by itself, with the tokenizer of the seed.
    assert (made[0].folder / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()
    assert open_model(made[0].folder).layout == model.layout


@pytest.mark.parametrize("counting", [0, 1])
def test_flops_are_those_of_the_windows_of_the_study(tmp_path: Path, counting: int) -> None:
    """In a study that began before, they go on to be those of the longest context of the model."""
    folder = given_model(tmp_path / "model", "gpt2", n_positions=256)
    study = written(tmp_path, given_study(tmp_path, folder))
    numerics = json.loads(study.numerics.read_text())
    study.numerics.write_text(json.dumps(numerics | ({"counting": 1} if counting else {})))
    with opened(StudyConfig.load(study.root), study, executor=InProcess()) as runner:
        plan = runner.plan
        matrices = sum(one.size for one in plan.model.build().layout.entries if len(one.shape) >= 2)
        layers, width = 2, 32
        forward = 2 * matrices + 2 * layers * width * (32 if counting else 256)
        assert planned_branches(plan)[0].run.flops == 3 * forward * 4 * 256
        assert plan.bench.evaluator().model.flops_per_token == plan.model.flops_per_token == forward
        keys = {one.run.key for one in planned_branches(plan)}
        other = replace(plan, model=replace(plan.model, window=7))
        assert {one.run.key for one in planned_branches(other)} == keys, "what is trained stays the same"


def test_a_study_that_begins_counts_at_its_windows(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    assert Numerics.of(folder, 0.0).counting == 1
    assert Numerics.of(folder, 0.0).spec(ModelSpec(), 32).window == 32
    folder.numerics.write_text(json.dumps({"dtype": "float32", "compiled": False, "device": "cpu"}))
    assert Numerics.of(folder, 0.0).spec(ModelSpec(), 32).window == 0


# Adapters

ADAPTERS = {"rank": 2, "target_modules": ["q_proj", "v_proj"]}
GPT2 = {"model": {"adapters": {"rank": 2}}}


def adapted_study(root: Path, seed: Path, **changes: Any) -> dict[str, Any]:
    return given_study(root, seed, **({"model": {"adapters": ADAPTERS}} | changes))


def bytes_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_a_study_of_adapters_comes_to_its_decision(tmp_path: Path) -> None:
    seed = given_model(tmp_path / "model", "gqa")
    before = hashes(seed)
    study = written(tmp_path, adapted_study(tmp_path, seed))
    decision = run(study)
    assert decision.sources == LANGUAGES
    assert hashes(seed) == before, "nothing is written where the model lies"
    given = Checkpoint.load(seed)
    by_role = {one.role: one for one in rows(study, kind="trained")}
    branch = Checkpoint.load(study.checkpoint(by_role["branch"].details["run"]))
    reference = Checkpoint.load(study.checkpoint(by_role["reference"].details["run"]))
    assert (branch.folder / "adapter_model.safetensors").is_file()
    settings = json.loads((branch.folder / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == str(seed)
    assert (branch.folder / "tokenizer.json").is_file()
    assert not list(branch.folder.glob("model*"))
    assert reference.ancestor == given.content_hash, "references are trained whole"
    # Sizes of runs are those of the model, whatever is trained of it.
    assert {one.params for one in rows(study)} == {open_model(seed).layout.size}
    assert by_role["branch"].flops == by_role["reference"].flops
    (pool,) = study.pools.iterdir()
    whole = 5 * 4 * open_model(seed).layout.size  # float32 rows of the seed and four branches
    assert bytes_of(pool) < whole / 10
    assert timeless(run(study)) == timeless(decision)


def test_what_adapters_say_of_mixtures_is_what_their_products_say(tmp_path: Path) -> None:
    """The merge of one branch has the losses of the branch, and any merge those of its dense sum."""
    study = written(tmp_path, adapted_study(tmp_path, given_model(tmp_path / "model", "gpt2"), **GPT2))
    run(study)
    config = StudyConfig.load(study.root)
    with opened(config, study, executor=InProcess()) as runner:
        proxies, plan = Proxies.of(runner), runner.plan
        vertices = [Mixture.vertex(LANGUAGES, name) for name in LANGUAGES]
        trained = runner.scores(Trainings(plan, "training"), planned_branches(plan)).nats
        np.testing.assert_array_equal(proxies.score(vertices, ["asked"] * 4).nats["merge"], trained)
        np.testing.assert_allclose(proxies.unit_nats(), trained, rtol=1e-5)
        model = plan.branch_model.build()
        assert isinstance(model, AdaptedModel)
        deltas = [model.full(row) - model.frozen for row in proxies.pool.branches]
        dense = model.frozen + sum(0.25 * delta for delta in deltas)
        expected = plan.bench.evaluator().score(dense).nats
        found = proxies.score([Mixture.uniform(LANGUAGES)], ["asked"]).nats["merge"][0]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("references", [False, True])
def test_adapters_take_all_that_branches_take(tmp_path: Path, references: bool) -> None:
    """A seed that is trained on, snapshots, replicas, a check; and a plan of it before all that."""
    changes = {
        "model": {"adapters": {"rank": 1, "references": references}},
        "split": {"evaluation": 0.1, "seed": 0.3},
        "seed_training": {"tokens": 512, "batch_tokens": 256, "learning_rate": 1e-3},
        "branch_training": {"snapshots": [0.5], "seeds": 2},
        "check": {"seeds": 2},
    }
    seed = given_model(tmp_path / "model", "gqa")
    study = written(tmp_path, given_study(tmp_path, seed, **changes))
    config = StudyConfig.load(study.root)
    outlook = ablation.outlook(config, study, executor=InProcess())
    assert all(row.parameters == open_model(seed).layout.size for row in outlook.rows)
    assert not study.checkpoints.exists()
    decision = run(study)
    assert decision.check is not None
    (trained,) = rows(study, role="seed")
    start = Checkpoint.load(study.checkpoint(trained.details["run"]))
    made = {
        role: Checkpoint.load(study.checkpoint(one.details["run"]))
        for role in (BRANCH, REFERENCE, FRESH)
        for one in rows(study, kind="trained", role=role)
    }
    adapted = {role: (one.folder / "adapter_config.json").is_file() for role, one in made.items()}
    assert adapted == {BRANCH: True, REFERENCE: references, FRESH: references}
    if not references:
        assert made[REFERENCE].ancestor == start.content_hash
    assert "merge, own curve" in decision_proxies(study)
    assert timeless(run(study)) == timeless(decision)


def decision_proxies(study: StudyFolder) -> list[str]:
    with opened(StudyConfig.load(study.root), study, executor=InProcess()) as runner:
        return list(Proxies.of(runner).score([Mixture.uniform(LANGUAGES)], ["asked"]).nats)


def test_modules_that_are_not_there_are_refused_before_any_training(tmp_path: Path) -> None:
    adapters = {"rank": 2, "target_modules": ["query"]}
    seed = given_model(tmp_path / "model", "gqa")
    study = written(tmp_path, given_study(tmp_path, seed, model={"adapters": adapters}))
    with pytest.raises(ConfigError, match=r"'query' is no matrix .* there are down_proj, gate_proj, k_proj"):
        run(study)
    assert not study.checkpoints.exists()


def test_every_setting_of_adapters_is_in_the_keys_of_branches_and_of_them_alone(tmp_path: Path) -> None:
    seed = given_model(tmp_path / "model", "gqa")

    def keys(**changes: Any) -> tuple[str, str]:
        study = written(tmp_path, given_study(tmp_path, seed, **changes))
        with opened(StudyConfig.load(study.root), study, executor=InProcess()) as runner:
            plan = runner.plan
            return plan.branch("ka", 0).key, plan.reference(Mixture.uniform(LANGUAGES)).key

    whole, references = keys()
    settings: list[dict[str, Any]] = [
        {"rank": 2},
        {"rank": 3},
        {"rank": 2, "alpha": 3.0},
        {"rank": 2, "target_modules": ["q_proj"]},
    ]
    rate = {"reference_training": {"learning_rate": 3e-3}}
    found = [keys(model={"adapters": one}, **rate) for one in settings]
    assert len({whole, *(branch for branch, _ in found)}) == 1 + len(settings)
    assert {reference for _, reference in found} == {references}
    named = keys(model={"adapters": {"rank": 2, "alpha": 4.0}}, **rate)
    assert named == found[0], "a default that is spelled out is the same"
    both = keys(model={"adapters": {"rank": 2, "references": True}}, **rate)
    assert both[0] == found[0][0] and both[1] != references


@pytest.mark.slow
def test_a_study_of_adapters_that_is_killed_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    long = {"branch_training": {"tokens": 60 * 256}, "reference_training": {"tokens": 2 * 256}}
    seed = given_model(tmp_path / "model", "gqa")
    for name in ("once", "killed"):
        (tmp_path / name).mkdir()
        written(tmp_path / name, adapted_study(tmp_path / name, seed, **long))
    once, broken = (StudyFolder(tmp_path / name) for name in ("once", "killed"))
    decision = run(once)
    assert killed("run", broken, lambda: len(list(broken.checkpoints.glob("[!.]*"))) > 1, 0.05)
    assert timeless(run(broken)) == timeless(decision)
    assert hashes(broken.checkpoints) == hashes(once.checkpoints)
    assert hashes(broken.pools) == hashes(once.pools)
