"""Studies left half-done, and the command that comes next: what ``benchmarks/damage.py`` damages.

Three invented languages, a model of 10,000 parameters, all in this process. A half-done folder is a copy made
while the command is at work, with whatever a kill at that moment would leave: states of trainings, a
write-ahead log.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from threadpoolctl import threadpool_limits

from cuvee.cli.report import write
from cuvee.execution.local import InProcess
from cuvee.files import write_json, write_text
from cuvee.flows import scale, search
from cuvee.flows.ablation import flow as ablation
from cuvee.flows.fit import folder as fit_folder
from cuvee.flows.fit.flow import decide
from cuvee.models.config import ModelConfig
from cuvee.models.hugging_face import save_llama
from cuvee.models.llama import Llama
from cuvee.progress import Silent
from cuvee.question import asked_runs
from cuvee.question.question import Question
from cuvee.question.runs import Runs
from cuvee.runs.store import RunStore
from cuvee.study.answers import read_answer
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.training import loop
from cuvee.types import Json

SOURCES = {"ka": "ka ke ki tak rak gar", "lo": "lo la le sol vel alo", "mi": "mi me mo ami nim fim"}
STEP = 128
TRAINING = {"learning_rate": 3e-3, "batch_tokens": STEP}
MODEL = ModelConfig(vocabulary_size=300, context_length=32, width=16, layers=2, heads=2, hidden=32)
STUDY: Json = {
    "schema": 1,
    "name": "damaged",
    "workers": 1,
    "sources": {name: f"text/{name}.jsonl" for name in SOURCES},
    "split": {"evaluation": 0.2, "seed": 0.3},
    "tokenizer": {"vocabulary": 300},
    "model": {"folder": "model", "context_length": 32},
    "seed_training": TRAINING | {"tokens": 10 * STEP},
    "branch_training": TRAINING | {"tokens": 6 * STEP, "snapshots": [0.5]},
    "references": {"count": 2, "replicates": 0},
    "candidates": {"count": 8},
    "evaluation_tokens": 96,
    "check": {"seeds": 0},
    "target_run": {"tokens": 22_000, "max_epochs": 30},
    "search": {"budget_flops": 3e9, "target_tokens": 4_000, "scales": 1, "step": 2.0, "batch": 1}
    | {"tolerance": 0},
    "scale": {"budget_flops": 1e12, "replicates": 1, "seeds": 1, "step": 2.0},
}
_STORE = ("store.sqlite", "store.sqlite-wal")
_LEFT_OUT = frozenset({"ledger", "created_from", "seconds", "hours", "proxy_over_direct"})
NUMERICS = {"dtype": "float32", "compiled": False, "device": "cpu"}


class Halted(BaseException):
    """What was wanted is on the disk."""


@dataclass
class Listener(Silent):
    """Keeps what is said, and looks at every sign of progress."""

    look: Callable[[str], None] = lambda note: None
    said: list[str] = field(default_factory=list)

    def stage(self, title: str, total: float, unit: str) -> None:
        self.look(title)

    def advance(self, amount: float, note: str = "") -> None:
        self.look(note)

    def message(self, text: str) -> None:
        self.said.append(text)
        self.look(text)


Next = Callable[[Path, Listener], Json]
"""The command that comes next on a folder; what it answers."""


@dataclass(frozen=True)
class HalfDone:
    """A folder that a command left, and what comes next."""

    name: str
    folder: Path
    next: Next
    own: tuple[str, ...] = ()
    """Beginnings of names of files that are damaged here although an earlier study has them too."""


def half_done(work: Path) -> list[HalfDone]:
    """All folders, made below ``work``."""
    begun = _new(work / "new")
    before = loop.SAVE_EVERY_SECONDS, loop._NOTE_EVERY_SECONDS
    loop.SAVE_EVERY_SECONDS = loop._NOTE_EVERY_SECONDS = 0.0  # a state after every step, and a note
    folders = [
        HalfDone("run", _left(begun, work / "run", _run, "branch lo: step 4/"), _run),
        HalfDone("run, pool made", _left(begun, work / "pool", _run, "scoring merges"), _run, _STORE),
        HalfDone("search", _left(begun, work / "search", _search, "   4  "), _search, _STORE[1:]),
        HalfDone("ladder", _left(begun, work / "ladder", _scale, "rung ", 40), _scale, ("checkpoints/.",)),
    ]
    loop.SAVE_EVERY_SECONDS, loop._NOTE_EVERY_SECONDS = before
    answered = _copy(begun, work / "answered")
    for flow in (_run, _search, _scale):
        flow(answered, Listener())
    folders += [
        HalfDone("answered, `cuvee report`", answered, _report),
        HalfDone(
            "answered, `cuvee run`", answered, _more_candidates, ("store.sqlite", "checkpoints/KEY/cuvee")
        ),
        HalfDone("fit", _fitted(answered, work / "fit"), _optimise),
    ]
    return folders


def _copy(folder: Path, place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    return Path(shutil.copytree(folder, place))


def _new(root: Path) -> Path:
    shutil.rmtree(root, ignore_errors=True)
    rng = np.random.default_rng(0)
    for name, syllables in SOURCES.items():
        words = ["".join(rng.choice(syllables.split(), size=2)) for _ in range(20)]
        texts = [" ".join(rng.choice(words, size=60)) for _ in range(40)]
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        write_text(root / "text" / f"{name}.jsonl", lines)
    write_text(root / "study.yaml", yaml.safe_dump(STUDY, sort_keys=False))
    write_json(root / "numerics.json", NUMERICS)
    (root / "model").mkdir()
    save_llama(root / "model", MODEL, Llama(MODEL, torch.float32, False, "cpu").initial(0))
    return root


def _left(begun: Path, place: Path, command: Next, at: str, times: int = 1) -> Path:
    """A copy of a folder at the moment at which a command says so many times what begins with ``at``."""
    working = _copy(begun, place.with_name(f"{place.name}-at-work"))
    found = 0

    def look(note: str) -> None:
        nonlocal found
        found += note.startswith(at)
        if found == times:
            _copy(working, place)
            raise Halted

    try:
        command(working, Listener(look))
    except Halted:
        return place
    raise RuntimeError(f"{place.name}: the command ended after {found} times {at!r}")


def _flow(run: Callable[..., Any], folder: Path, listener: Listener, **changes: Any) -> Json:
    config = StudyConfig.load(folder)
    if changes:
        config = config.model_copy(update=changes)
    with threadpool_limits(limits=1):
        decision = run(config, StudyFolder(folder), listener, InProcess())
    write(decision, folder)
    answer: Json = timeless(decision.as_json())
    return answer


def _run(folder: Path, listener: Listener) -> Json:
    return _flow(ablation.run, folder, listener)


def _search(folder: Path, listener: Listener) -> Json:
    return _flow(search.run, folder, listener)


def _scale(folder: Path, listener: Listener) -> Json:
    return _flow(scale.run, folder, listener)


def _more_candidates(folder: Path, listener: Listener) -> Json:
    """What is trained stays, and more mixtures are scored with it."""
    candidates = StudyConfig.load(folder).candidates
    more = candidates.model_copy(update={"count": candidates.count + 4})
    return _flow(ablation.run, folder, listener, candidates=more)


def _report(folder: Path, listener: Listener) -> Json:
    """The answers read, as their pages are written again."""
    found = {}
    for flow in ("run", "search", "scale"):
        decision = read_answer(folder, flow)
        if decision is None:
            listener.message(f"there is no answer of {flow}")
        else:
            found[flow] = timeless(decision.as_json())
    return found


def _fitted(answered: Path, place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    with RunStore(answered / "store.sqlite") as store:
        runs = store.observations(kind="merged")
    lower = [name for name in runs.metrics if name.startswith("nats")]
    table = Runs(runs, dict.fromkeys(lower, "lower"), "merges", ())
    question = Question(weights=dict.fromkeys(lower, 1.0), directions=dict.fromkeys(lower, "lower"))
    with threadpool_limits(limits=1):
        fit_folder.save(place, table, question, decide(runs, question, table="merges", compared=("linear",)))
    return place


def _optimise(folder: Path, listener: Listener) -> Json:
    """The runs asked again, beside the answer that is there."""
    runs, question = asked_runs.load(folder)
    before = fit_folder.load_decision(folder)
    with threadpool_limits(limits=1):
        again = decide(runs.observations, question, table=runs.name, compared=("linear",))
    return {"before": timeless(before.as_json()), "again": timeless(again.decision.as_json())}


def timeless(document: Any) -> Any:
    """An answer without what it cost and where it lies."""
    if isinstance(document, dict):
        return {key: timeless(value) for key, value in document.items() if key not in _LEFT_OUT}
    return [timeless(one) for one in document] if isinstance(document, list) else document
