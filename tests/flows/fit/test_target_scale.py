"""A table of several sizes, asked at the size that the user names."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.flows.fit.flow import decide
from cuvee.flows.fit.folder import save
from cuvee.question.asked_runs import load
from cuvee.question.question import Question
from cuvee.question.runs import Runs, every_scale
from cuvee.runs.imported import import_runs
from cuvee.runs.observations import Observations
from tests.laws.samples import SOURCES, mixtures

LAW = "effective_data_scaling"


def read(path: Path) -> Runs:
    """The runs of all scales of a table."""
    return every_scale(import_runs([path]), [path])


def table(path: Path, sizes: tuple[float, ...] = (1e6, 4e6), tokens: tuple[float, ...] = (1e8, 4e8)) -> Path:
    """Web saturates, books grow on: the longer the run, the more books."""
    lines = [",".join(["key", "params", "tokens", *(f"w:{s}" for s in SOURCES), "m:loss"])]
    for i, w in enumerate(mixtures(60, 4).tolist()):
        n, d = sizes[i % len(sizes)], tokens[i // len(sizes) % len(tokens)]
        amount = 0.2 + (w[0] * d / 1e8) ** 0.8 + 1.2 * (w[3] * d / 1e8) ** 0.15
        loss = 2.0 + 1.0 / amount + 0.4 * (n / 1e6) ** -0.3
        lines.append(",".join(map(repr, [f"run{i}", n, d, *w, loss])).replace("'", ""))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Observations:
    path = table(tmp_path_factory.mktemp("sizes") / "runs.csv")
    return read(path).observations


def asked(**more: float) -> Question:
    return Question(law=LAW, target_params=4e6, **more)  # type: ignore[arg-type]


def test_the_mixture_is_that_of_the_size_asked_for(runs: Observations, tmp_path: Path) -> None:
    short = decide(runs, asked(target_tokens=1e8), table="t", compared=())
    long = decide(runs, asked(target_tokens=1.6e9), table="t", compared=())
    books = [next(e.share for e in one.decision.mixture if e.source == "books") for one in (short, long)]
    assert books[1] > books[0] + 0.1
    assert long.decision.pick.target.mean < short.decision.pick.target.mean
    assert any("in runs of 4M parameters and 1.6B tokens" in line for line in long.decision.headline)
    assert any("4 times the tokens of the largest run" in note for note in long.decision.notes)
    assert not any("largest run" in note for note in short.decision.notes)
    # What was measured at another size is not set beside the prediction.
    best = long.decision.candidate("best observed")
    assert math.isnan(best.measured)
    assert json_reopens(runs, long.decision.law, tmp_path, long)


def json_reopens(runs: Observations, law: str, folder: Path, answer: object) -> bool:
    kept = read(table(folder / "runs.csv"))
    save(folder / "fit", kept, asked(target_tokens=1.6e9), answer)  # type: ignore[arg-type]
    _, question = load(folder / "fit")
    return question.law == law and question.target_params == 4e6


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (Question(law=LAW, target_params=4e6), "several numbers of tokens: say --target-tokens COUNT"),
        (Question(law=LAW, target_tokens=4e8), "several numbers of parameters: say --target-params COUNT"),
        (Question(law="additive_scaling"), "--target-params COUNT"),
    ],
)
def test_a_size_that_is_not_named_is_asked_for(runs: Observations, question: Question, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        decide(runs, question, table="t", compared=())


def test_a_size_that_no_run_speaks_of_is_refused(tmp_path: Path) -> None:
    one = read(table(tmp_path / "one.csv", tokens=(1e8,))).observations
    with pytest.raises(ConfigError, match="all runs have 100M tokens: they say nothing of 1B"):
        decide(one, asked(target_tokens=1e9), table="t", compared=())
    assert decide(one, asked(), table="t", compared=()).decision.at_target


def test_other_laws_of_scale_answer_too(runs: Observations) -> None:
    question = replace(asked(target_tokens=4e8), law="additive_scaling")
    decision = decide(runs, question, table="t", compared=()).decision
    assert decision.law == "additive_scaling" and np.isfinite(decision.pick.target.mean)
