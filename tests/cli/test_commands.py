"""Each command: which library call results, what it prints where, and how it leaves."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cuvee.cli.app import app
from cuvee.cli.output import show
from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.answers.answers import sentences
from cuvee.decisions.interval import Interval
from cuvee.errors import CuveeError, MissingSource, NonFiniteLoss
from cuvee.flows.fit.folder import load_decision
from cuvee.mixture.mixture import Mixture
from cuvee.report.reports import printout_of
from cuvee.runs.run import Run
from cuvee.runs.store import RunStore
from cuvee.study.answers import read_answers
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.plan.agenda import Intended, set_out
from cuvee.study.start import demo as library_demo
from tests.cli.flow import FakeFlow, install
from tests.flows.fit.test_flow import table as runs_table
from tests.flows.scale.scale_cases import ladder
from tests.report.cases import small

STUDY = "schema: 1\nsources:  # ours\n  web: web\n  code: code\n"


@pytest.fixture
def flow(monkeypatch: pytest.MonkeyPatch) -> FakeFlow:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return install(monkeypatch)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


def cuvee(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def printed(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


# --- run --------------------------------------------------------------------------------------------


def test_run_answers_the_study_and_writes_its_reports(flow: FakeFlow, study: Path) -> None:
    result = cuvee("run", study)
    assert result.exit_code == 0, result.stderr
    assert flow.asked == [(StudyConfig.load(study), StudyFolder(study.parent))]
    decision = small()
    for sentence in decision.headline:
        assert sentence in result.stdout
    for entry in decision.mixture:
        assert entry.source in result.stdout
        assert f"{entry.share:.1%}" in result.stdout
    for row in decision.predictions[1:]:
        assert row.evaluation in result.stdout
    assert f"report: {study.parent / 'report.html'}" in result.stdout
    assert "<html" in (study.parent / "report.html").read_text()
    assert Decision.from_json(json.loads((study.parent / "decision.json").read_text())) == decision


def test_run_sets_the_other_answers_of_the_study_beside_its_own(flow: FakeFlow, study: Path) -> None:
    assert "Answers of this study" not in cuvee("run", study).stdout
    (study.parent / "scale.json").write_text(json.dumps(ladder().judged().as_json()))
    (study.parent / "search.json").write_text("damaged")
    result = cuvee("run", study)
    assert result.exit_code == 0, result.stderr
    said = sentences(read_answers(study.parent, small()))
    assert len(said) == 4 and said[-1].startswith("search.json is passed over: ")
    for words in ("Answers of this study", "cuvee scale", "confirmed by training", "60% (55% to 65%)", *said):
        assert words in result.stdout


def test_progress_goes_to_standard_error(flow: FakeFlow, study: Path) -> None:
    result = cuvee("run", study)
    assert result.stderr.splitlines()[:2] == ["train the pool: 1M tokens", "a finding"]
    assert "a finding" not in result.stdout


def test_run_as_json_prints_the_decision_and_nothing_else(flow: FakeFlow, study: Path) -> None:
    assert Decision.from_json(printed(cuvee("run", study, "--json"))) == small()


def test_run_means_the_study_where_you_are(
    flow: FakeFlow, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study.parent)
    assert cuvee("run").exit_code == 0
    assert cuvee("run", ".").exit_code == 0
    assert [folder.root for _, folder in flow.asked] == [study.parent] * 2


def test_the_hub_is_left_alone_unless_a_source_lies_there(flow: FakeFlow, study: Path) -> None:
    study.write_text(STUDY + "  far: hub:owner/name:train\n")
    cuvee("run", study)
    assert "HF_HUB_OFFLINE" not in os.environ
    study.write_text(STUDY)
    cuvee("run", study)
    assert os.environ.pop("HF_HUB_OFFLINE") == "1"


def test_two_runs_of_one_study_do_not_meet(flow: FakeFlow, study: Path) -> None:
    with StudyFolder(study.parent).locked():
        result = cuvee("run", study)
    assert result.exit_code == 6
    assert "another cuvee works on this study" in result.stderr
    assert flow.asked == []


# --- how commands leave -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MissingSource("web: no such file"), 3),
        (NonFiniteLoss("step 7: the loss is nan"), 5),
        (CuveeError("x"), 1),
    ],
)
def test_errors_are_one_line_and_an_exit_code(
    flow: FakeFlow, study: Path, error: CuveeError, code: int
) -> None:
    flow.raises = error
    result = cuvee("run", study, "--json")
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1] == f"error: {error}"
    assert "Traceback" not in result.stderr


def test_debugging_shows_the_traceback(flow: FakeFlow, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUVEE_DEBUG", "1")
    flow.raises = MissingSource("gone")
    assert cuvee("run", study).exception is flow.raises


def test_other_errors_are_not_hidden(flow: FakeFlow, study: Path) -> None:
    flow.raises = ZeroDivisionError()
    assert cuvee("run", study).exception is flow.raises


def test_ctrl_c(flow: FakeFlow, study: Path) -> None:
    flow.raises = KeyboardInterrupt()
    result = cuvee("run", study)
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "interrupted; the same command goes on from here"
    flow.raises = None
    assert cuvee("run", study).exit_code == 0, "the study is free again"


@pytest.mark.parametrize("command", ["run", "status", "report"])
def test_a_study_that_is_not_there(flow: FakeFlow, tmp_path: Path, command: str) -> None:
    result = cuvee(command, tmp_path / "study.yaml")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {tmp_path}/study.yaml: there is no study")


def test_a_study_that_is_wrong(flow: FakeFlow, study: Path) -> None:
    study.write_text("schema: 1\nsources: {web: {path: x}}\n")
    result = cuvee("run", study)
    assert result.exit_code == 2
    assert result.stderr == f'error: {study}: sources.web: unknown key "path"; did you mean "paths"?\n'


# --- status -----------------------------------------------------------------------------------------


def test_status_of_a_study_that_can_go_on(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    folder = StudyFolder(study.parent)
    set_out(folder, "training the seed model", [Intended("a", "seed", 10, 1.5e15)])
    set_out(folder, "training the rungs", [Intended("b", "rung", 10, 1e9)])
    result = cuvee("status", study)
    assert result.exit_code == 0, result.stderr
    rows = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "seed model 0 1 model 0%" in rows
    assert rows[-3:-1] == ["spent: 0 FLOPs", "`cuvee run` goes on from here"]
    assert rows[-1].startswith("ladder: 0 of 1 run made")


def test_status_of_a_ladder_alone_says_nothing_of_a_run(study: Path) -> None:
    set_out(StudyFolder(study.parent), "training the rungs", [Intended("b", "rung", 10, 1e9)])
    ladder, spent = cuvee("status", study).stdout.splitlines()
    assert ladder.startswith("ladder: 0 of 1 run made") and spent.startswith("spent: 0 FLOPs")


def test_status_says_that_a_command_is_at_work(study: Path) -> None:
    folder = StudyFolder(study.parent)
    assert not folder.at_work and not (study.parent / ".lock").exists(), "to ask writes nothing"
    with folder.locked():
        assert folder.at_work
        said = cuvee("status", study).stdout.splitlines()[-1]
    assert said == "a command works on it now; another one would have to wait"
    assert not folder.at_work


def test_status_before_and_after(flow: FakeFlow, study: Path) -> None:
    assert cuvee("status", study).stdout.splitlines()[-1] == "not begun; `cuvee run` begins it"
    study.write_text(
        STUDY + "model: {folder: m}\nreferences: {count: 0, replicates: 0}\ncheck: {seeds: 0}\npool: [web]\n"
    )
    with RunStore(study.parent / "store.sqlite") as store:
        mixture = Mixture.vertex(("web",), "web")
        details = {"run": "x"}
        store.add(Run("x", "trained", "branch", "equal_budget", mixture, 9, 9, 0, {}, 1e9, details=details))
    assert cuvee("status", study).stdout.splitlines()[-1] == "`cuvee run` goes on from here"
    cuvee("run", study)
    finished, answer, stale = cuvee("status", study).stdout.splitlines()[-3:]
    first = json.loads((study.parent / "decision.json").read_text())["headline"][0]
    assert answer == f"run: {first}"
    assert finished == f"finished; report: {study.parent}/report.html"
    assert stale.startswith("the answer of `cuvee run` was made from another study file")
    assert "run" in printed(cuvee("status", study, "--json"))["outdated"]
    decision = json.loads((study.parent / "decision.json").read_text())
    decision["created_from"]["config"] = StudyConfig.load(study).digest
    (study.parent / "decision.json").write_text(json.dumps(decision))
    assert cuvee("status", study).stdout.splitlines()[-2:] == [finished, answer]
    shares = ("export", study, "--to", "megatron", "--json")
    assert not any("made from" in note for note in printed(cuvee(*shares))["notes"])
    study.write_text(study.read_text() + "seed: 7\n")
    (note,) = (note for note in printed(cuvee(*shares))["notes"] if "made from" in note)
    assert note.startswith("decision.json was made from another study file")


def test_status_as_json(study: Path) -> None:
    found = printed(cuvee("status", study, "--json"))
    assert (found["flops"], found["finished"], found["resumable"]) == (0.0, False, False)
    assert found["stages"][0] == {
        "title": "seed model",
        "done": 0,
        "total": 1,
        "unit": "models",
        "finished": False,
    }
    assert (found["answer"], found["ladder"], found["search"]) == (None, None, None)


# --- report -----------------------------------------------------------------------------------------


def test_report_writes_again_without_running(flow: FakeFlow, study: Path) -> None:
    cuvee("run", study)
    page = (study.parent / "report.html").read_bytes()
    (study.parent / "report.html").unlink()
    found = printed(cuvee("report", study, "--json"))
    assert str(study.parent / "report.html") in found["reports"]
    assert (study.parent / "report.html").read_bytes() == page
    assert len(flow.asked) == 1
    assert "report: " in cuvee("report", study).stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "not there yet; `cuvee run"), ("{", "not JSON"), ("[]", "not a decision"), ("{}", "schema")],
)
def test_report_without_a_decision(flow: FakeFlow, study: Path, content: str | None, message: str) -> None:
    if content is not None:
        (study.parent / "decision.json").write_text(content)
    result = cuvee("report", study)
    assert result.exit_code == 2
    assert message in result.stderr


# --- add-source -------------------------------------------------------------------------------------


def test_add_source_edits_the_file_and_runs(
    flow: FakeFlow, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("new/a.jsonl", "other/b.txt", "far/away"):
        (study.parent / name).parent.mkdir()
        (study.parent / name).write_text("x")
    monkeypatch.chdir(study.parent / "new")
    paths = ["a.jsonl", "../other/*.txt", str(study.parent / "far/away"), "hub:owner/name:train"]
    result = cuvee("add-source", "..", "books", *paths, "--json")
    assert Decision.from_json(printed(result)) == small()
    assert study.read_text().startswith(STUDY)
    config, folder = flow.asked[0]
    root = study.parent
    assert folder.root.samefile(root)
    *files, far = config.sources["books"].paths
    wanted = [root / "new/a.jsonl", root / "other/*.txt", root / "far/away"]
    assert [Path(path).resolve() for path in files] == [path.resolve() for path in wanted]
    assert far == "hub:owner/name:train"
    assert config.seed_sources == ("web", "code")


def test_add_source_leads_to_data_beside_the_study(
    flow: FakeFlow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `cuvee init` does: both can be moved together."""
    root = tmp_path / "texts.cuvee"
    root.mkdir()
    (root / "study.yaml").write_text(STUDY)
    (tmp_path / "link").symlink_to(root)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts").mkdir()
    for name in ("books", "more"):
        (tmp_path / "texts" / name).write_text("x")
    assert cuvee("add-source", "texts.cuvee", "books", "texts/books").exit_code == 0
    assert "paths: [../texts/books]" in (root / "study.yaml").read_text()
    assert cuvee("add-source", "link", "more", "texts/more").exit_code == 0
    assert f"paths: [{tmp_path}/texts/more]" in (root / "study.yaml").read_text()


