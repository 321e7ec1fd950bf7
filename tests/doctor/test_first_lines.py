"""What ``cuvee fit`` says first: the same checks as the doctor's, of the question that is asked."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cuvee.doctor.diagnosis import diagnose, examine
from cuvee.doctor.first_lines import first_lines
from cuvee.doctor.registry import CHECKS
from cuvee.doctor.subject import Subject
from cuvee.errors import CuveeError
from cuvee.flows.fit.flow import decide
from cuvee.flows.fit.folder import save
from cuvee.question.asked_runs import load
from cuvee.question.question import Question
from cuvee.question.runs import checked_directions, one_scale
from tests.runs.test_formats_damage import FILES, with_odd_cell, written

COUNT = 16

Metric = Callable[[float], float]
"""Of the share of the web."""
Metrics = dict[str, Metric]


def runs(path: Path, rows: int = COUNT, **metrics: Metric) -> str:
    shares = np.random.default_rng(0).dirichlet(np.ones(2), rows)
    names = [name.replace("__", "/") for name in metrics]
    lines = [",".join(["run", "w:web", "w:code", *(f"m:{name}" for name in names)])]
    for row in range(rows):
        cells = [*shares[row].tolist(), *(column(shares[row, 0]) for column in metrics.values())]
        lines.append(",".join([f"r{row}", *map(repr, map(float, cells))]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def said(path: str, question: Question | None = None) -> tuple[str, ...]:
    """What a fit of a table says first."""
    question = question or Question()
    subject = Subject.read([Path(path)], question=question)
    return first_lines(
        one_scale(subject.all_runs, [Path(path)], (), (), question.target_tokens), question, subject
    )


def test_a_clean_table_has_nothing_to_say_first(tmp_path: Path) -> None:
    assert said(runs(tmp_path / "runs.csv", val__loss=lambda web: 3 - web)) == ()


def test_what_is_left_out_and_what_is_assumed_stands_first(tmp_path: Path) -> None:
    path = runs(tmp_path / "runs.csv", train__loss=lambda web: 2 + web, quiz=lambda web: 3 - web)
    left, assumed = said(path)
    assert left.startswith("Left out of the target: train/loss (")
    assert assumed.startswith("Warning, metric quiz: It counts as a loss since columns m: are losses")


def test_an_answer_holds_it_and_says_it_again(tmp_path: Path) -> None:
    path = Path(runs(tmp_path / "runs.csv", train__loss=lambda web: 2 + web, quiz=lambda web: 3 - web))
    subject = Subject.read([path])
    found = one_scale(subject.all_runs, [path])
    asked = checked_directions(found, Question(law="linear"))
    lines = first_lines(found, Question(law="linear"), subject)
    made = decide(found.observations, asked, table="t", warnings=lines, compared=("linear",))
    assert made.decision.headline[1:3] == lines
    save(tmp_path / "fit", found, asked, made)
    kept, again = load(tmp_path / "fit")
    assert first_lines(kept, again) == lines[1:]


def test_a_metric_that_is_named_is_warned_of(tmp_path: Path) -> None:
    path = runs(tmp_path / "runs.csv", train__loss=lambda web: 2 + web, val__loss=lambda web: 3 - web)
    assert "own training stream" in said(path, Question(weights={"train/loss": 1.0}))[0]
    assert said(path, Question(weights={"val/loss": 1.0})) == ()


def test_the_scale_stands_first(tmp_path: Path) -> None:
    rows = ["run,tokens,w:web,w:code,m:val_loss"]
    web = np.random.default_rng(0).uniform(size=COUNT)
    for tokens in (1e9, 8e9):
        rows += [f"r{i},{tokens:.0f},{w!r},{1 - w!r},{3 - w}" for i, w in enumerate(web.tolist())]
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(rows) + "\n")
    assert said(str(path))[0].startswith(
        "Of 2 scales the largest with nearly as many runs as any is used: the 16"
    )
    assert "at 8B tokens, not 16 at 1B tokens" in said(str(path))[0]
    assert "at 1B tokens, not 16 at 8B tokens" in said(str(path), Question(target_tokens=1.1e9))[0]


@pytest.mark.parametrize(
    ("metrics", "check"),
    [
        ({"a_ppl": lambda w: np.exp(8 - 3 * w), "b_loss": lambda w: 3 - w}, None),
        ({"a_acc": lambda w: 0.5 * w, "b_loss": lambda w: 3 - w}, "mixed_directions"),
        ({"a_acc": lambda w: 0.1 + w / 2, "b_acc": lambda w: 40 + 9 * w * w}, "percent_beside_fractions"),
        ({"a_loss": lambda w: 3 - w + w * w, "b_loss": lambda w: 300 - 100 * w}, "dominant_metric"),
        ({"a_loss": lambda w: 3 - w + w * w, "b_bpb": lambda w: 2 - w}, "bits_beside_nats"),
    ],
)
def test_fit_and_doctor_say_the_same(tmp_path: Path, metrics: Metrics, check: str | None) -> None:
    path = runs(tmp_path / "runs.csv", COUNT, **metrics)
    found = diagnose([Path(path)]).findings
    serious = {one.name for one in CHECKS if one.serious}
    grave = [one for one in found if one.check in serious and one.severity != "note"]
    assert [one.check for one in grave if one.severity == "error"] == []
    lines = "\n".join(said(path))
    for one in grave:
        assert one.what in lines
    assert check is None or check in {one.check for one in grave}


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_examined_to_the_end(name: str, tmp_path: Path) -> None:
    """Whatever a file holds, only errors raised on purpose come out."""
    rng = random.Random(name)
    for _ in range(25):
        files = dict(FILES[name])
        for _ in range(rng.randint(1, 3)):
            which = rng.choice(list(files))
            lines = with_odd_cell(files[which], rng)
            files[which] = "\n".join([*lines, rng.choice(lines)])
        subject = Subject.read(written(tmp_path, files))
        examine(subject)
        if subject.table is None:
            continue
        try:
            found = one_scale(subject.table, [tmp_path], rng.choice([(), ("all",), ("*loss",)]))
            first_lines(found, Question(), subject)
            checked_directions(found, Question())
        except CuveeError:
            continue
