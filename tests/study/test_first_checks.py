"""What is refused before any text is read: here there is none, and nobody gets as far as missing it."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from cuvee.errors import CheckpointError, ConfigError, MissingSource
from cuvee.execution.local import InProcess
from cuvee.flows.search import flow as search
from cuvee.flows.value import flow as valuing
from cuvee.flows.value import outlook as valuing_planned
from cuvee.flows.value.question import ValueQuestion
from cuvee.models.config import MAXIMUM_PARAMETERS, MINIMUM_PARAMETERS
from cuvee.progress import Silent
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.file.settings import ModelSettings
from cuvee.study.opening import opened
from cuvee.study.seed_moments import BY_DEFAULT, WITHOUT_MOMENTS, default_valuer, no_moments
from tests.study.given_seed import given_model, given_study
from tests.study.tiny_study import SEED_DATA, settings


def without_text(root: Path, **changes: Any) -> StudyFolder:
    (root / "study.yaml").write_text(yaml.safe_dump(settings(**changes)))
    return StudyFolder(root)


def begun(folder: StudyFolder) -> None:
    with opened(StudyConfig.load(folder.root), folder, Silent(), InProcess()):
        raise AssertionError("it was opened")


def test_text_is_what_is_missing_otherwise(tmp_path: Path) -> None:
    with pytest.raises(MissingSource):
        begun(without_text(tmp_path))


@pytest.mark.skipif(find_spec("lm_eval") is not None, reason="the extra eval is installed")
def test_tasks_without_the_harness(tmp_path: Path) -> None:
    folder = without_text(tmp_path, downstream=["arc_easy"])
    with pytest.raises(
        ConfigError, match=r"'arc_easy' needs lm-evaluation-harness: pip install 'cuvee\[eval"
    ):
        begun(folder)


def test_a_file_of_requests_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'ours': .*ours.json does not exist"):
        begun(without_text(tmp_path, downstream=[{"task": "ours.json"}]))


def test_a_model_that_cannot_be_built(tmp_path: Path) -> None:
    folder = without_text(tmp_path, model={"parameters": 150_000}, tokenizer={"vocabulary": 60_000})
    with pytest.raises(ConfigError, match="no model of 150000 parameters with a vocabulary of 60000"):
        begun(folder)


@pytest.mark.parametrize("size", [MINIMUM_PARAMETERS - 1, MAXIMUM_PARAMETERS + 1])
def test_sizes_outside_the_range_are_refused_by_the_file(tmp_path: Path, size: int) -> None:
    folder = without_text(tmp_path, model={"parameters": size})
    with pytest.raises(ConfigError, match=r"model\.parameters"):
        StudyConfig.load(folder.root)
    said = ModelSettings.model_fields["parameters"].description or ""
    assert f"{MINIMUM_PARAMETERS:,} to {MAXIMUM_PARAMETERS // 10**9} billion" in said


def test_a_masked_model_without_a_mask(tmp_path: Path) -> None:
    seed = given_model(tmp_path / "bert", "bert", max_position_embeddings=64)
    study = given_study(tmp_path / "study", seed)
    shutil.rmtree(tmp_path / "study/text")
    (tmp_path / "study/study.yaml").write_text(yaml.safe_dump(study))
    with pytest.raises(CheckpointError, match="its tokenizer names no mask_token"):
        begun(StudyFolder(tmp_path / "study"))


MUON = {"seed_training": SEED_DATA | {"tokens": 2560, "optimizer": "muon"}}
ASKED = ValueQuestion("ka", (BY_DEFAULT,))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (MUON, "seed_training.optimizer is muon, which keeps none"),
        (
            {"reference_training": {"optimizer": "muon", "optimizer_state": "fresh"}},
            "reference_training.optimizer is muon",
        ),
        ({"reference_training": {"optimizer_state": "fresh"}}, "reference_training.optimizer_state is fresh"),
    ],
)
def test_values_that_need_moments_which_are_not_there(
    tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    folder = without_text(tmp_path, **changes)
    config = StudyConfig.load(folder.root)
    for asked in (
        lambda: valuing.run(config, folder, ASKED, executor=InProcess()),
        lambda: valuing_planned.outlook(config, folder, question=ASKED),
    ):
        with pytest.raises(ConfigError, match=f"{why}.*say --method {WITHOUT_MOMENTS}"):
            asked()
    assert default_valuer(config) == WITHOUT_MOMENTS
    duet = config.searching({"document_values": BY_DEFAULT})
    with pytest.raises(ConfigError, match=f"{why}.*say search.document_values {WITHOUT_MOMENTS}"):
        search.run(duet, folder, executor=InProcess())


def test_moments_that_are_there(tmp_path: Path) -> None:
    config = StudyConfig.load(without_text(tmp_path).root)
    assert not no_moments(config) and default_valuer(config) == BY_DEFAULT
    raw = json.loads(json.dumps(settings())) | {"model": {"folder": "somewhere", "context_length": 8}}
    del raw["seed_training"], raw["split"]
    given = StudyConfig.parse(raw, tmp_path)
    assert "model.folder comes without it" in no_moments(given)