def test_add_source_refuses_a_name_that_is_taken(flow: FakeFlow, study: Path) -> None:
    result = cuvee("add-source", study, "web", "x")
    assert result.exit_code == 2
    assert 'there is already a source "web"' in result.stderr
    assert study.read_text() == STUDY
    assert flow.asked == []


def test_add_source_goes_on_after_a_kill(
    flow: FakeFlow, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study.parent)
    (study.parent / "b").write_text("x")
    flow.raises = KeyboardInterrupt()
    assert cuvee("add-source", study, "books", "b", "hub:owner/name:train").exit_code == 130
    flow.raises, text = None, study.read_text()
    (study.parent / "else").mkdir()
    monkeypatch.chdir(study.parent / "else")
    assert cuvee("add-source", study, "books", "../b", "hub:owner/name:train").exit_code == 0
    assert study.read_text() == text
    assert flow.asked[0] == flow.asked[1]
    other = cuvee("add-source", study, "books", "c")
    assert other.exit_code == 2
    assert f'there is already a source "books", of {study.parent / "b"}, hub:owner' in other.stderr


def test_add_source_says_where_the_target_counts_nothing_of_it(flow: FakeFlow, study: Path) -> None:
    books = study.parent / "b"
    books.write_text("x")
    assert "note:" not in cuvee("add-source", study, "books", books).stderr
    study.write_text(f"{STUDY}target: {{weights: {{web: 1}}}}\n")
    assert "note: target.weights does not name 'books'" in cuvee("add-source", study, "books", books).stderr


