"""Trainers that leave a model, which is measured on the evaluations of the study."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cuvee.execution.local import InProcess
from cuvee.flows.swarm import flow
from cuvee.flows.swarm.flow import Swarm
from cuvee.flows.swarm.question import question_of
from cuvee.models.config import ModelConfig
from cuvee.models.hugging_face import save_llama
from cuvee.models.llama import Llama
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from tests.flows.swarm.swarm_study import swarm_study
from tests.study.tiny_study import LANGUAGES, Listener, texts, write_texts

COPY = 'cp model/* "$2" && cp "$3"/* "$2"'
"""A trainer that hands out the model it has, with the tokenizer of the study."""
VOCABULARY = 300


def model_study(root: Path, script: str = COPY, **changes: Any) -> StudyFolder:
    command = f"/bin/sh -c '{script}' copy {{mixture}} {{output}} {{tokenizer}}"
    return swarm_study(root, **{"command": command, "returns": "model", "metrics": [], "count": 2} | changes)


def write_model(
    root: Path, broken: bool = False, vocabulary: int = VOCABULARY, context: int = 32
) -> torch.Tensor:
    config = ModelConfig(vocabulary, context, 16, 1, 1, 32)
    flat = Llama(config).initial(3)
    if broken:
        flat[5] = float("nan")
    (root / "model").mkdir()
    save_llama(root / "model", config, flat)
    return flat


def run(folder: StudyFolder, listener: Listener | None = None) -> Swarm:
    return flow.run(StudyConfig.load(folder.root), folder, listener or Listener(), InProcess())


def test_a_model_is_measured_on_the_evaluations_of_the_study(tmp_path: Path) -> None:
    folder = model_study(tmp_path)
    flat = write_model(tmp_path)
    observed = run(folder).observations
    assert observed.metrics == tuple(
        f"{unit}/{name}" for unit in ("bits_per_byte", "nats_per_token") for name in LANGUAGES
    )
    assert observed.params.tolist() == [flat.numel()] * 2
    with opened(StudyConfig.load(tmp_path), folder, Listener(), InProcess()) as runner:
        bench = runner.plan.bench
        expected = [np.log(VOCABULARY)] * len(LANGUAGES)  # it has learnt nothing
        assert observed.values_of("nats_per_token/")[0] == pytest.approx(expected, abs=0.1)
        assert len(bench.evaluations) == len(LANGUAGES)


def test_a_new_evaluation_measures_models_that_are_there(tmp_path: Path) -> None:
    folder = model_study(tmp_path, f'echo x >> "$2"/attempts && {COPY}')
    write_model(tmp_path)
    run(folder)
    write_texts(tmp_path / "new.jsonl", texts("ka", documents=8, seed=1))
    with (tmp_path / "study.yaml").open("a") as file:
        file.write("evaluations: {new: {paths: new.jsonl}}\n")
    observed = run(folder).observations
    assert "nats_per_token/new" in observed.metrics
    attempts = [path.read_text() for path in (folder.swarm / "runs").glob("*/output/attempts")]
    assert set(attempts) == {"x\n"}, "trained once"


def test_a_trainer_whose_models_are_measured_never_reads_what_is_held_out(tmp_path: Path) -> None:
    folder = model_study(tmp_path, format="hugging-face")
    write_model(tmp_path)
    found = run(folder)
    mixture = (next(found.runs.iterdir()) / "mixture.py").read_text()
    files = sorted((folder.swarm / "text").glob("*/*.jsonl"))
    assert all(f"'{file}'" in mixture or f'"{file}"' in mixture for file in files)
    with opened(StudyConfig.load(tmp_path), folder, Listener(), InProcess()) as runner:
        corpus = runner.plan.material.corpus
        for place, name in enumerate(LANGUAGES):
            [file] = (folder.swarm / "text").glob(f"*/{place:03d}.jsonl")
            texts = {json.loads(line)["text"] for line in file.read_text().splitlines()}
            held_out = {one.text for one in corpus.documents(name, "eval")}
            training = {one.text for part in ("seed", "unit-0") for one in corpus.documents(name, part)}
            assert texts == training
            assert not texts & held_out


@pytest.mark.parametrize(
    ("script", "broken", "said"),
    [
        ('cp model/* "$2"', False, "no tokenizer"),
        (
            'cp model/* "$2" && sed s/false/true/ "$3"/tokenizer.json > "$2"/tokenizer.json',
            False,
            "is not that of the study",
        ),
        (COPY, True, "1 of its 7"),
        ('cp "$3"/* "$2"', False, "holds no config.json"),
    ],
)
def test_a_model_that_cannot_be_measured_is_a_failure_in_words(
    tmp_path: Path, script: str, broken: bool, said: str
) -> None:
    folder = model_study(tmp_path, script)
    write_model(tmp_path, broken)
    failed = run(folder).failed
    assert len(failed) == 2
    assert said in (failed[0].error or "")


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ({"vocabulary": 200}, "has 200 tokens in its vocabulary, but the study needs 300"),
        ({"context": 16}, "has 16 tokens of context, but the study needs 32"),
    ],
)
def test_a_model_that_cannot_read_the_evaluations_is_a_failure(
    tmp_path: Path, size: dict[str, int], said: str
) -> None:
    folder = model_study(tmp_path)
    write_model(tmp_path, vocabulary=size.get("vocabulary", VOCABULARY), context=size.get("context", 32))
    assert said in (run(folder).failed[0].error or "")


def test_the_target_of_the_study_weighs_what_is_measured(tmp_path: Path) -> None:
    config = StudyConfig.load(model_study(tmp_path).root)
    weights = question_of(config, dict.fromkeys(LANGUAGES, 100)).weights
    assert weights == {f"nats_per_token/{name}": 0.25 for name in LANGUAGES}


@pytest.mark.slow
def test_a_trainer_of_plain_transformers(tmp_path: Path) -> None:
    arguments = "{mixture} --output {output} --tokens {tokens} --seed {seed} --tokenizer {tokenizer}"
    folder = model_study(
        tmp_path,
        command=f"'{sys.executable}' trainer.py --mixture {arguments}",
        format="hugging-face",
        count=6,
        tokens=40 * 256,
    )
    shutil.copyfile(Path(__file__).with_name("plain_trainer.py"), tmp_path / "trainer.py")
    found = run(folder)
    assert found.statement == "6 of 6 runs are done."
    losses, shares = found.observations.values_of("nats_per_token/"), found.observations.shares
    assert (losses.mean(axis=1) < np.log(VOCABULARY) - 1.0).all()
    for place in range(len(LANGUAGES)):
        assert np.corrcoef(losses[:, place], shares[:, place])[0, 1] < -0.5
