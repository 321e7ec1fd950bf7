"""Merges in memory through tasks of lm-evaluation-harness, and saved merges through the harness itself."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.evaluation.likelihood import Evaluator
from cuvee.evaluation.scoring import score_merges
from cuvee.evaluation.task_scores import TaskScores, TaskShape
from cuvee.execution.local import InProcess
from cuvee.merging.linear import LinearMerge
from cuvee.merging.pool import Branch, FlatPool
from cuvee.models.checkpoint import Checkpoint, save_checkpoint
from cuvee.models.config import ModelConfig
from cuvee.models.hugging_face import open_model
from cuvee.models.llama import Llama
from cuvee.progress import Silent
from cuvee.sources.harness import read_task
from cuvee.sources.request_windows import Cut, request_windows
from cuvee.sources.task_tokens import RequestTokenizer, TaskTokens
from cuvee.sources.tokenizer import train_tokenizer
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from tests.evaluation.local_tasks import ANSWER, CHOICE, ROLLING, write_tasks
from tests.study.tiny_study import hashes, write_study

pytest.importorskip("lm_eval", reason="needs the extra eval (lm-evaluation-harness)")
# The harness takes ten seconds to import, and it and its libraries warn of themselves.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

CONTEXT = 24
WEIGHTS = np.array([[0.25, 0.75], [1.0, 0.0]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tasks, a tokenizer, a pool of two branches and the saved merges of it."""
    root = tmp_path_factory.mktemp("harness")
    tasks = write_tasks(root / "tasks")
    tokenizer = train_tokenizer([path.read_text() for path in tasks.values()], 300, root / "tokenizer")
    model = Llama(ModelConfig(tokenizer.vocabulary_size, CONTEXT, width=32, layers=2, heads=2, hidden=64))
    start = 2.0 * model.initial(0)
    seed = save_checkpoint(root / "seed", model, start, tokenizer=tokenizer.hash, recipe="seed")
    branches = []
    for number, name in enumerate(("web", "code")):
        saved = save_checkpoint(
            root / name,
            model,
            start + model.initial(number + 1),
            ancestor=seed.content_hash,
            tokenizer=tokenizer.hash,
            recipe="branch",
        )
        branches.append(Branch(name, name, 100, Checkpoint.load(saved.folder)))
    pool = FlatPool.build(model, seed, branches, root / "pools")
    for number, weights in enumerate(WEIGHTS):
        merged = LinearMerge().merge(pool, weights)
        save_checkpoint(root / f"merge-{number}", model, merged, tokenizer_folder=root / "tokenizer")
    return root


def ours(root: Path, task: str) -> TaskScores:
    """All merges in memory."""
    requests = read_task(str(root / "tasks" / f"{task}.yaml"))
    tokens = TaskTokens.of(requests, RequestTokenizer.load(root / "tokenizer"))
    made = request_windows(task, tokens, Cut(CONTEXT), "own")
    pool = FlatPool.open(next((root / "pools").iterdir()))
    model = open_model(root / "seed")
    evaluator = Evaluator.of(model, [made])
    return TaskScores(TaskShape.of(requests), score_merges(evaluator, pool, LinearMerge(), WEIGHTS).nats)


