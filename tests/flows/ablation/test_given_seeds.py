"""Whole studies on model folders of others: their shapes, their number format, their tokenizer."""

import json
from pathlib import Path
from typing import Any

import pytest

from cuvee.models.checkpoint import Checkpoint
from cuvee.models.hugging_face import HuggingFaceModel, open_model
from cuvee.study.file.folder import StudyFolder
from tests.study.given_seed import given_model, given_study
from tests.study.tiny_study import LANGUAGES, run


def written(root: Path, study: dict[str, Any]) -> StudyFolder:
    (root / "study.yaml").write_text(json.dumps(study))  # JSON is YAML
    return StudyFolder(root)


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