def test_add_source_writes_nothing_for_files_that_are_not_there(flow: FakeFlow, study: Path) -> None:
    result = cuvee("add-source", study, "books", study.parent / "nowhere.jsonl")
    assert result.exit_code == 3 and "of source 'books' does not exist" in result.stderr
    assert study.read_text() == STUDY
    assert flow.asked == []


def test_add_source_waits_for_no_other_run(flow: FakeFlow, study: Path) -> None:
    with StudyFolder(study.parent).locked():
        assert cuvee("add-source", study, "books", "x").exit_code == 6
    assert study.read_text() == STUDY


# --- init -------------------------------------------------------------------------------------------


def test_init_writes_a_study_beside_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    data, root = tmp_path / "my data", tmp_path / "my data.cuvee"
    (data / "web").mkdir(parents=True)
    (data / "web" / "a.jsonl").write_text('{"text": "x"}\n')
    (data / "no.jsonl").write_text('{"body": "x"}\n')
    result = cuvee("init", data)
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in data.iterdir()) == ["no.jsonl", "web"], "nothing lies among the data"
    config = StudyConfig.load(root)
    assert config.name == "my data"
    assert Path(config.sources["web"].paths[0]).resolve() == data / "web"
    assert config.sources["no"].text_field == "body"
    text = (root / "study.yaml").read_text()
    assert 'web: "../my data/web"  # 1 file, about 1 byte of text, 1 document sampled' in text
    assert f"next: look through it, then `cuvee run {root}`" in result.stdout
    assert "about 1 byte" in result.stdout
    again = cuvee("init", data)
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    assert (root / "study.yaml").read_text() == text
    lost = cuvee("run", data)
    assert lost.exit_code == 2
    assert f"there is no study; that of its data lies in {root}" in lost.stderr


