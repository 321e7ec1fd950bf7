"""``cuvee merge``: the model that comes out has the losses that the study has for it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner, Result

from cuvee.cli.app import app
from cuvee.decisions.ablation.decision import Decision
from cuvee.execution.local import InProcess
from cuvee.merging.adapted import AdaptedPool
from cuvee.mixture.mixture import Mixture
from cuvee.models.checkpoint import Checkpoint
from cuvee.models.hugging_face import open_model, read_flat
from cuvee.report.reports import write_reports
from cuvee.seal import read_sealed
from cuvee.sources.tokenizer import train_tokenizer
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from cuvee.study.pooling import planned_branches, pool_of
from cuvee.study.producers.trained import Trainings
from cuvee.study.proxies import Proxies
from cuvee.study.survey import survey
from tests.models.tiny_models import save_random
from tests.study.given_seed import given_model, given_study
from tests.study.tiny_study import LANGUAGES, hashes, run, texts, write_study

QUICK: dict[str, Any] = {
    "seed_training": {"tokens": 10 * 256},
    "branch_training": {"tokens": 4 * 256},
    "references": {"count": 2, "replicates": 0},
    "candidates": {"count": 4},
    "check": {"seeds": 0},
}
SHARES = {"ka": 0.5, "lo": 0.3, "mi": 0.2}


@dataclass(frozen=True)
class Studied:
    folder: StudyFolder
    decision: Decision


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Studied:
    folder = write_study(tmp_path_factory.mktemp("study"), **QUICK)
    decision = run(folder)
    write_reports(decision, folder.root)
    return Studied(folder, decision)


def merge(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["merge", *map(str, arguments)])


def losses_of(folder: StudyFolder, mixture: Mixture) -> np.ndarray:
    """What the study says of a mixture's merge, on all windows."""
    with opened(StudyConfig.load(folder.root), folder, executor=InProcess()) as runner:
        return Proxies.of(runner).whole_merges([mixture], "asked")[0]


def evaluated(folder: StudyFolder, model: Path) -> np.ndarray:
    """Losses of a model folder on the evaluations of a study."""
    with opened(StudyConfig.load(folder.root), folder, executor=InProcess()) as runner:
        evaluator = runner.plan.bench.evaluator()
        return evaluator.score(read_flat(model, open_model(model))).nats_per_token


def by_transformers(folder: StudyFolder, model: Path) -> np.ndarray:
    """The same through ``AutoModelForCausalLM`` alone, window by window."""
    from transformers import AutoModelForCausalLM

    module = AutoModelForCausalLM.from_pretrained(model)
    with opened(StudyConfig.load(folder.root), folder, executor=InProcess()) as runner:
        evaluator = runner.plan.bench.evaluator()
        inputs, targets = evaluator.inputs, evaluator.targets
        with torch.no_grad():
            logits = module(input_ids=inputs.long(), use_cache=False).logits.log_softmax(-1)
        found = logits.gather(-1, targets.long()[..., None])[..., 0].flatten().double().numpy()
        log_probs, documents = found[evaluator.scored], evaluator.documents
        nats = np.add.reduceat(-log_probs, np.concatenate([[0], np.cumsum(documents.tokens)[:-1]]))
        return documents.means(nats[None])[0]


