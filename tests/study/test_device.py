"""A study made on a GPU, opened where there is none: its answers can be read, and nothing else is begun."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

import cuvee
from cuvee.cli.app import app
from cuvee.decisions.ablation.decision import Decision
from cuvee.errors import ConfigError
from cuvee.models.llama import KERNELS
from cuvee.notebook import OpenedStudy
from cuvee.study.file.folder import StudyFolder
from cuvee.study.plan.numerics import COMPILE_FROM_FLOPS, Numerics, missing_device
from tests.study.tiny_study import hashes
from tests.test_fixtures import LANGUAGES, unpacked

DEVICE = "cuda:7"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study with its answers, as from a machine with eight GPUs; its text stayed there."""
    if torch.cuda.is_available() and torch.cuda.device_count() > 7:
        pytest.skip(f"there is a {DEVICE}")
    root = unpacked("answered", tmp_path)
    (root / "numerics.json").write_text(
        json.dumps({"dtype": "bfloat16", "compiled": True, "device": DEVICE}), encoding="utf-8"
    )
    shutil.rmtree(root / "text")
    return root


def asked(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "120"})


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("status", "--json"),
        ("report",),
        ("export", "--to", "trl"),
        ("export", "--to", "levanter"),
    ],
)
def test_what_only_reads_works_without_the_device(study: Path, words: tuple[str, ...]) -> None:
    result = asked(words[0], study, *words[1:])
    assert result.exit_code == 0, result.output


def test_python_opens_it(study: Path) -> None:
    opened = cuvee.open(study)
    assert isinstance(opened, OpenedStudy)
    assert isinstance(opened.decisions["run"], Decision)
    assert len(opened.observations)
    assert opened.fit().law is not None
    with pytest.raises(ConfigError, match=DEVICE):
        opened.score({LANGUAGES[0]: 1.0})


@pytest.mark.parametrize(
    "words",
    [
        ("run", "STUDY"),
        ("run", "STUDY", "--plan"),
        ("check", "STUDY"),
        ("check", "STUDY", "--plan"),
        ("scale", "STUDY"),
        ("search", "STUDY"),
        ("search", "STUDY", "--plan"),
        ("value", "STUDY", "--target", LANGUAGES[0]),
        ("value", "STUDY", "--target", LANGUAGES[0], "--plan"),
        ("select", "new", "--target", LANGUAGES[0], "--budget", "100", "--study", "STUDY"),
        ("trace", "STUDY", "a claim"),
        ("merge", "STUDY", "--output", "STUDY/merged"),
        ("change", "STUDY", "drop", LANGUAGES[0]),
        ("change", "STUDY", "drop", LANGUAGES[0], "--plan"),
        ("add-source", "STUDY", "more", "STUDY/study.yaml"),
    ],
)
def test_what_computes_is_refused_before_any_text_is_read(study: Path, words: tuple[str, ...]) -> None:
    before = hashes(study)
    result = asked(*(word.replace("STUDY", str(study)) for word in words))
    assert result.exit_code == 2, result.output
    (said,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert f"{study / 'numerics.json'}: the study computes on {DEVICE}" in said
    assert '"device": "cpu"' in said and "`cuvee status`, `report` and `export`" in said
    after = hashes(study)
    assert {name: after[name] for name in before} == before


def test_on_the_processor_it_goes_on(study: Path) -> None:
    """As the message says: only the device is another one."""
    written = study / "numerics.json"
    written.write_text(written.read_text(encoding="utf-8").replace(DEVICE, "cpu"), encoding="utf-8")
    found = Numerics.written(StudyFolder(study))
    assert found is not None and found.device == "cpu" and found.dtype == "bfloat16"


@pytest.mark.parametrize(
    ("device", "gpus", "said"),
    [
        ("cpu", 0, ""),
        ("cuda", 1, ""),
        ("cuda:1", 2, ""),
        ("cuda", 0, "torch finds no GPU on this machine. Go on on a machine that has one"),
        ("cuda:3", 0, "the study computes on cuda:3, and torch finds no GPU"),
        ("cuda:3", 1, "this machine has only cuda:0. Write one"),
        ("cuda:3", 2, "this machine has cuda:0 to cuda:1. Write one"),
    ],
)
def test_a_device_that_is_missing_is_named_with_those_that_are_there(
    device: str, gpus: int, said: str
) -> None:
    found = missing_device(device, gpus)
    assert said in found if said else not found


@pytest.mark.parametrize(("flops", "version"), [(0.5 * COMPILE_FROM_FLOPS, 0), (COMPILE_FROM_FLOPS, KERNELS)])
def test_a_study_that_begins_now_says_by_which_version_it_compiles(
    tmp_path: Path, flops: float, version: int
) -> None:
    if torch.cuda.is_available() or shutil.which("g++") is None:
        pytest.skip("of a processor with a compiler")
    chosen = Numerics.of(StudyFolder(tmp_path), flops)
    assert (chosen.compiled, chosen.kernels) == (version > 0, version)
    assert Numerics.of(StudyFolder(tmp_path), 0.0) == chosen


def test_a_study_from_before_versions_keeps_its_own(tmp_path: Path) -> None:
    said = {"dtype": "bfloat16", "compiled": True, "device": "cpu"}
    (tmp_path / "numerics.json").write_text(json.dumps(said), encoding="utf-8")
    assert Numerics.of(StudyFolder(tmp_path), COMPILE_FROM_FLOPS).kernels == 0
