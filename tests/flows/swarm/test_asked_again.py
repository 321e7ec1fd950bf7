"""The answer of `cuvee swarm` and those of other commands beside it: none replaces another."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cuvee.cli.app import app
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder, owner_of
from cuvee.study.source_facts import facts_beside
from cuvee.study.trainer_origin import TrainerOrigin
from tests.flows.swarm.swarm_study import swarm_study
from tests.study.tiny_study import LANGUAGES, hashes


def cuvee(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A study whose folder ``swarm`` holds an answer, of one law for the sake of time; beside it that of
    `cuvee fit`."""
    tmp_path = tmp_path_factory.mktemp("answered")
    folder = swarm_study(tmp_path / "study")
    rows = [(0.7, 0.1, 0.1, 0.1), (0.1, 0.7, 0.1, 0.1), (0.1, 0.1, 0.7, 0.1), (0.1, 0.1, 0.1, 0.7)]
    rows += [(0.4, 0.4, 0.1, 0.1), (0.1, 0.4, 0.4, 0.1), (0.1, 0.1, 0.4, 0.4), (0.4, 0.1, 0.1, 0.4)]
    lines = [",".join([*(f"share/{name}" for name in LANGUAGES), "ka_loss"])]
    lines += [",".join(map(str, (*row, 3.0 - row[0] + row[1] ** 2))) for row in rows]
    (tmp_path / "runs.csv").write_text("\n".join(lines) + "\n")
    fitted = cuvee("fit", tmp_path / "runs.csv", "--law", "linear", "--out", tmp_path / "fit")
    assert fitted.exit_code == 0, fitted.output
    shutil.copytree(tmp_path / "fit", folder.swarm, dirs_exist_ok=True)
    return folder


def test_asking_again_leaves_the_answer_of_the_swarm_alone(answered: StudyFolder) -> None:
    before = hashes(answered.swarm)
    result = cuvee("optimise", answered.swarm, "--law", "linear", "--cap", "ka=0.3")
    assert result.exit_code == 0, result.output
    again = answered.swarm / "optimise"
    assert {key: value for key, value in hashes(answered.swarm).items() if key in before} == before
    assert f"answer: {again / 'fit.json'}, again: cuvee optimise {again}" in result.output
    shares = {one["source"]: one["share"] for one in json.loads((again / "fit.json").read_text())["mixture"]}
    assert shares["ka"] <= 0.3 + 1e-9
    third = cuvee("optimise", again, "--law", "linear", "--cap", "ka=0.2")  # its own it may replace
    assert third.exit_code == 0, third.output
    assert not (again / "optimise").exists()
    assert set(facts_beside(again)) == set(LANGUAGES)


@pytest.mark.parametrize(("place", "owner"), [(".", "run"), ("swarm", "swarm")])
def test_no_other_command_writes_where_a_study_answers(answered: StudyFolder, place: str, owner: str) -> None:
    before, beside = hashes(answered.root), answered.root.parent
    for command in (("fit", beside / "runs.csv"), ("optimise", beside / "fit")):
        result = cuvee(*command, "--law", "linear", "--out", answered.root / place)
        assert result.exit_code == 2
        assert f"the answer of `cuvee {owner}` has its place there" in result.stderr
    assert hashes(answered.root) == before


def test_other_folders_have_no_owner(answered: StudyFolder) -> None:
    beside = answered.root.parent
    assert [owner_of(one) for one in (beside / "fit", beside, answered.swarm / "optimise")] == [""] * 3


def notes(folder: StudyFolder) -> list[str]:
    """What `cuvee status` and an export of the answer say of its age, without what stands around it."""
    said = [one for one in cuvee("status", folder.root).output.splitlines() if "was made from" in one]
    exported = cuvee("export", folder.swarm, "--to", "megatron", "--json")
    assert exported.exit_code == 0, exported.output
    kept = [one for one in json.loads(exported.stdout)["notes"] if "was made from" in one]
    assert len(said) == len(kept)
    return [one.partition("was made from ")[2] for one in (*said, *kept)]


def origin_of(folder: StudyFolder) -> TrainerOrigin:
    return TrainerOrigin.of(StudyConfig.load(folder.root), folder)


def test_an_answer_of_a_trainer_that_changed_is_called_outdated(
    answered: StudyFolder, tmp_path: Path
) -> None:
    root = tmp_path / "study"
    shutil.copytree(answered.root, root)
    folder, file, trainer = StudyFolder(root), root / "study.yaml", root / "trainer.py"
    assert notes(folder) == [], "answers of earlier versions do not say what they were made from"
    origin_of(folder).write(folder, "swarm")
    assert notes(folder) == []
    trainer.touch()
    assert notes(folder) == [], "the same content"
    before = trainer.read_text()
    trainer.write_text(f"{before}\n# another rate\n")
    assert notes(folder) == [
        "other content of trainer.py (`trainer.command`); run it again",
        "other content of trainer.py (`trainer.command`); `cuvee swarm` makes it anew",
    ]
    trainer.write_text(before)
    assert notes(folder) == []
    asked = file.read_text()
    file.write_text(f"{asked}price: {{gpu_hour: 3, currency: EUR}}\n")
    assert notes(folder) == [], "of no use to a run"
    for other in (
        asked.replace("--seed {seed}", "--seed 1{seed}"),
        f"{asked}limits: {{maximum: {{ka: 0.5}}}}\n",
    ):
        file.write_text(other)
        assert [one.partition(",")[0] for one in notes(folder)] == ["another study file"] * 2
    file.write_text(asked)
    (folder.swarm / "made_from.json").write_text("{")
    assert notes(folder) == []


@pytest.mark.slow  # a fit of all laws
def test_a_swarm_keeps_what_its_answer_was_made_from(tmp_path: Path) -> None:
    folder = swarm_study(tmp_path, count=6, metrics=["loss_ka"])
    assert cuvee("swarm", folder.root, "--limit", 2).exit_code == 0
    assert TrainerOrigin.read(folder, "swarm") is None, "no answer yet"
    assert cuvee("swarm", folder.root).exit_code == 0
    assert TrainerOrigin.read(folder, "swarm") == origin_of(folder)
    assert not any("was made from" in one for one in notes(folder))
    with (folder.root / "trainer.py").open("a") as trainer:
        trainer.write("# another\n")
    assert len(notes(folder)) == 2


def test_a_study_that_names_no_command_is_refused_in_words(tmp_path: Path) -> None:
    result = cuvee("swarm", swarm_study(tmp_path, command="").root)
    assert result.exit_code == 2 and "trainer.command: names no command" in result.stderr