def test_init_where_you_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "texts" / "deep").mkdir(parents=True)
    (tmp_path / "texts" / "a.txt").write_text("hello")
    monkeypatch.chdir(tmp_path / "texts")
    assert Path(printed(cuvee("init", "--json"))["study"]) == tmp_path / "texts.cuvee" / "study.yaml"
    monkeypatch.chdir(tmp_path / "texts" / "deep")
    assert "texts.cuvee/study.yaml: is there already" in cuvee("init", "..").stderr


def test_init_writes_where_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("hello")
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far")
    found = printed(cuvee("init", tmp_path / "texts", "--out", tmp_path / "link" / "one", "--json"))
    assert found == {
        "study": str(tmp_path / "link" / "one" / "study.yaml"),
        "sources": [
            {
                "name": "a",
                "path": "a.txt",
                "files": 1,
                "bytes": 5,
                "text_bytes": 5,
                "estimated": False,
                "documents_sampled": 1,
                "text_field": "text",
                "chunk_characters": None,
                "remarks": [],
                "formats": [],
                "tokens": None,
            }
        ],
        "passed_over": [],
    }
    (path,) = StudyConfig.load(tmp_path / "far" / "one").sources["a"].paths
    assert Path(path).read_text() == "hello"
    inside = printed(cuvee("init", tmp_path / "texts", "--out", tmp_path / "texts", "--json"))
    assert inside["study"] == str(tmp_path / "texts" / "study.yaml")
    refused = cuvee("init", tmp_path / "texts")
    assert refused.exit_code == 2 and "texts/study.yaml: is there already" in refused.stderr


def test_init_where_there_is_no_data(tmp_path: Path) -> None:
    result = cuvee("init", tmp_path)
    assert result.exit_code == 3
    assert result.stderr.startswith(f"error: {tmp_path}: no file of a known kind in it")


