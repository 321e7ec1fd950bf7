"""Downstream tasks of a study: their requests, made once, and their tokens under its tokenizer.

Requests lie under the hash of what names them: the task, its limit, and its file with all files that it
names. A task that is only named is asked for once a study; delete ``tasks`` to have it read anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from cuvee.errors import ConfigError
from cuvee.evaluation.task_scores import TaskShape
from cuvee.hashing import digest, digest_file
from cuvee.models.hugging_face import describes_masked
from cuvee.progress import Progress
from cuvee.quantities import counted
from cuvee.sources.evaluation_set import EvaluationSet, Half
from cuvee.sources.harness import check_harness, read_task
from cuvee.sources.request_windows import Cut, request_windows, too_long
from cuvee.sources.task_requests import TaskRequests
from cuvee.sources.task_tokens import RequestTokenizer, TaskTokens
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.file.settings import TaskSettings


@dataclass(frozen=True)
class RequestsRef:
    """An evaluation set of a task by where its tokens lie."""

    name: str
    tokens: Path
    cut: Cut
    tokenizer: str
    """Hash of the tokenizer."""

    @property
    def context_length(self) -> int:
        """Of its windows."""
        return self.cut.context_length

    def open(self) -> EvaluationSet:
        """Make the windows."""
        return request_windows(self.name, TaskTokens.open(self.tokens), self.cut, self.tokenizer)


@dataclass(frozen=True, eq=False)
class StudyTask:
    """A task with its requests and where their tokens lie."""

    requests: TaskRequests
    every: RequestsRef
    """All requests of all questions."""
    longest: int
    """Tokens that the longest request reads."""

    @property
    def name(self) -> str:
        """How the study calls it."""
        return self.every.name

    @cached_property
    def shape(self) -> TaskShape:
        """Which requests belong together."""
        return TaskShape.of(self.requests)

    def right(self, half: Half | None) -> RequestsRef:
        """The right answers of half of the questions: what decides, or checks."""
        return replace(self.every, cut=Cut(self.every.cut.context_length, half, right_alone=True))


def check_tasks(config: StudyConfig, folder: StudyFolder) -> None:
    """Refuse tasks that cannot be asked, before any text is read.

    Raises:
        ConfigError: the model is masked, a file is missing, or a task that is not read yet needs the harness.
    """
    if config.downstream and config.model.folder is not None and describes_masked(config.model.folder):
        raise ConfigError(
            f"downstream: tasks ask what follows a text, and {config.model.folder} is a masked language "
            "model, which reads both sides; leave the tasks out"
        )
    for task in config.downstream:
        if not _requests_path(folder, task).exists():
            check_harness(task.task)


def prepare_tasks(
    config: StudyConfig, folder: StudyFolder, tokenizer_folder: Path, tokenizer: str, progress: Progress
) -> tuple[StudyTask, ...]:
    """The tasks of a study; what is missing is read.

    Raises:
        ConfigError: a task cannot be read or does not fit (see ``read_task``, ``request_windows``).
    """
    if not config.downstream:
        return ()
    progress.stage("reading downstream tasks", len(config.downstream), "tasks")
    encoder = RequestTokenizer.load(tokenizer_folder)
    found = []
    for task in config.downstream:
        found.append(_prepared(config, folder, task, encoder, tokenizer, progress))
        progress.advance(1, task.called)
    return tuple(found)


def _prepared(
    config: StudyConfig,
    folder: StudyFolder,
    task: TaskSettings,
    encoder: RequestTokenizer,
    tokenizer: str,
    progress: Progress,
) -> StudyTask:
    requests = _requests(folder, task)
    tokens_path = folder.tasks / f"{digest([requests.key, encoder.hash])}.tokens.json"
    if not tokens_path.exists():
        TaskTokens.of(requests, encoder).save(tokens_path)
    tokens, length = TaskTokens.open(tokens_path), config.model.context_length
    found = StudyTask(requests, RequestsRef(task.called, tokens_path, Cut(length), tokenizer), tokens.longest)
    found.every.open()  # an answer that fits into no window is refused before anything is trained
    progress.message(_said(found, too_long(tokens, length)))
    return found


def _said(task: StudyTask, cut: int) -> str:
    """What is known of a task before any model answers it."""
    questions, chance = len(task.requests.items), task.shape.chance
    said = f"downstream task '{task.name}': {counted(questions, 'question')}"
    if cut:
        said += f", {cut} of them cut at their beginning to fit into {task.every.cut.context_length} tokens"
    if task.requests.kind != "choice":
        return said
    error = (chance * (1.0 - chance) / questions) ** 0.5
    return (
        f"{said}; blind guesses have {chance:.0%} right, give or take {error:.1%}: differences of accuracy "
        "below that are chance"
    )


def _requests(folder: StudyFolder, task: TaskSettings) -> TaskRequests:
    path = _requests_path(folder, task)
    if not path.exists():
        read_task(task.task, task.limit).save(path)
    return TaskRequests.open(path)


def _requests_path(folder: StudyFolder, task: TaskSettings) -> Path:
    """Where the requests of a task lie, or will."""
    if not task.is_made:
        return folder.tasks / f"{_key(task)}.json"
    if not Path(task.task).is_file():
        raise ConfigError(
            f"downstream task '{task.called}': {task.task} does not exist; give the path of its file"
        )
    return Path(task.task)


def _key(task: TaskSettings) -> str:
    if not task.is_file:
        return digest({"task": task.task, "limit": task.limit})
    file = Path(task.task)
    if not file.is_file():
        raise ConfigError(
            f"downstream task '{task.called}': {file} does not exist; give the path of its file"
        )
    named = {name: digest_file(one) for name, one in _files_named(file)}
    return digest({"file": digest_file(file), "named": named, "limit": task.limit})


def _files_named(file: Path) -> Iterator[tuple[str, Path]]:
    """The files that the file of a task names, such as its data, as far as they lie on this machine."""
    import yaml

    try:
        root = yaml.compose(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: is no YAML ({error})") from error
    waiting = [root] if root is not None else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.ScalarNode):
            for base in (file.parent, Path()):
                one = base / node.value
                if node.value and "\n" not in node.value and len(node.value) < _LONGEST and one.is_file():
                    yield node.value, one
                    break
        elif isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        else:
            waiting += node.value


_LONGEST = 1024
