"""Fit folder: the answer to a question about a table of runs, on disk.

    fit/runs.parquet      the runs that were used, as tidy table
    fit/question.json     what was asked (``cuvee.question.asked_runs``)
    fit/fit.json          the decision
    fit/law.json          formula, parameters and spread: enough to predict without cuvee
    fit/kept.npz          what another question of the same runs need not fit again
    fit/report.html       the page (written by ``report``)

Every file is written whole or not at all; runs and question first, so that whenever there is an answer it can
be asked for again. The decision has a digest of itself.
"""

from pathlib import Path

from cuvee.decisions.fit.decision import LawDecision
from cuvee.errors import ConfigError, CuveeError
from cuvee.files import write_json
from cuvee.flows.fit.flow import FitResult
from cuvee.flows.fit.kept import Kept
from cuvee.laws.interface import LawData
from cuvee.question import asked_runs
from cuvee.question.question import Question
from cuvee.question.runs import Runs
from cuvee.seal import read_sealed, write_sealed

DECISION = "fit.json"
_LAW = "law.json"


def save(folder: Path, runs: Runs, question: Question, answer: FitResult) -> None:
    """Write runs, question and answer."""
    asked_runs.save(folder, runs, question)
    write_json(folder / _LAW, answer.surrogate.as_json())
    answer.kept.save(folder, answer.surrogate.data, question.seed)
    write_sealed(folder / DECISION, answer.decision.as_json())


def load_kept(folder: Path, runs: Runs, question: Question) -> Kept:
    """What the fit in a folder need not do again for a question of its runs."""
    data = LawData.of(runs.observations, directions=question.directions, transport=question.transport)
    return Kept.load(folder, data, question.seed)


def load_decision(folder: Path) -> LawDecision:
    """The decision of a folder.

    Raises:
        ConfigError: there is none, or it is damaged.
    """
    path = folder / DECISION if folder.is_dir() else folder
    try:
        return LawDecision.from_json(read_sealed(path))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist; make it with `cuvee fit TABLE --out {folder}`") from error
    except (ValueError, CuveeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); run `cuvee fit` again") from error
