"""Downstream tasks in a study: right answers are evaluations, and all requests are asked of its models."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cuvee.decisions.ablation.decision import Decision
from cuvee.errors import ConfigError
from cuvee.evaluation.task_scores import TaskScores, TaskShape
from cuvee.execution.local import InProcess
from cuvee.flows.ablation import flow as ablation
from cuvee.flows.value import flow as value
from cuvee.flows.value.outlook import outlook
from cuvee.flows.value.question import ValueQuestion
from cuvee.models.hugging_face import open_model, read_flat
from cuvee.progress import Silent
from cuvee.question.question import Question
from cuvee.question.runs import checked_directions, read_runs
from cuvee.report.markdown import render_markdown
from cuvee.report.view import StudyView
from cuvee.runs.roles import CANDIDATE, DOWNSTREAM, REFERENCE
from cuvee.runs.store import RunStore
from cuvee.sources.task_requests import TaskRequests
from cuvee.sources.task_tokens import RequestTokenizer
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from tests.models.test_masking import save_masked
from tests.study.tasks_of_languages import quiz, write_quiz
from tests.study.tiny_study import Listener, run, settings, write_study

REFERENCES = {"count": 5, "replicates": 1}
QUESTIONS = 240
"""So many that an accuracy can decide."""
TASK = [{"task": "quiz.json"}]


def parsed(tmp_path: Path, **changes: object) -> StudyConfig:
    return StudyConfig.parse(settings(**changes), tmp_path)


def test_a_task_has_a_name_and_counts_where_the_target_names_it(tmp_path: Path) -> None:
    tasks = ["arc_easy", {"task": "own/quiz.yaml", "limit": 50}, {"task": "own/quiz.yaml", "name": "all"}]
    config = parsed(tmp_path, downstream=tasks)
    assert config.tasks == ("arc_easy", "quiz", "all")
    assert config.downstream[1].task == str(tmp_path / "own/quiz.yaml")
    assert config.target_weights == {"ka": 0.25, "lo": 0.25, "mi": 0.25, "nu": 0.25} | dict.fromkeys(
        config.tasks, 0.0
    )
    assert config.own_columns == (0, 1, 2, 3, -1, -1, -1)
    weights = {"ka": 1, "quiz:bits_per_byte": 2, "all": 1}
    weighed = parsed(tmp_path, downstream=tasks, target={"weights": weights}).target_weights
    assert weighed == dict.fromkeys(weighed, 0.0) | {"ka": 0.25, "quiz": 0.5, "all": 0.25}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": {"weights": {"quiz:acc": 1}}}, 'quiz:acc.* cannot decide: accuracies .* name "quiz"'),
        ({"target": {"weights": {"quizz": 1}}}, "quizz.* is no evaluation"),
        ({"downstream": ["ka"]}, 'downstream.0: the name "ka" is taken'),
        ({"downstream": ["quiz", "quiz"]}, 'downstream.1: the name "quiz" is taken'),
        ({"downstream": [{"task": "quiz.json", "limit": 3}]}, "leave `limit` out"),
    ],
)
def test_impossible_tasks_are_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parsed(tmp_path, **{"downstream": TASK, **changes})


def test_tasks_enter_the_digest_and_their_place_does_not(tmp_path: Path) -> None:
    plain = parsed(tmp_path).digest
    assert parsed(tmp_path, downstream=[]).digest == plain
    one = parsed(tmp_path / "a", downstream=TASK).digest
    assert parsed(tmp_path / "b", downstream=TASK).digest == one != plain


def test_a_file_that_is_not_there_is_refused_before_any_training(tmp_path: Path) -> None:
    folder = write_study(tmp_path, downstream=["lost.yaml"])
    config = StudyConfig.load(tmp_path)
    with (
        pytest.raises(ConfigError, match=r"downstream task 'lost': .*lost.yaml does not exist"),
        opened(config, folder, Silent(), InProcess()),
    ):
        pass


def test_a_masked_language_model_is_refused(tmp_path: Path) -> None:
    save_masked(tmp_path / "bert", "bert")
    model = {"folder": "bert", "context_length": 16, "parameters": None}
    folder = write_study(
        tmp_path, downstream=TASK, model=model, tokenizer={"folder": "bert", "vocabulary": None}
    )
    write_quiz(tmp_path / "quiz.json", 4)
    with (
        pytest.raises(
            ConfigError, match=r"downstream: tasks ask what follows a text, and .*bert is a masked"
        ),
        opened(StudyConfig.load(tmp_path), folder, Silent(), InProcess()),
    ):
        pass


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyFolder, Decision, Listener]:
    """A study that was answered, with a task."""
    root = tmp_path_factory.mktemp("asked")
    folder = write_study(
        root, downstream=TASK, references=REFERENCES, candidates={"count": 8}, check={"seeds": 1}
    )
    write_quiz(root / "quiz.json", QUESTIONS)
    listener = Listener()
    return folder, run(folder, listener), listener


def test_a_plan_counts_the_answers(tmp_path: Path) -> None:
    folder = write_study(tmp_path, downstream=TASK, references=REFERENCES, check={"seeds": 1})
    write_quiz(tmp_path / "quiz.json", QUESTIONS)
    rows = ablation.outlook(StudyConfig.load(tmp_path), folder, executor=InProcess()).rows
    (row,) = [one for one in rows if one.title == "downstream tasks"]
    with opened(StudyConfig.load(tmp_path), folder, Silent(), InProcess(), looking=True) as runner:
        windows = runner.plan.answering(["quiz"]).bench.evaluator().inputs
        forward = runner.plan.model.flops_per_token
    models = REFERENCES["count"] + REFERENCES["replicates"] + 3
    assert (row.runs, row.left, row.tokens) == (models, models, windows.numel())
    assert row.flops == models * forward * windows.numel() and row.hours_left > 0


@pytest.mark.slow
def test_right_answers_are_an_evaluation_of_every_model(
    asked: tuple[StudyFolder, Decision, Listener],
) -> None:
    folder, decision, listener = asked
    [row] = [one for one in decision.evaluations if one.evaluation == "quiz"]
    assert (row.documents, row.checking_documents, row.weight) == (120, 120, 0.0)
    assert "quiz" in [one.evaluation for one in decision.predictions]
    with RunStore(folder.store) as store:
        for kind in ("trained", "merged", "ensembled"):
            found = store.observations(kind=kind, role=(REFERENCE, CANDIDATE))
            assert len(found) and np.isfinite(found.metric("bits_per_byte/quiz")).all(), kind
    [said] = [one for one in listener.said if one.startswith("downstream task 'quiz'")]
    assert "240 questions; blind guesses have 33% right, give or take 3.0%" in said


@pytest.mark.slow
def test_accuracies_are_those_of_the_models_in_the_store(
    asked: tuple[StudyFolder, Decision, Listener],
) -> None:
    folder, decision, _ = asked
    with RunStore(folder.store) as store:
        rows = store.observations(kind="trained", role=DOWNSTREAM)
        references = store.runs(kind="trained", role=REFERENCE)
        found = {run.details["run"]: run for run in store.runs(kind="trained", role=DOWNSTREAM)}
        documents = store.documents([run.key for run in found.values()])
    assert {f"{one}/quiz" for one in ("bits_per_byte", "acc", "acc_norm", "acc_bytes")} == set(rows.metrics)
    one = found[references[0].details["run"]]
    nats = by_hand(folder.checkpoint(references[0].details["run"]), quiz(QUESTIONS))
    np.testing.assert_allclose(documents[one.key]["quiz"], nats, rtol=1e-4)
    means = TaskScores(TaskShape.of(quiz(QUESTIONS)), nats).means
    assert one.metrics["acc/quiz"] == pytest.approx(float(means["acc"]))
    assert {row.metric for row in decision.tasks} == {"bits_per_byte", "acc", "acc_norm", "acc_bytes"}
    assert {row.models for row in decision.tasks} == {5}


def by_hand(model_folder: Path, requests: TaskRequests) -> np.ndarray:
    """-log p of every choice, one by one."""
    model, tokenizer = open_model(model_folder), RequestTokenizer.load(model_folder)
    flat, found = read_flat(model_folder, model), []
    for item in requests.items:
        for request in item.requests:
            before, after = tokenizer.pair(*request)
            tokens = torch.tensor([before + after])
            with torch.no_grad():
                log_probs = model.token_log_probs(flat, tokens[:, :-1], tokens[:, 1:])
            found.append(-float(log_probs[0, -len(after) :].double().sum()))
    return np.array(found)


@pytest.mark.slow
def test_merges_and_ensembles_answer_where_an_accuracy_can_decide(
    asked: tuple[StudyFolder, Decision, Listener],
) -> None:
    folder, decision, _ = asked
    rows = {row.metric: row for row in decision.tasks}
    assert rows["bits_per_byte"].ratio > rows["acc"].ratio > 1.0
    assert all(row.merges > 0.5 and row.ensembles > 0.5 for row in rows.values())
    with RunStore(folder.store) as store:
        for kind in ("merged", "ensembled"):
            found = store.observations(kind=kind, role=DOWNSTREAM)
            assert len(found) == 5
            assert ((found.metric("acc/quiz") > 0.4) & (found.metric("acc/quiz") < 1.0)).all()


@pytest.mark.slow
def test_targets_and_guards_on_tables_may_name_accuracies(
    asked: tuple[StudyFolder, Decision, Listener], tmp_path: Path
) -> None:
    folder, _, _ = asked
    with RunStore(folder.store) as store:
        rows = store.observations(kind="trained", role=DOWNSTREAM)
    rows.write_parquet(tmp_path / "tasks.parquet")
    runs = read_runs([tmp_path / "tasks.parquet"], {})
    question = Question(weights={"acc/quiz": 1.0}, guards={"bits_per_byte/quiz": 0.0})
    directions = checked_directions(runs, question).directions
    assert (directions["acc/quiz"], directions["bits_per_byte/quiz"]) == ("higher", "lower")
    assert not runs.assumed


@pytest.mark.slow
def test_a_study_that_goes_on_asks_nothing_again(asked: tuple[StudyFolder, Decision, Listener]) -> None:
    folder, decision, _ = asked
    listener = Listener()
    assert run(folder, listener).tasks == decision.tasks
    assert not {"answering downstream tasks", "training branches and references"} & set(listener.stages)


@pytest.mark.slow
def test_the_report_marks_metrics_that_cannot_decide(
    asked: tuple[StudyFolder, Decision, Listener],
) -> None:
    _, decision, _ = asked
    text = render_markdown(StudyView.of(decision))
    assert "## Downstream tasks" in text
    for row in decision.tasks:
        assert row.words in ("can decide", "cannot decide")
        assert f"{row.words} |" in text


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("quiz", "--target quiz: a downstream task; documents are valued for text: ka, lo, mi, nu"),
        ("kaa", "--target kaa: the study has no such evaluation; it has ka, lo, mi, nu"),
    ],
)
def test_documents_are_not_valued_for_a_task_and_no_text_is_read_to_say_so(
    tmp_path: Path, target: str, message: str
) -> None:
    folder = write_study(tmp_path, downstream=TASK)
    config, listener = StudyConfig.load(tmp_path), Listener()
    question = ValueQuestion(target, ("random",))
    for asked in (value.run, outlook):
        with pytest.raises(ConfigError, match=message):
            asked(config, folder, question=question, progress=listener, executor=InProcess())
    assert listener.stages == [] and not folder.shards.exists()
