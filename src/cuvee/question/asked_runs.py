"""Asked runs: a question about a table of runs on disk, so that it can be asked again.

    runs.parquet      the runs that were used, as tidy table
    question.json     what was asked, with the digest of the runs and one of itself

Both files are written whole or not at all; the runs first.
"""

from pathlib import Path
from typing import Any

from cuvee.decisions.document import decode, encode
from cuvee.errors import ConfigError
from cuvee.files import atomic_path
from cuvee.question.question import Question
from cuvee.question.runs import Runs
from cuvee.runs.observations import Observations
from cuvee.seal import FILES, damage, digests_of, read_sealed, write_sealed

_KEPT = ("notes", "warnings", "assumed")
_RUNS, _QUESTION = "runs.parquet", "question.json"


def save(folder: Path, runs: Runs, question: Question) -> None:
    """Write runs and question; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / _RUNS) as path:
        runs.observations.write_parquet(path)
    said = {"table": runs.name, **{name: list(getattr(runs, name)) for name in _KEPT}}
    write_sealed(folder / _QUESTION, {**said, **encode(question), FILES: digests_of(folder, (_RUNS,))})


def load(folder: Path) -> tuple[Runs, Question]:
    """What was asked in a folder.

    Raises:
        ConfigError: there is no fit in it, or a file is damaged (the message names it).
    """
    for name in (_RUNS, _QUESTION):
        if not (folder / name).exists():
            raise ConfigError(f"{folder} holds no {name}; make it with `cuvee fit TABLE --out {folder}`")
    try:
        document = read_sealed(folder / _QUESTION)
        if wrong := damage(folder, document.pop(FILES, {}), (_RUNS,)):
            raise ConfigError(f"{folder}: {wrong}; run `cuvee fit` again")
        table = str(document.pop("table"))
        kept: dict[str, Any] = {name: tuple(map(str, document.pop(name, ()))) for name in _KEPT}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ConfigError(f"{folder / _QUESTION} cannot be read ({error}); run `cuvee fit` again") from error
    try:
        question = decode(Question, document, "question")
    except ConfigError as error:
        raise ConfigError(f"{folder / _QUESTION} cannot be read ({error}); run `cuvee fit` again") from error
    runs = Runs(Observations.read_parquet(folder / _RUNS), question.directions, table, **kept)
    return runs, question
