"""The answers of one study beside each other: what they say, which to believe, and what cannot be read."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cuvee.cli.report import write as write_reports
from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.ablation.result import Reference, RunScale
from cuvee.decisions.answers.answers import sentences
from cuvee.decisions.answers.choice import choose
from cuvee.decisions.answers.recommendation import OwnTrainings, Recommendation, RunSize, answer_of
from cuvee.decisions.interval import Interval
from cuvee.decisions.provenance import Provenance
from cuvee.decisions.scale.decision import ScaleDecision
from cuvee.decisions.shares import SourceShare
from cuvee.decisions.verdict import UNTRAINED, Standing, Verdict
from cuvee.errors import ConfigError
from cuvee.study.answers import KeptAnswers, read_answers
from cuvee.study.file.config import StudyConfig
from tests.flows.check.test_flow import check
from tests.flows.scale.scale_cases import EVEN, FOUND, PROVENANCE, SOURCES, ladder
from tests.flows.search.search_cases import searched
from tests.report.cases import small

TARGET = RunSize(1_000_000, 9_000_000)


def ran(mixture: tuple[float, ...] = FOUND, width: float = 0.04, **changes: Any) -> Decision:
    """What ``cuvee run`` says, from proxies and references of 300,000 tokens."""
    reference = Reference("uniform", (0.25,) * 4, 4.0, {})
    return replace(
        small(),
        created_from=PROVENANCE,
        mixture=tuple(
            SourceShare(name, share, share - width, share + width, 10**6, 9 * share)
            for name, share in zip(SOURCES, mixture, strict=True)
        ),
        target_scale=RunScale(1_000_000, 9_000_000),
        proxy_scale=RunScale(1_000_000, 300_000),
        references=(reference,),
        **changes,
    )


def write(folder: Path, name: str, document: dict[str, Any]) -> None:
    (folder / name).write_text(json.dumps(document), encoding="utf-8")


def answer(
    flow: str, standing: Standing = "not checked", tokens: int = 0, trainings: int = 1, share: float = 0.5
) -> Recommendation:
    """For one run, trained on so many tokens itself; never where there are none."""
    return Recommendation(
        flow,
        Verdict(standing, "as written by hand"),
        {"code": Interval(share, share - 0.05, share + 0.05), "web": Interval(1 - share)},
        0.8,
        TARGET,
        OwnTrainings(RunSize(1_000_000, tokens), trainings) if tokens else None,
        PROVENANCE,
    )


# The example that began it: 32, 22 and 96 per cent of one source, each with a green badge


@pytest.fixture
def three(tmp_path: Path) -> Path:
    extrapolated = ladder((0.96, 0.02, 0.01, 0.01), width=0.01).judged()
    write(tmp_path, "decision.json", ran((0.32, 0.3, 0.2, 0.18)).as_json())
    write(tmp_path, "search.json", searched((0.22, 0.3, 0.25, 0.23)).as_json())
    write(tmp_path, "scale.json", extrapolated.as_json())
    return tmp_path


def test_three_answers_to_one_question_are_set_beside_each_other(three: Path) -> None:
    answers = read_answers(three)
    assert [one.flow for one in answers.found] == ["run", "search", "scale"]
    assert [one.shares["code"].mean for one in answers.found] == [0.32, 0.22, 0.96]
    assert [one.verdict.standing for one in answers.found] == ["not checked"] * 3
    assert answers.sources[0] == "code"
    assert sentences(answers) == (
        "cuvee run and cuvee search disagree on code, 32% (28% to 36%) against 22% (18% to 26%). Believe "
        "cuvee search: its mixture was trained on 600,000 tokens, that of cuvee run never. It is not checked "
        "itself; run `cuvee check`.",
        "cuvee run and cuvee scale disagree on code, 32% (28% to 36%) against 96% (95% to 97%), and on 3 "
        "more. Neither is checked; run `cuvee check`.",
        "cuvee search and cuvee scale disagree on code, 22% (18% to 26%) against 96% (95% to 97%), and on 3 "
        "more. Believe cuvee search: its mixture was trained on 600,000 tokens, that of cuvee scale never. "
        "It is not checked itself; run `cuvee check`.",
    )


def test_answers_that_meet_agree(three: Path) -> None:
    write(three, "search.json", searched((0.3, 0.3, 0.2, 0.2)).as_json())
    assert "cuvee run and cuvee search agree within their intervals, at 95% and 80%." in (
        sentences(read_answers(three))
    )


def test_answers_whose_wide_intervals_meet_do_not_hide_that_training_refuted_one(tmp_path: Path) -> None:
    wide = ran(EVEN, 0.5, verdict=Verdict("refuted", "Worse."))
    write(tmp_path, "decision.json", wide.as_json())
    write(tmp_path, "search.json", searched(FOUND, 0.5).as_json())
    (said,) = sentences(read_answers(tmp_path))
    assert said.startswith("cuvee run and cuvee search agree within their intervals")
    assert "Believe cuvee search: it is not checked, that of cuvee run is refuted." in said


def test_fresh_trainings_of_a_mixture_count_as_such() -> None:
    found = check((-0.02, -0.03, -0.01), (-0.02, -0.03, -0.01), seeds=5)
    assert answer_of(searched().with_check(found)).trained == OwnTrainings(RunSize(1_000_000, 600_000), 6)
    assert answer_of(ladder(trainings=0).with_check(found)).trained == OwnTrainings(
        RunSize(100_000, 300_000), 5
    )
    assert answer_of(ran(check=found, verdict=found.verdict)).trained == OwnTrainings(
        RunSize(1_000_000, 300_000), 5
    )


def test_an_answer_of_another_state_does_not_just_agree(three: Path) -> None:
    write(three, "search.json", searched((0.3, 0.3, 0.2, 0.2)).as_json())
    stale = replace(read_answers(three), outdated={"run": "another study file"})
    assert (
        "cuvee run and cuvee search agree within their intervals, at 95% and 80%; what cuvee run says is of "
        "another state of the study." in sentences(stale)
    )


def test_the_answer_being_shown_stands_for_what_lies_on_disk(three: Path) -> None:
    own = searched((0.6, 0.2, 0.1, 0.1))
    (three / "search.json").write_text("{", encoding="utf-8")
    answers = read_answers(three, own)
    assert answers.passed_over == ()
    assert answers.found[1].shares["code"].mean == 0.6


def test_answers_are_read_once_and_then_set_beside_any_of_them(three: Path) -> None:
    (three / "search.json").write_text("{", encoding="utf-8")
    kept = KeptAnswers.read(three)
    beside_nothing, beside_search = read_answers(three), read_answers(three, searched())
    for name in ("decision.json", "search.json", "scale.json"):
        (three / name).unlink()
    assert kept.flows == ("run", "search", "scale")
    assert kept.decision("run") == ran((0.32, 0.3, 0.2, 0.18))
    with pytest.raises(ConfigError, match=r"search.json: not JSON, .*; `cuvee search` writes it again"):
        kept.decision("search")
    assert kept.beside() == beside_nothing
    assert kept.beside(searched()) == beside_search


def test_one_answer_alone_is_not_worth_showing(tmp_path: Path) -> None:
    assert not read_answers(tmp_path).worth_showing
    assert not read_answers(tmp_path, searched()).worth_showing


def test_documents_that_cannot_be_read_are_named_and_passed_over(three: Path) -> None:
    (three / "decision.json").write_text("no json", encoding="utf-8")
    write(three, "search.json", {**searched().as_json(), "schema": 99})
    broken: dict[str, Any] = json.loads((three / "scale.json").read_text())
    empty = {key: broken[key] for key in broken if key != "verdict"} | {"rungs": [], "checks": []}
    damaged: tuple[Any, ...] = ([], {**broken, "mixture": None}, {**broken, "target_tokens": 0})
    for damage in (*damaged, {**empty, "schema": 1, "checked": True}):
        (three / "scale.json").write_text(json.dumps(damage), encoding="utf-8")
        answers = read_answers(three)
        assert answers.found == () and answers.worth_showing
        names = [text.split()[0] for text in sentences(answers)]
        assert names == ["decision.json", "search.json", "scale.json"]
    own = ladder().judged()
    page = write_reports(own, three)[0].read_text(encoding="utf-8")
    assert "decision.json is passed over: " in page and "search: written under schema 99" in page
    assert ScaleDecision.from_json(json.loads((three / "scale.json").read_text())) == own


# Which to believe


CHOICES: dict[str, tuple[Recommendation, Recommendation, frozenset[str], str]] = {
    "confirmed before not checked": (
        answer("run", "confirmed", 300_000),
        answer("scale", "not checked", 900_000),
        frozenset(),
        "Believe cuvee run: it is confirmed, that of cuvee scale is not checked.",
    ),
    "anything before refuted": (
        answer("run", "refuted", 900_000, 4),
        answer("scale"),
        frozenset(),
        "Believe cuvee scale: it is not checked, that of cuvee run is refuted. It is not checked itself; run",
    ),
    "nearer to the target": (
        answer("run", "not confirmed", 300_000, 8),
        answer("search", "not checked", 600_000),
        frozenset(),
        "Believe cuvee search: its mixture was trained on 600,000 tokens, that of cuvee run on 300,000, "
        "farther from the run that it is for. It is not checked itself; run `cuvee check`.",
    ),
    "one scale, more trainings": (
        answer("run", "not confirmed", 610_000, 4),
        answer("search", "not checked", 600_000),
        frozenset(),
        "Believe cuvee run: its mixture was trained 4 times, that of cuvee search 1. It is not confirmed",
    ),
    "neither trained": (
        answer("run"),
        answer("scale"),
        frozenset(),
        "Neither is checked; run `cuvee check`.",
    ),
    "trained alike": (
        answer("run", "not confirmed", 600_000),
        answer("search", "not checked", 600_000),
        frozenset(),
        "Neither is confirmed; run `cuvee check`.",
    ),
    "both refuted": (
        answer("run", "refuted", 600_000),
        answer("scale", "refuted", 900_000),
        frozenset({"run"}),
        "Both are refuted: neither will do.",
    ),
    "both confirmed, one nearer": (
        answer("run", "confirmed", 600_000),
        answer("scale", "confirmed", 900_000),
        frozenset(),
        "Believe cuvee scale: its mixture was trained on 900,000 tokens, that of cuvee run on 600,000, "
        "farther from the run that it is for.",
    ),
    "both confirmed alike": (
        answer("run", "confirmed", 900_000),
        answer("scale", "confirmed", 900_000),
        frozenset(),
        "Both are confirmed: either will do, as far as trainings show.",
    ),
    "of the study as it is": (
        answer("run", "confirmed", 900_000),
        answer("scale"),
        frozenset({"run"}),
        "Believe cuvee scale: the answer of cuvee run belongs to another state of the study.",
    ),
    "refuted for the study as it is": (
        answer("run", "confirmed", 900_000),
        answer("scale", "refuted", 900_000),
        frozenset({"run"}),
        "Believe cuvee run: it is confirmed, that of cuvee scale is refuted.",
    ),
}


@pytest.mark.parametrize("rule", CHOICES)
def test_which_of_two_is_believed(rule: str) -> None:
    one, other, outdated, said = CHOICES[rule]
    assert choose(one, other, outdated).sentence.startswith(said)
    assert choose(other, one, outdated) == choose(one, other, outdated)


def test_what_was_trained_is_the_mixture_itself() -> None:
    untrained = answer_of(ran())
    assert untrained.trained is None and untrained.verdict == UNTRAINED
    near = Reference("near", (0.61, 0.19, 0.1, 0.1), 3.9, {})
    trained = answer_of(replace(ran(), references=(near, near)))
    assert trained.trained == OwnTrainings(RunSize(1_000_000, 300_000), 2)
    assert answer_of(searched()).trained == OwnTrainings(RunSize(1_000_000, 600_000), 1)
    assert answer_of(searched(tested=False)).trained is None
    assert answer_of(ladder().judged()).trained == OwnTrainings(RunSize(200_000, 900_000), 2)
    assert answer_of(ladder((0.96, 0.02, 0.01, 0.01)).judged()).trained is None


# From which study


def settings(**changes: Any) -> dict[str, Any]:
    return {"schema": 1, "sources": {name: f"{name}.txt" for name in SOURCES}, **changes}


def created(folder: Path, sources: str = "one text", **changes: Any) -> Provenance:
    config = StudyConfig.parse(settings(**changes), folder)
    return replace(PROVENANCE, config=config.digest, sources=sources)


def test_answers_of_another_study_file_or_other_text_are_named(tmp_path: Path) -> None:
    now = settings(scale={"rungs": 3})
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(now), encoding="utf-8")
    # The section `scale` has been added since: it concerns no other flow.
    before = replace(ran(), created_from=created(tmp_path))
    write(tmp_path, "decision.json", before.as_json())
    # The budget was given on the command line.
    search = replace(searched(), created_from=created(tmp_path, search={"budget_flops": 2e12}))
    write(tmp_path, "search.json", search.as_json())
    own = replace(ladder().judged(), created_from=created(tmp_path, scale={"rungs": 3}))
    assert read_answers(tmp_path, own).outdated == {}

    write(tmp_path, "decision.json", replace(ran(), created_from=created(tmp_path, seed=7)).as_json())
    other = replace(search, created_from=replace(search.created_from, sources="other text"))
    write(tmp_path, "search.json", other.as_json())
    answers = read_answers(tmp_path, own)
    assert set(answers.outdated) == {"run", "search"}
    said = sentences(answers)
    assert said[0] == (
        "cuvee run: its answer was made from another study file, or by another version of cuvee."
    )
    assert said[1] == "cuvee search: its answer was made from other text than that of cuvee scale."

    (tmp_path / "study.yaml").write_text("schema: 99\n", encoding="utf-8")
    assert set(read_answers(tmp_path, own).outdated) == {"search"}
