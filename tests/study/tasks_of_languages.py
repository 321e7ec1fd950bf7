"""A task on the invented languages: which sentence goes on with this one? (for tests)"""

from pathlib import Path

import numpy as np

from cuvee.sources.task_requests import TaskItem, TaskRequests
from tests.study.tiny_study import LANGUAGES, texts


def quiz(questions: int = 40, seed: int = 7) -> TaskRequests:
    """Questions in which the right choice goes on in the language of the context, and others do not."""
    rng = np.random.default_rng(seed)
    words = {name: " ".join(texts(name, 4, seed=seed)).replace(".", "").split() for name in LANGUAGES}
    items = []
    for number in range(questions):
        language = LANGUAGES[number % 2]  # two of the four alone
        start = {name: int(rng.integers(len(own) - 6)) for name, own in words.items()}
        context = " ".join(words[language][start[language] : start[language] + 3])
        after = {
            name: " ".join(own[start[name] + 3 : start[name] + 5])
            for name, own in words.items()
            if name in LANGUAGES[:3]
        }
        right = list(after).index(language)
        items.append(
            TaskItem(
                tuple((context, f" {one}") for one in after.values()),
                tuple(len(one) for one in after.values()),
                tuple(len(one.encode()) for one in after.values()),
                (right,),
            )
        )
    return TaskRequests("choice", tuple(items))


def write_quiz(path: Path, questions: int = 40) -> Path:
    """The requests, made."""
    quiz(questions).save(path)
    return path