def theirs(root: Path, task: str, merge: int) -> tuple[dict[str, Any], list[Any]]:
    """The saved merge through the harness: results, and log-likelihoods by question."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model = HFLM(
        pretrained=str(root / f"merge-{merge}"),
        dtype="float32",
        device="cpu",
        batch_size=4,
        max_length=CONTEXT,
    )
    manager = TaskManager(include_path=str(root / "tasks"), include_defaults=False)
    found = simple_evaluate(model=model, tasks=[task], task_manager=manager, bootstrap_iters=10)
    return found["results"][task], found["samples"][task]


@pytest.mark.parametrize("task", [CHOICE, ANSWER, ROLLING])
@pytest.mark.parametrize("merge", [0, 1])
def test_a_merge_in_memory_has_the_metrics_of_the_saved_merge(
    folder: Path, task: str, merge: int, record_property: Callable[[str, object], None]
) -> None:
    scores = ours(folder, task)
    results, samples = theirs(folder, task, merge)
    answers = [one[0] for sample in samples for one in sample["resps"]]
    log_probs = np.array([one if task == ROLLING else one[0] for one in answers], dtype=float)
    np.testing.assert_allclose(-scores.nats[merge], log_probs, rtol=1e-6)
    difference = float(np.abs(-scores.nats[merge] / log_probs - 1).max())
    record_property("measured", f"{task}: log-probabilities differ by {difference:.1g} of their size at most")
    named = [name for name in scores.metrics if f"{name},none" in results]
    assert (
        set(named)
        == {
            CHOICE: {"acc", "acc_norm", "acc_bytes"},
            ANSWER: {"perplexity"},
            ROLLING: {"bits_per_byte", "byte_perplexity", "word_perplexity"},
        }[task]
    )
    for name in named:
        mean, expected = scores.means[name][merge], results[f"{name},none"]
        if name.endswith("perplexity"):
            mean, expected = np.log(mean), np.log(expected)
        assert mean == pytest.approx(expected, rel=1e-6), name
        if name.startswith("acc"):
            error = results[f"{name}_stderr,none"]
            assert error > 0
            assert scores.errors[name][merge] == pytest.approx(error, abs=1e-9), name


def write_task(path: Path, **changes: str) -> Path:
    """A task of one question."""
    data = path.with_suffix(".jsonl")
    data.write_text('{"question": "a b", "answer": "c"}\n')
    said = {
        "task": path.stem,
        "dataset_path": "json",
        "dataset_kwargs": f"{{data_files: {{test: {data}}}}}",
        "test_split": "test",
        "output_type": "loglikelihood",
        "doc_to_text": '"{{question}}"',
        "doc_to_target": '"{{answer}}"',
        "metric_list": "[{metric: perplexity}]",
    }
    path.write_text("".join(f"{key}: {value}\n" for key, value in (said | changes).items()))
    return path


def test_a_limit_takes_the_first_questions(folder: Path) -> None:
    file = str(folder / "tasks" / f"{CHOICE}.yaml")
    assert read_task(file, limit=3).items == read_task(file).items[:3]


def test_reading_a_task_prints_nothing_and_keeps_random_numbers(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    random.seed(5)
    expected = random.random()
    random.seed(5)
    read_task(str(folder / "tasks" / f"{ROLLING}.yaml"))
    assert random.random() == expected
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"output_type": "generate_until", "metric_list": "[{metric: exact_match}]"},
            "asks a model to write",
        ),
        ({"doc_to_target": '""'}, r"question 1: a choice or text is empty"),
        ({"dataset_kwargs": "{data_files: {test: lost.jsonl}}"}, r"cannot be read: .*lost\.jsonl"),
        ({"dataset_kwargs": "{data_files"}, "cannot be read"),
    ],
)
def test_tasks_that_cannot_be_scored_are_refused(
    tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=rf"downstream task '.*odd\.yaml'.*{message}"):
        read_task(str(write_task(tmp_path / "odd.yaml", **changes)))


def test_a_study_needs_the_harness_once(tmp_path: Path) -> None:
    """What was read is read again from the folder, until the file or its data changes."""
    tasks = write_tasks(tmp_path / "own", 4)
    folder = write_study(tmp_path, downstream=[f"own/{CHOICE}.yaml"], model={"context_length": 64})
    assert questions(folder) == 4
    made = hashes(folder.tasks)
    assert questions(folder) == 4 and hashes(folder.tasks) == made
    write_tasks(tmp_path / "own", 6)  # the data alone, which the file names
    assert tasks[CHOICE].is_file() and questions(folder) == 6


def questions(folder: StudyFolder) -> int:
    with opened(StudyConfig.load(folder.root), folder, Silent(), InProcess()) as runner:
        return len(runner.plan.material.tasks[0].requests.items)
