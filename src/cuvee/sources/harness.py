"""Tasks of lm-evaluation-harness as requests (the only file that needs lm_eval).

The harness reads the data of a task, draws its examples and writes its prompts. Models are scored here,
so that merges need no checkpoint. Examples are drawn with the seeds that ``lm_eval.simple_evaluate``
takes by default. Needs the extra ``eval``; a task whose data lies on the Hugging Face hub also needs a
network, unless they are in the cache of the datasets library.
"""

import io
import random
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cuvee.errors import ConfigError, CuveeError
from cuvee.sources.task_requests import Kind, TaskItem, TaskRequests

_KINDS: dict[str, Kind] = {
    "multiple_choice": "choice",
    "loglikelihood": "answer",
    "loglikelihood_rolling": "rolling",
}
_SEED, _EXAMPLES_SEED = 0, 1234


def check_harness(task: str) -> None:
    """Raises: ConfigError, where the extra is not installed; nothing is imported to see it."""
    if find_spec("lm_eval") is None:
        raise ConfigError(f"downstream task '{task}' needs lm-evaluation-harness: pip install 'cuvee[eval]'")


def read_task(task: str, limit: int | None = None) -> TaskRequests:
    """The requests of a task.

    Args:
        task: the name of a task of the harness, or the path of a YAML file that describes one.
        limit: the first so many questions; None takes all.

    Raises:
        ConfigError: the extra is not installed; there is no such task, its data cannot be read, or it asks
            for more than likelihoods.
    """
    try:
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise ConfigError(
            f"downstream task '{task}' needs lm-evaluation-harness: pip install 'cuvee[eval]' ({error})"
        ) from error
    try:
        with _as_the_harness():
            is_file = Path(task).suffix in (".yaml", ".yml")
            include = str(Path(task).parent) if is_file else None
            manager = TaskManager(include_path=include, include_defaults=not is_file)
            _refuse_group(task, [*manager.all_groups, *manager.all_tags])
            (opened,) = manager.load([task])["tasks"].values()
            kind = _kind(task, opened)
            opened.set_config(key="num_fewshot", value=opened.get_config("num_fewshot") or 0)
            opened.set_fewshot_seed(seed=_EXAMPLES_SEED)
            opened.build_all_requests(limit=limit)
            return TaskRequests(kind, tuple(_items(opened, kind)))
    except CuveeError as error:
        raise ConfigError(f"downstream task '{task}': {error}") from error
    except Exception as error:  # whatever the harness, its templates and the datasets library raise
        raise ConfigError(
            f"downstream task '{task}' cannot be read: {type(error).__name__}: {error}; give the name of a "
            "task (`lm_eval ls tasks` lists them) or the path of its YAML file, and see that its data is here"
        ) from error


@contextmanager
def _as_the_harness() -> Iterator[None]:
    """Random numbers as the harness begins with them, and none of its messages; what was there comes back."""
    before = random.getstate()
    random.seed(_SEED)
    try:
        with redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            yield
    finally:
        random.setstate(before)


def _refuse_group(task: str, groups: list[str]) -> None:
    if task in groups:
        raise ConfigError(
            "is a group of tasks; name those that are meant one by one (`lm_eval ls subtasks` lists all)"
        )


def _kind(task: str, opened: Any) -> Kind:
    kind = _KINDS.get(str(opened.OUTPUT_TYPE))
    if kind is None:
        raise ConfigError(
            f"asks a model to write text ({opened.OUTPUT_TYPE}); only likelihoods are scored: take a task of "
            f"{', '.join(_KINDS)}"
        )
    if kind != "rolling" and callable(opened.config.process_results):
        raise ConfigError(
            "judges answers by Python code of its own (process_results), which is not followed; take a task "
            "that is judged by the likelihood of its choices"
        )
    return kind


def _items(opened: Any, kind: Kind) -> Iterator[TaskItem]:
    by_document: dict[int, list[Any]] = {}
    for instance in opened.instances:
        by_document.setdefault(instance.doc_id, []).append(instance)
    for number, instances in by_document.items():
        try:
            yield _MAKERS[kind](opened, instances)
        except ConfigError as error:
            raise ConfigError(f"question {number + 1}: {error}") from error


def _choices(opened: Any, instances: list[Any]) -> TaskItem:
    document = instances[0].doc
    choices = [str(one) for one in opened.doc_to_choice(document)]
    gold = opened.doc_to_text(document) if opened.multiple_input else opened.doc_to_target(document)
    right = gold if isinstance(gold, list) else [gold]
    places = [choices.index(one) if isinstance(one, str) and one in choices else one for one in right]
    if not all(isinstance(one, int) for one in places):
        raise ConfigError(f"its right answer {gold!r} is none of its choices")
    asked = sorted(instances, key=lambda one: int(one.idx))[: len(choices)]  # others lack the context
    return TaskItem(
        tuple((str(one.args[0]), str(one.args[1])) for one in asked),
        tuple(len(one) for one in choices),
        tuple(len(one.encode()) for one in choices),
        tuple(int(one) for one in places),
    )


def _answer(opened: Any, instances: list[Any]) -> TaskItem:
    context, continuation = instances[0].args
    return TaskItem(
        ((str(context), str(continuation)),), (len(continuation),), (len(continuation.encode()),), (0,)
    )


def _text(opened: Any, instances: list[Any]) -> TaskItem:
    """A text counts as many words and bytes as the task says; it may count those of another spelling."""
    document, (text,) = instances[0].doc, instances[0].args
    said = opened.process_results(document, (0.0,))
    words = said["word_perplexity"][1] if "word_perplexity" in said else opened.count_words(text)
    counted = next((said[one][1] for one in ("bits_per_byte", "byte_perplexity") if one in said), None)
    size = opened.count_bytes(text) if counted is None else counted
    return TaskItem((("", str(text)),), (int(words),), (int(size),), (0,))


_MAKERS = {"choice": _choices, "answer": _answer, "rolling": _text}
