"""A study whose numbers are computed on a device of its own: here one worker on the processor."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from cuvee.execution.local import InProcess
from cuvee.runs.observations import Observations
from cuvee.study.compile_cache import CACHE, cache_environment
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import GENERATED, StudyFolder
from cuvee.study.opening import opened
from cuvee.study.plan.proxy_job import merges_a_task
from cuvee.study.pooling import ensemble_of, planned_branches, planned_seed, pool_of
from cuvee.study.producers.ensembled import Ensembles
from cuvee.study.producers.merged import Merges
from cuvee.study.producers.trained import Trainings
from cuvee.study.producers.weighted import Weighted
from cuvee.study.runner import Runner
from cuvee.types import FloatArray
from tests.study.device_jobs import Question, made, surroundings
from tests.study.test_runner import MIXTURES, QUICK
from tests.study.tiny_study import Listener, write_study

DEVICE = "cpu:0"


def on_device(folder: StudyFolder, device: str) -> StudyFolder:
    numerics = {"dtype": "float32", "compiled": False, "device": device}
    folder.numerics.write_text(json.dumps(numerics), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Trained by the worker of a device, which is kept."""
    folder = on_device(write_study(tmp_path_factory.mktemp("there"), **QUICK), DEVICE)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(CACHE, raising=False)
        yield from opened_and_trained(folder)


def opened_and_trained(folder: StudyFolder) -> Iterator[Runner]:
    with opened(StudyConfig.load(folder.root), folder, Listener()) as runner:
        trained(runner)
        yield runner


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """The same in this process."""
    folder = on_device(write_study(tmp_path_factory.mktemp("here"), **QUICK), "cpu")
    with opened(StudyConfig.load(folder.root), folder, Listener(), InProcess()) as runner:
        trained(runner)
        yield runner


def trained(runner: Runner) -> None:
    for planned in (planned_seed(runner.plan), planned_branches(runner.plan)):
        runner.make(Trainings(runner.plan, "training the pool"), planned)


def weighted(runner: Runner, seed: int) -> list[Weighted]:
    count = len(pool_of(runner.plan, 1).roster.members)
    weights = np.random.default_rng(seed).dirichlet(np.ones(count), 3)
    return Weighted.of(weights, [MIXTURES[0]] * 3, ["candidate"] * 3)


def merged(runner: Runner, seed: int) -> Observations:
    return runner.observe(Merges(runner.plan, "merge", pool_of(runner.plan, 1)), weighted(runner, seed))


def asked(runner: Runner) -> tuple[int, dict[str, int]]:
    ((_, answer),) = runner.executor.map(made, [Question(DEVICE)])
    return answer


def test_a_second_stage_finds_what_the_first_has_made(there: Runner) -> None:
    merged(there, 0)
    first = asked(there)
    merged(there, 1)
    ensemble_of(there.plan, pool_of(there.plan, 1), there.executor, there.progress)
    assert asked(there) == first, "the same process, the same evaluator, the same pool"
    _, counts = first
    assert counts["pool"] == counts["evaluator"] == 1


def test_a_worker_of_a_device_gives_the_bytes_of_this_process(there: Runner, here: Runner) -> None:
    assert merged(there, 2) == merged(here, 2)
    for planned in (planned_seed, planned_branches):
        for one, other in zip(planned(there.plan), planned(here.plan), strict=True):
            assert digest_of(one.run.folder) == digest_of(other.run.folder)


def digest_of(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_ensembles_are_a_product_on_the_device(there: Runner, here: Runner) -> None:
    found = []
    for runner in (there, here):
        pool = pool_of(runner.plan, 1)
        producer = Ensembles(runner.plan, ensemble_of(runner.plan, pool, runner.executor, runner.progress))
        asked_for = weighted(runner, 3)
        scores = runner.scores(producer, asked_for)
        rows = runner.observe(producer, asked_for)
        assert np.array_equal(rows.values[:, : scores.nats_per_token.shape[1]], scores.nats_per_token)
        found.append(scores.nats)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
    _, counts = asked(there)
    assert counts["probabilities"] == 1


def test_a_worker_of_a_device_keeps_its_kernels_beside_the_study(there: Runner) -> None:
    found = {}
    for device in (DEVICE, "cpu"):
        ((_, found[device]),) = there.executor.map(surroundings, [Question(device)])
    assert Path(found[DEVICE][CACHE]).parent == there.plan.folder.kernels
    assert found[DEVICE]["CUVEE_DEVICE"] == DEVICE
    assert CACHE not in found["cpu"], "there the cache of all studies is as good"
    assert there.plan.folder.kernels.name in GENERATED, "it is never taken for a source"


def test_a_cache_that_the_user_has_set_is_obeyed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(CACHE, raising=False)
    folder = StudyFolder(tmp_path)
    assert cache_environment(folder) == cache_environment(folder) != {}
    monkeypatch.setenv(CACHE, "/elsewhere")
    assert cache_environment(folder) == {}


def test_blocks_of_merges_are_shared_out_among_devices() -> None:
    assert merges_a_task("cpu", 10_000, 16) == 8
    assert merges_a_task("cuda", 10_000, 1) == 64
    assert merges_a_task("cuda", 63, 4) == 16
    assert merges_a_task("cuda", 1, 4) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_study_on_a_gpu_computes_in_its_worker_and_near_the_processor(here: Runner, tmp_path: Path) -> None:
    folder = on_device(write_study(tmp_path, **QUICK), "cuda")
    with opened(StudyConfig.load(folder.root), folder, Listener()) as runner:
        trained(runner)
        found = [merged(runner, 4), merged(here, 4)]
        ensemble = ensemble_of(runner.plan, pool_of(runner.plan, 1), runner.executor, runner.progress)
        scores = runner.scores(Ensembles(runner.plan, ensemble), weighted(runner, 4))
        ((_, (pid, counts)),) = runner.executor.map(made, [Question("cuda")])
    np.testing.assert_allclose(found[0].values, found[1].values, rtol=1e-3)
    np.testing.assert_allclose(scores.nats, ensemble.score(weights_of(runner, 4)).nats, rtol=1e-5)
    assert pid != os.getpid() and counts["pool"] == counts["evaluator"] == counts["probabilities"] == 1


def weights_of(runner: Runner, seed: int) -> FloatArray:
    return np.stack([one.weights for one in weighted(runner, seed)])
