"""What an export says of the answer that it writes."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cuvee.decisions.verdict import Standing, Verdict
from cuvee.errors import ConfigError
from cuvee.exporters.decided import Decided, read_decided
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
    assert kept(tmp_path, verdict=None) == ("decision.json is not checked by training",)


@pytest.mark.parametrize(
    "changes",
    [
        {"doubts": ["The trainings know nothing."]},
        {"headline": ["Do not take this mixture: 90% web. The search failed."]},
        {"headline": ["Do not rely on this mixture: 90% web."]},
        {
            "headline": [
                "Not checked: 90% web.",
                "Measured better than this mixture can be expected to be: r7.",
            ]
        },
    ],
)
def test_what_an_answer_says_against_itself_is_said_when_it_is_exported(
    changes: dict[str, list[str]], tmp_path: Path
) -> None:
    (lines,) = changes.values()
    assert kept(tmp_path, **changes) == (lines[-1],)


def test_a_verdict_is_on_the_mixture_chosen_and_on_no_other(tmp_path: Path) -> None:
    name, count = "another", len(small().mixture)
    kept(tmp_path, tied=[{"name": name, "shares": [1 / count] * count}])
    (note,) = read_decided(tmp_path, name).notes
    assert note == f"{name!r} is not the mixture that decision.json chose: no verdict there is on it"


def test_the_mixture_chosen_may_be_called_by_a_name_too(tmp_path: Path) -> None:
    shares = [entry.share for entry in small().mixture]
    assert kept(tmp_path, tied=[{"name": "pick", "shares": shares}]) == ()
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