# --- demo -------------------------------------------------------------------------------------------


def test_demo_makes_a_study_and_runs_it(
    flow: FakeFlow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Path, str]] = []

    def make_demo(folder: Path, progress: object, effort: str) -> Path:
        asked.append((folder, effort))
        folder.mkdir()
        (folder / "study.yaml").write_text(STUDY)
        return folder / "study.yaml"

    monkeypatch.setattr(library_demo, "make_demo", make_demo)
    monkeypatch.chdir(tmp_path)
    assert Decision.from_json(printed(cuvee("demo", "--effort", "tiny", "--json"))) == small()
    assert asked == [(Path("cuvee-demo"), "tiny")]
    assert flow.asked[0][1].root == tmp_path / "cuvee-demo"


def test_demo_knows_its_efforts() -> None:
    assert cuvee("demo", "--effort", "huge").exit_code == 2


# --- fit, optimise ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fit")
    (folder / "runs.csv").write_text(runs_table(30), encoding="utf-8")
    result = cuvee("fit", folder / "runs.csv", "--out", folder / "fit", "--cap", "web=0.5")
    assert result.exit_code == 0, result.stderr
    assert "Not checked: " in result.stdout and "verdict: not checked. On runs" in result.stdout
    assert "target without it" in result.stdout
    assert "note: Better when lower" in result.stdout
    return folder / "fit"


