"""What an export says of the answer that it writes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cuvee.decisions.verdict import Standing, Verdict
from cuvee.errors import ConfigError
from cuvee.study.decided import read_decided
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
