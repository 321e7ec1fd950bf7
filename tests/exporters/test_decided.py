"""What an export says of the answer that it writes."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cuvee.decisions.ablation.result import Gain, TiedMixture
from cuvee.decisions.document import encode
from cuvee.decisions.verdict import Standing, Verdict
from cuvee.errors import ConfigError
from cuvee.exporters.decided import Decided, read_decided
from cuvee.flows.fit.flow import decide
from cuvee.question.question import Question
from tests.flows.fit.test_flow import observations
from tests.report.cases import small


@pytest.mark.parametrize("standing", ["confirmed", "not confirmed", "refuted", "not checked"])
def test_an_answer_that_no_training_confirmed_says_so(standing: Standing, tmp_path: Path) -> None:
    decision = replace(small(), verdict=Verdict(standing, "For this reason."))
    (tmp_path / "decision.json").write_text(json.dumps(decision.as_json()))
    notes = read_decided(tmp_path).notes
    if standing == "confirmed":
        assert notes == ()
    else:
        assert notes == (f"decision.json is {standing} by training: For this reason.",)


def kept(tmp_path: Path, **changes: Any) -> tuple[str, ...]:
    """The notes on a confirmed answer with changes to its JSON."""
    document = replace(small(), verdict=Verdict("confirmed", "")).as_json() | changes
    document.pop("digest", None)
    (tmp_path / "decision.json").write_text(json.dumps(document))
    return read_decided(tmp_path).notes


def test_an_answer_of_a_version_without_verdicts_is_not_checked(tmp_path: Path) -> None:
    document = small().as_json() | {"schema": 1}
    for key in ("by", "verdict", "check", "gains", "optimism", "evaluations"):
        del document[key]
    (tmp_path / "decision.json").write_text(json.dumps(document))
    (note,) = read_decided(tmp_path).notes
    assert note.startswith("decision.json is not checked by training")


def test_what_an_answer_says_against_itself_is_said_when_it_is_exported(tmp_path: Path) -> None:
    assert kept(tmp_path, doubts=["The trainings know nothing."]) == ("The trainings know nothing.",)
    better = Gain("equal shares", 0.02, 0.01, 0.03)
    (note,) = kept(tmp_path, gains=[encode(better)])
    assert note.startswith("The pick is predicted to end higher than equal shares by 0.0200")
    tied = TiedMixture("another", (0.5, 0.5), -0.2, -0.3, -0.1)
    (note,) = kept(tmp_path, tied=[encode(tied)], optimism=0.0)
    assert note.startswith("Predicted to be better")


def test_a_fit_says_so_too(tmp_path: Path) -> None:
    runs = observations(tmp_path, 40)
    found = decide(runs, Question(), table="runs.csv", compared=("linear", "effective_data")).decision
    decision = replace(found, measured_better=("r7",))
    assert decision.judged().objections()[0].startswith("Measured better than this mixture")
    (tmp_path / "fit.json").write_text(json.dumps(replace(decision, better=("r3",)).judged().as_json()))
    notes = read_decided(tmp_path).notes
    assert any(note.startswith("Do not take this mixture: ") and "worse than r3" in note for note in notes)
    assert any(note.startswith("Measured better than this mixture can be expected") for note in notes)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"by": "somebody"}, "'by' is 'somebody'; cuvee knows run, scale, search, laws"),
        ({"schema": 99}, "upgrade cuvee"),
        ({"mixture": [{"source": "web", "share": 1.0}]}, "something is missing or damaged in it"),
    ],
)
def test_a_decision_that_cannot_be_read_is_refused(
    document: dict[str, Any], said: str, tmp_path: Path
) -> None:
    (tmp_path / "decision.json").write_text(json.dumps(small().as_json() | document))
    with pytest.raises(ConfigError, match=said):
        read_decided(tmp_path)


def test_a_verdict_is_on_the_mixture_chosen_and_on_no_other(tmp_path: Path) -> None:
    name, count = "another", len(small().mixture)
    kept(tmp_path, tied=[encode(TiedMixture(name, (1 / count,) * count, 0.0, -0.1, 0.1))])
    (note,) = read_decided(tmp_path, name).notes
    assert note == f"{name!r} is not the mixture that decision.json chose: no verdict there is on it"


def test_the_mixture_chosen_may_be_called_by_a_name_too(tmp_path: Path) -> None:
    shares = tuple(entry.share for entry in small().mixture)
    assert kept(tmp_path, tied=[encode(TiedMixture("pick", shares, 0.0, -0.1, 0.1))]) == ()
    assert read_decided(tmp_path, "pick").notes == ()


def test_trainings_of_a_study_are_no_target_run(tmp_path: Path) -> None:
    """An exporter would cut every source to the tokens of a reference."""
    document = small().as_json()
    assert read_decided_at(tmp_path, document).target_tokens == document["target_scale"]["tokens"]
    for entry in document["mixture"]:
        entry["epoch_cap"] = None
    decided = read_decided_at(tmp_path, document)
    assert math.isnan(decided.target_tokens)
    assert any("names no `target_run.tokens`" in note for note in decided.notes)


def read_decided_at(tmp_path: Path, document: dict[str, Any]) -> Decided:
    document.pop("digest", None)
    (tmp_path / "decision.json").write_text(json.dumps(document))
    return read_decided(tmp_path)


def test_of_several_answers_the_one_taken_is_named(tmp_path: Path) -> None:
    decision = replace(small(), verdict=Verdict("confirmed", ""))
    for name in ("decision.json", "search.json"):
        (tmp_path / name).write_text(json.dumps(decision.as_json()))
    (note,) = read_decided(tmp_path).notes
    assert note.startswith("this is the answer of decision.json; beside it lies search.json")
    assert read_decided(tmp_path / "search.json").notes == ()


@pytest.mark.parametrize("share", ["1" + "0" * 400, "1e400", '"x"', "null", "true", "[]"])
def test_a_share_that_is_no_number_is_refused_by_name(tmp_path: Path, share: str) -> None:
    (tmp_path / "shares.json").write_text(f'{{"web": 0.5, "code": {share}}}')
    with pytest.raises(ConfigError, match=r"the share of code is .*; write a number from 0 to 1"):
        read_decided(tmp_path / "shares.json")