def test_the_tables_of_a_fit_explain_their_marks(fitted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not known has no column, and what is not sure is in parentheses that are explained."""
    decision = load_decision(fitted)
    show(printout_of(decision))
    plain = " ".join(capsys.readouterr().out.split())
    assert "in parentheses" not in plain and "epochs" not in plain and " ?" not in plain
    first, *others = decision.sensitivities
    unsure = replace(first, without=Interval(0.01, -0.1, 0.1))
    read = tuple(replace(entry, epochs=1.5) for entry in decision.mixture)
    show(printout_of(replace(decision, sensitivities=(unsure, *others), mixture=read)))
    told = " ".join(capsys.readouterr().out.split())
    assert "in parentheses: the runs do not agree on the direction" in told
    assert "(+0.0100)" in told and "epochs" in told


def test_fit_writes_the_decision_the_law_and_the_runs(fitted: Path) -> None:
    assert {path.name for path in fitted.iterdir()} == {
        "fit.json",
        "kept.npz",
        "law.json",
        "question.json",
        "report.html",
        "runs.parquet",
    }
    decision = json.loads((fitted / "fit.json").read_text())
    assert decision["by"] == "laws"
    assert max(e["share"] for e in decision["mixture"] if e["source"] == "web") <= 0.5 + 1e-9


def test_optimise_keeps_what_is_not_named_and_changes_what_is(fitted: Path, tmp_path: Path) -> None:
    asked = printed(
        cuvee(
            "optimise", fitted, "--target", "code_loss=2", "--level", 0.9, "--out", tmp_path / "b", "--json"
        )
    )
    assert {m["name"]: m["weight"] for m in asked["metrics"]} == {
        "books_loss": 0.0,
        "code_loss": 1.0,
        "quiz_loss": 0.0,
    }
    assert asked["confidence"] == 0.9
    question = json.loads((tmp_path / "b" / "question.json").read_text())
    assert question["maximum"] == {"web": 0.5}
    assert {"linear", "effective_data", "ensemble"} <= {row["law"] for row in asked["laws"]}


def test_optimise_keeps_the_caps_of_other_sources_and_says_which_hold(fitted: Path, tmp_path: Path) -> None:
    out = tmp_path / "capped"
    asked = printed(cuvee("optimise", fitted, "--cap", "code=0.3", "--out", out, "--json"))
    assert json.loads((out / "question.json").read_text())["maximum"] == {"web": 0.5, "code": 0.3}
    assert max(one["share"] for one in asked["mixture"] if one["source"] == "web") <= 0.5 + 1e-9
    assert "Kept: at most 0.5 of web, at most 0.3 of code." in asked["notes"]


def test_optimise_keeps_what_one_metric_costs_the_other(fitted: Path, tmp_path: Path) -> None:
    out = tmp_path / "front"
    both = ("--pareto", "books_loss", "--pareto", "code_loss", "--out", out)
    told = cuvee("optimise", fitted, *both).stdout
    assert "what the best value of one metric costs the other" in told
    kept = json.loads((out / "fit.json").read_text())
    assert kept["front_metrics"] == ["books_loss", "code_loss"]
    first = [point["values"][0] for point in kept["front"]]
    assert first == sorted(first) and len(first) > 2
    assert "What one metric costs the other" in (out / "report.html").read_text()
    assert printed(cuvee("optimise", out, "--level", 0.9, "--json"))["front_metrics"] == kept["front_metrics"]
    last = kept["front"][-1]
    exported = cuvee("export", out, "--to", "gpt-neox", "--mixture", last["name"]).stdout
    assert json.loads(exported)["train-data-weights"] == pytest.approx(
        [share for share in last["shares"] if share > 1e-4], abs=1e-3
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--cap", "web"), "NAME=VALUE"),
        (("--cap", "web=much"), "'much' is no number"),
        (("--cap", "web=30"), "source web: maximum share 30 is not between 0 and 1; say 0.3 for 30 percent"),
        (
            ("--floor", "web=20"),
            "source web: minimum share 20 is not between 0 and 1; say 0.2 for 20 percent",
        ),
        (("--cap", "web=-0.1"), "source web: maximum share -0.1 is not between 0 and 1"),
        (("--cap", "web=50%"), "say 0.5 for 50 percent"),
        (("--cap", "web=0.5", "--cap", "web=0.6"), "given before"),
        (("--tokens", "web=-1"), "at least 0"),
        (("--tokens", "web=25GB"), "--tokens web=25GB: '25GB' is no count of one meaning"),
        (("--tokens", "web=1B", "--tokens", "law=1e9"), "--tokens is missing for books, code;"),
        (("--aim", "best"), "mean or worst"),
        (("--prior", "-1"), "prior -1: a pull towards the baseline is at least 0"),
        (("--prior", "nan"), "prior nan"),
        (("--max-epochs", "-2"), "at most -2 epochs"),
        (("--max-epochs", "4"), "needs the tokens"),
        (("--target", "nothing"), "no metric 'nothing'"),
        (("--pareto", "books_loss"), "two metrics"),
    ],
)
def test_options_that_make_no_sense_are_told_in_a_line(
    fitted: Path, options: tuple[str, ...], told: str
) -> None:
    result = cuvee("optimise", fitted, *options)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stderr.startswith("error: ")


# --- export -----------------------------------------------------------------------------------------


def test_export_writes_the_mixture_for_a_trainer(fitted: Path, tmp_path: Path) -> None:
    out = tmp_path / "blend" / "data-args.txt"
    result = cuvee("export", fitted, "--to", "megatron", "--path", "web=/data/web", "--out", out)
    assert result.exit_code == 0, result.stderr
    words = out.read_text().split()
    shares = {
        entry["source"]: entry["share"] for entry in json.loads((fitted / "fit.json").read_text())["mixture"]
    }
    assert float(words[words.index("/data/web") - 1]) == pytest.approx(shares["web"], abs=1e-6)
    assert result.stdout == ""
    shown = printed(cuvee("export", fitted, "--to", "megatron", "--mixture", "uniform", "--json"))
    assert shown["text"].split()[::2] == ["0.25"] * 4


def test_export_asks_for_what_it_needs_and_lists_trainers(fitted: Path) -> None:
    result = cuvee("export", fitted, "--to", "lingua")
    assert result.exit_code == 2
    assert "COUNT" in result.stderr
    assert cuvee("export").exit_code == 2
    assert "llama-factory" in cuvee("export", "--list").stdout
    assert len(printed(cuvee("export", "--list", "--json"))["trainers"]) >= 11


def test_counts_of_options_are_read_as_people_write_them(tmp_path: Path) -> None:
    result = cuvee("fit", tmp_path / "runs.csv", "--target-tokens", "25GB")
    assert result.exit_code == 2 and "'25GB' is no count of one meaning" in " ".join(result.stderr.split())
    (tmp_path / "mixture.json").write_text('{"web": 0.5, "code": 0.5}')
    told = (
        "--to",
        "olmo-core",
        "--tokens",
        "web=2B",
        "--tokens",
        "code=1e9",
        "--target-tokens",
        "25B tokens",
    )
    written = cuvee("export", tmp_path / "mixture.json", *told)
    assert written.exit_code == 0, written.stderr
    assert "requested_tokens=25000000000" in written.stdout + written.stderr