def test_the_saved_merge_has_the_losses_of_the_study(
    studied: Studied, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    shares = ",".join(f"{name}={share}" for name, share in SHARES.items())
    result = merge(studied.folder.root, "--shares", shares, "--output", tmp_path / "model", "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["method"], said["mixture"]) == ("linear", {**SHARES, "nu": 0.0})
    known = losses_of(studied.folder, Mixture.of(said["mixture"]))
    again = evaluated(studied.folder, tmp_path / "model"), by_transformers(studied.folder, tmp_path / "model")
    for found in again:
        np.testing.assert_allclose(found, known, rtol=0, atol=1e-6)
    furthest = max(float(np.abs(found - known).max()) for found in again)
    record_property("measured", f"by cuvee and by transformers: differ by {furthest:.1g} nats at most")


def test_the_folder_is_whole_and_says_where_it_comes_from(studied: Studied, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    output = tmp_path / "out" / "model"
    result = merge(studied.folder.root, "--output", output)
    assert result.exit_code == 0, result.output
    assert "merged by the method linear" in result.stdout
    assert AutoTokenizer.from_pretrained(output).vocab_size == 300
    checkpoint = Checkpoint.load(output)
    checkpoint.read_flat(open_model(output))
    lineage = read_sealed(output / "merge.json")
    picked = {one.source: one.share for one in studied.decision.mixture}
    assert lineage["mixture"] == pytest.approx(picked)
    assert lineage["study"] == "four languages"
    assert [one["source"] for one in lineage["members"]] == list(LANGUAGES)
    for one in lineage["members"]:
        assert one["weight"] == pytest.approx(picked[one["source"]])
        assert Checkpoint.load(studied.folder.checkpoint(one["run"])).content_hash == one["content_hash"]


def test_status_and_ledger_have_one_number_of_merges(studied: Studied) -> None:
    """The pick and what is asked about it are among them, and were not planned."""
    (row,) = [
        one for one in studied.decision.ledger if (one.stage, one.kind) == ("scoring mixtures", "merged")
    ]
    config = StudyConfig.load(studied.folder.root)
    (shown,) = [one for one in survey(config, studied.folder).stages if one.title == "merges"]
    assert (shown.done, shown.total) == (row.count, row.count)
    assert row.count > config.candidates.count + config.references.count


def test_the_verdict_and_the_mixture_are_said(studied: Studied, tmp_path: Path) -> None:
    """As an export says them."""
    result = merge(studied.folder.root, "--output", tmp_path / "model")
    standing, largest = (
        studied.decision.verdict.standing,
        max(studied.decision.mixture, key=lambda one: one.share),
    )
    assert standing != "confirmed"
    assert f"note: decision.json is {standing} by training" in result.stderr
    assert f"for {largest.share:.0%} {largest.source}" in result.stdout
    said = merge(studied.folder.root, "--output", tmp_path / "again", "--json")
    assert any(standing in note for note in json.loads(said.stdout)["notes"])
    of_mine = merge(studied.folder.root, "--shares", "ka=.7,lo=.3", "--output", tmp_path / "mine")
    assert of_mine.stdout.rstrip().endswith("for 70% ka, 30% lo") and "note:" not in of_mine.stderr


def test_mergekit_is_given_the_same_merge(studied: Studied, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(json.dumps(SHARES))
    output = tmp_path / "model"
    assert merge(studied.folder.root, "--mixture", tmp_path / "mine.json", "--output", output).exit_code == 0
    recipe = yaml.safe_load((output / "mergekit.yml").read_text())
    assert (recipe["merge_method"], recipe["dtype"]) == ("linear", "float32")
    assert recipe["parameters"] == {"normalize": True}
    weights = [one["parameters"]["weight"] for one in recipe["models"]]
    assert sum(weights) == pytest.approx(1.0) and weights == pytest.approx(list(SHARES.values()))
    assert not any(Path(one["model"]).is_absolute() for one in recipe["models"])
    model = open_model(output)
    parts = [read_flat((output / one["model"]).resolve(), model) for one in recipe["models"]]
    by_hand = sum(weight * part.double() for weight, part in zip(weights, parts, strict=True))
    torch.testing.assert_close(read_flat(output, model).double(), by_hand, rtol=0, atol=1e-6)


def test_mergekit_reads_no_adapter_out_of_a_path(studied: Studied, tmp_path: Path) -> None:
    copy = StudyFolder(tmp_path / "c++ @ home")
    shutil.copytree(studied.folder.root, copy.root)
    output = tmp_path / "model"
    assert merge(copy.root, "--shares", "ka=1", "--output", output).exit_code == 0
    (one,) = yaml.safe_load((output / "mergekit.yml").read_text())["models"]
    assert (output / one["model"]["model"]["path"] / "model.safetensors").is_file()


def test_the_same_merge_is_the_same_bytes(studied: Studied, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()  # an empty folder will do
        assert (
            merge(studied.folder.root, "--shares", "ka=.25,nu=.75", "--output", tmp_path / name).exit_code
            == 0
        )
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--shares", "ka=.5,zz=.5"), "no source 'zz' in the pool; there are: ka, lo, mi, nu"),
        (("--shares", "ka=.5,lo=.4"), "shares sum to 0.9, not to 1"),
        (("--shares", "ka=.5,lo=half"), "--shares lo=half"),
        (("--shares", "ka"), "--shares ka: say NAME=VALUE"),
        (("--shares", "ka=1", "--mixture", "x.json"), "give one of them"),
        (("--mixture", "nowhere.json"), "nowhere.json does not exist"),
    ],
)
def test_what_makes_no_sense_is_refused(
    studied: Studied, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = merge(studied.folder.root, *arguments, "--output", tmp_path / "model")
    assert result.exit_code == 2 and said in result.stderr
    assert not (tmp_path / "model").exists()


def test_a_place_where_something_lies_is_refused(studied: Studied, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "mine.txt"):
        result = merge(studied.folder.root, "--shares", "ka=1", "--output", place)
        assert result.exit_code == 2 and "something lies there already" in result.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["mine.txt"]


def test_a_study_without_a_pool_is_refused(studied: Studied, tmp_path: Path) -> None:
    fresh = write_study(tmp_path / "fresh", **QUICK)
    result = merge(fresh.root, "--shares", "ka=1", "--output", tmp_path / "model")
    assert result.exit_code == 2
    assert "a merge needs a trained pool, and no model of the pool is trained; `cuvee run" in result.stderr
    assert merge(fresh.root, "--output", tmp_path / "model").exit_code == 2, "there is no decision either"
    copy = StudyFolder(tmp_path / "copy")
    shutil.copytree(studied.folder.root, copy.root)
    with opened(StudyConfig.load(copy.root), copy, executor=InProcess()) as runner:
        shutil.rmtree(runner.plan.branch("mi", 0).folder)
    result = merge(copy.root, "--shares", "ka=1", "--output", tmp_path / "model")
    assert result.exit_code == 2 and "the branch of mi is not there as planned now" in result.stderr


def test_a_merge_by_another_method_is_that_of_the_study(studied: Studied, tmp_path: Path) -> None:
    copy = StudyFolder(tmp_path / "copy")
    shutil.copytree(studied.folder.root, copy.root)
    written = yaml.safe_load((copy.root / "study.yaml").read_text())
    (copy.root / "study.yaml").write_text(yaml.safe_dump(written | {"merging": {"method": "regmean"}}))
    output = tmp_path / "model"
    result = merge(copy.root, "--shares", "ka=.5,lo=.5", "--output", output)
    assert result.exit_code == 0, result.output
    assert read_sealed(output / "merge.json")["method"] == "regmean"
    assert not (output / "mergekit.yml").exists(), "mergekit has no such method"
    known = losses_of(copy, Mixture.of({"ka": 0.5, "lo": 0.5, "mi": 0.0, "nu": 0.0}))
    np.testing.assert_allclose(evaluated(copy, output), known, rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", ["linear", "regmean"])
def test_a_merge_of_a_checkpoint_that_was_given_is_of_its_architecture(tmp_path: Path, method: str) -> None:
    tokenizer = train_tokenizer((text for name in LANGUAGES for text in texts(name)), 300, tmp_path / "bpe")
    save_random(tmp_path / "gpt2", "gpt2", tokenizer.vocabulary_size)
    for file in (tmp_path / "bpe").iterdir():
        shutil.copyfile(file, tmp_path / "gpt2" / file.name)
    folder = write_study(
        tmp_path / "study",
        **QUICK | {"seed_training": {"tokens": 0}},
        merging={"method": method},
    )
    written = yaml.safe_load((folder.root / "study.yaml").read_text())
    written |= {
        "model": {"folder": str(tmp_path / "gpt2"), "context_length": 24},
        "tokenizer": {},
        "split": {},
    }
    (folder.root / "study.yaml").write_text(yaml.safe_dump(written))
    run(folder)
    output = tmp_path / "model"
    assert merge(folder.root, "--shares", "ka=.5,lo=.5", "--output", output).exit_code == 0
    assert json.loads((output / "config.json").read_text())["model_type"] == "gpt2"
    known = losses_of(folder, Mixture.of({"ka": 0.5, "lo": 0.5, "mi": 0.0, "nu": 0.0}))
    np.testing.assert_allclose(by_transformers(folder, output), known, rtol=0, atol=1e-6)


def test_a_merge_of_adapters_is_a_whole_model(tmp_path: Path) -> None:
    seed = given_model(tmp_path / "seed", "gpt2")
    file = given_study(tmp_path / "study", seed, model={"adapters": {"rank": 2}})
    (tmp_path / "study" / "study.yaml").write_text(yaml.safe_dump(file))
    folder = StudyFolder(tmp_path / "study")
    with opened(StudyConfig.load(folder.root), folder, executor=InProcess()) as runner:
        runner.make(Trainings(runner.plan, "training the pool"), planned_branches(runner.plan))
    result = merge(folder.root, "--shares", "ka=.5,lo=.5", "--output", tmp_path / "merged")
    assert result.exit_code == 0, result.output
    model = open_model(tmp_path / "merged")
    flat = read_flat(tmp_path / "merged", model)
    with opened(StudyConfig.load(folder.root), folder, executor=InProcess()) as runner:
        pool = pool_of(runner.plan, 1)
    adapted = pool.model if isinstance(pool, AdaptedPool) else None
    assert adapted is not None
    whole = {name: adapted.full(pool.branch(name)) for name in pool.roster.names}
    torch.testing.assert_close(flat, 0.5 * (whole["ka"] + whole["lo"]), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(flat, adapted.frozen)
    assert not (tmp_path / "merged" / "mergekit.yml").exists(), "it averages whole models"
    assert sum(one["weight"] for one in read_sealed(tmp_path / "merged" / "merge.json")["members"]) == 1
