"""``cuvee search``: what can be asked for, journals, and a real search of some seconds."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cuvee.cli.app import app
from cuvee.cli.report import write
from cuvee.decisions.interval import Interval
from cuvee.decisions.search.decision import SearchDecision
from cuvee.decisions.search.verdict import verdict_of
from cuvee.errors import ConfigError, InfeasibleRegion, SchemaError, StoreError, TrainingError
from cuvee.evaluation.race import completed, part_windows
from cuvee.evaluation.scoring import score_merges
from cuvee.execution.interface import Item, Job, OnProgress, Result
from cuvee.execution.local import InProcess
from cuvee.exporters.decided import read_decided
from cuvee.flows import search
from cuvee.flows.check.flow import check_answer
from cuvee.flows.check.flow import outlook as look_at_check
from cuvee.flows.search.journal import Asked, Journal
from cuvee.flows.search.measuring import Measuring
from cuvee.flows.search.menu import Menu
from cuvee.merging.registry import merger_of
from cuvee.merging.statistics import Statistics
from cuvee.report.html import render_search_html
from cuvee.report.search_view import SearchView
from cuvee.runs.metric_names import NATS
from cuvee.runs.observations import Observations
from cuvee.runs.roles import SEARCH as ROLE
from cuvee.runs.run import Run
from cuvee.runs.store import RunStore
from cuvee.search.methods.registry import method_named
from cuvee.search.space import Experiment
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from cuvee.study.plan.job import Failed, Measured, TrainTask
from cuvee.study.pooling import ensemble_of, pool_of
from cuvee.study.producers.member_statistics import statistics_paths
from cuvee.study.runner import Runner
from cuvee.types import FloatArray
from tests.flows.search.search_cases import searched
from tests.study.tiny_study import LANGUAGES, Listener, hashes, killed, write_study

SEARCHED: dict[str, Any] = {
    "target_run": {"tokens": 60_000, "max_epochs": 30},
    "search": {"budget_flops": 4.2e10, "target_tokens": 12_000, "scales": 1, "step": 2.0, "batch": 2},
}
FOUND = (0.4, 0.3, 0.2, 0.1)
UNPOOLED: dict[str, Any] = {
    "target_run": {"tokens": 60_000, "max_epochs": 30},
    "search": SEARCHED["search"] | {"proxies": [], "budget_flops": 3.5e10},
}


def with_search(base: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return base | {"search": base["search"] | changes}


def run(folder: StudyFolder, listener: Listener | None = None, **changes: Any) -> SearchDecision:
    config = StudyConfig.load(folder.root).searching(changes)
    return search.run(config, folder, listener or Listener(), InProcess())


def timeless(decision: SearchDecision) -> str:
    rows = tuple(replace(row, seconds=float("nan")) for row in decision.fidelities)
    return json.dumps(replace(decision, fidelities=rows).as_json(), sort_keys=True)


def observations(folder: StudyFolder) -> Observations:
    with RunStore(folder.store) as store:
        return store.observations(role=ROLE)


def journals(folder: StudyFolder) -> list[str]:
    return [path.read_text() for path in sorted(folder.searches.glob("*.jsonl"))]


@dataclass(frozen=True)
class Finished:
    folder: StudyFolder
    decision: SearchDecision
    listener: Listener
    observations: Observations
    journals: list[str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = write_study(tmp_path_factory.mktemp("search"), **SEARCHED)
    listener = Listener()
    decision = run(folder, listener)
    return Finished(folder, decision, listener, observations(folder), journals(folder))


@pytest.fixture(scope="module")
def unpooled(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = write_study(tmp_path_factory.mktemp("unpooled"), **UNPOOLED)
    listener = Listener()
    decision = run(folder, listener)
    return Finished(folder, decision, listener, observations(folder), journals(folder))


def test_merges_are_made_by_the_method_of_the_study(finished: Finished, tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "study")
    shutil.copytree(finished.folder.root, folder.root)
    before = {one.key for one in store_of(folder)}
    config = StudyConfig.load(folder.root)
    linear, even = menu_of(folder).space.fidelities[0], 4 * [0.25]
    merging = config.merging.model_copy(update={"method": "regmean"})
    with opened(config.model_copy(update={"merging": merging}), folder, Listener(), InProcess()) as runner:
        measuring = Measuring(Menu.of(runner))
        measuring.prepare()
        assert np.isfinite(measuring.measure([Experiment(tuple(even), 0)])).all()
        assert measuring.space.fidelities[0].flops > linear.flops
        expected = _regmean(runner, np.array(even))
    [made] = [one for one in store_of(folder, ROLE) if one.kind == "merged" and one.key not in before]
    assert made.details["merging"] == "regmean"
    found = [made.metrics[NATS + name] for name in config.evaluation_names]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def _regmean(runner: Runner, shares: FloatArray) -> FloatArray:
    """Losses [E] of the merge of branches, on a part, without what a study adds to them."""
    bench, pool = runner.plan.bench, pool_of(runner.plan, 1)
    pool = pool.measured(Statistics.open(pool.roster, statistics_paths(runner.plan, pool.roster)))
    weights = (shares @ pool.roster.spread(runner.plan.config.pool_sources))[None]
    merged = score_merges(bench.part(), pool, merger_of("regmean", pool), weights)
    ensemble = ensemble_of(runner.plan, pool, runner.executor, runner.progress)
    on_part = ensemble.select(bench.evaluator(), part_windows(bench.evaluator()))
    return completed(merged, on_part.score(weights), ensemble.score(weights)).nats_per_token[0]


# What can be asked for


def menu_of(folder: StudyFolder, **changes: Any) -> Menu:
    config = StudyConfig.load(folder.root).searching(changes)
    with opened(config, folder, Listener(), InProcess()) as runner:
        return Menu.of(runner)


def test_prices_are_those_of_the_formulas(finished: Finished) -> None:
    menu = menu_of(finished.folder)
    kinds = [fidelity.kind for fidelity in menu.space.fidelities]
    assert kinds == ["merged", "ensembled", "trained", "checkpoint", "checkpoint", "trained"]
    model = menu.runner.plan.model.build()
    forward = model.flops_per_token * menu.runner.plan.bench.evaluator().tokens
    merged, ensembled, short, third, _, target = menu.space.fidelities
    assert merged.flops == pytest.approx(forward + 2 * 4 * model.layout.size)
    assert ensembled.flops == pytest.approx(2 * 4 * menu.runner.plan.bench.evaluator().tokens)
    assert target.flops == pytest.approx(3 * model.flops_per_token * target.tokens + forward)
    assert short.flops == pytest.approx(3 * model.flops_per_token * short.tokens + forward)
    assert third.flops == pytest.approx(3 * model.flops_per_token * third.tokens + forward)
    assert short.tokens == pytest.approx(target.tokens / 2, rel=0.03)
    assert third.tokens == pytest.approx(target.tokens / 3, rel=0.05)
    assert menu.space.on_the_way(5) == (3, 4, 5) and menu.space.on_the_way(2) == (2,)
    # Proxies stand for the dearest training.
    assert (merged.params, merged.tokens) == (target.params, target.tokens)


def test_the_dearest_training_is_as_long_as_the_budget_allows(unpooled: Finished) -> None:
    for budget, runs in ((6e10, 4.0), (2e11, 8.0)):
        menu = menu_of(unpooled.folder, budget_flops=budget, target_runs=runs, target_tokens=None)
        dearest = menu.space.fidelities[menu.space.target]
        assert budget / runs * 0.9 <= dearest.flops <= budget / runs * 1.02
    most = menu_of(unpooled.folder, budget_flops=1e15, target_tokens=None)
    # No longer than the target run, in whole steps.
    assert most.space.fidelities[-1].tokens == pytest.approx(60_000, rel=0.01)


def test_what_stands_on_the_menu_does_not_change_while_the_pool_is_trained(finished: Finished) -> None:
    after = menu_of(finished.folder)
    assert after.pool_flops == 0
    assert finished.decision.pool_flops > 0
    assert [row.flops for row in finished.decision.fidelities] == [
        one.flops for one in after.space.fidelities
    ]


def test_a_pool_that_is_paid_for_costs_nothing(finished: Finished, tmp_path: Path) -> None:
    folder = write_study(tmp_path, **SEARCHED)
    sized = {"target_tokens": None, "target_runs": 4.0}
    paid = menu_of(finished.folder, budget_flops=3e10, **sized)
    assert finished.decision.pool_flops > 1e10
    dearest = paid.space.fidelities[paid.space.target]
    assert 3e10 / 4 * 0.9 <= dearest.flops <= 3e10 / 4 * 1.02
    with pytest.raises(ConfigError, match="the pool takes"):
        menu_of(folder, budget_flops=1.4e10, **sized)
    assert menu_of(finished.folder, budget_flops=1.4e10, **sized).pool_flops == 0


def test_a_search_keeps_its_sizes_while_its_pool_is_trained(tmp_path: Path) -> None:
    folder = write_study(tmp_path, **SEARCHED)
    sized: dict[str, Any] = {"budget_flops": 6e10, "target_tokens": None, "target_runs": 4.0}
    looked = menu_of(folder, **sized)
    assert not list(folder.searches.glob("*")), "looking begins no search"
    first = run(folder, **sized)
    after = menu_of(folder, **sized)
    assert after.pool_flops == 0 < looked.pool_flops
    assert after.space.fidelities == looked.space.fidelities
    assert timeless(run(folder, **sized)) == timeless(first)
    longer = menu_of(folder, **sized | {"budget_flops": 5.9e10})
    sizes = [one.space.fidelities[-1].tokens for one in (after, longer)]
    assert sizes[0] < sizes[1], "another search: its pool is there"
    (charge,) = folder.searches.glob("*.charge")
    charge.write_text("{")
    with pytest.raises(StoreError, match="to size the search anew"):
        menu_of(folder, **sized)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (with_search(UNPOOLED, budget_flops=1e9), "two trainings of 12,000 tokens take"),
        (with_search(UNPOOLED, budget_flops=1e9, target_tokens=None), "the shortest of any use"),
        (
            with_search(UNPOOLED, target_tokens=300),
            r"search.target_tokens: 300 are fewer than the [\d,]+ tokens",
        ),
        (
            with_search(UNPOOLED, target_tokens=None) | {"target_run": {"tokens": 300}},
            "target_run.tokens: 300 are fewer than",
        ),
        (with_search(SEARCHED, budget_flops=1e9), "do not pay for the pool"),
        (with_search(SEARCHED, budget_flops=1.3e10), "without merges and ensembles: `search.proxies: "),
        (with_search(UNPOOLED, method="clever"), "clever"),
        (UNPOOLED | {"pool": ["ka"]}, "sources: one alone"),
        (UNPOOLED | {"estimand": "union"}, "estimand"),
    ],
)
def test_searches_that_cannot_be_are_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    folder = write_study(tmp_path, **changes)
    with pytest.raises(ConfigError, match=told):
        run(folder)
    assert not list(folder.checkpoints.glob("*"))


def test_caps_that_no_mixture_keeps_are_told_before_any_training(tmp_path: Path) -> None:
    folder = write_study(tmp_path, **UNPOOLED | {"target_run": {"tokens": 60_000, "max_epochs": 1}})
    with pytest.raises(InfeasibleRegion):
        run(folder)
    assert not list(folder.checkpoints.glob("*"))


@pytest.mark.parametrize(
    ("changes", "told"), [({"budget_flops": -1.0}, "search.budget_flops"), ({"step": 1.0}, "search.step")]
)
def test_settings_that_make_no_sense_are_refused(
    unpooled: Finished, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        StudyConfig.load(unpooled.folder.root).searching(changes)


# Journals


def test_a_journal_comes_back_and_a_line_that_was_cut_off_is_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "searches" / "x.jsonl"
    journal = Journal.opened(path, 12.5, ["known"])
    first = Asked((Experiment((0.25, 0.75), 1), Experiment((0.1, 0.9), 0)), ("baseline", "method"), 0.5, 1)
    second = Asked((Experiment((1.0, 0.0), 1),), ("verify",), float("nan"))
    journal.write(first)
    journal.write(second)
    whole = path.read_text()
    again = Journal.opened(path, 0.0, [])
    assert (again.pool_flops, again.known) == (12.5, ("known",))
    assert again.asked[0] == first and again.asked[1].experiments == second.experiments
    for cut in range(whole.rindex('{"experiments"') + 1, len(whole)):
        path.write_text(whole[:cut])
        assert Journal.opened(path, 0.0, []).asked == [first]
        assert path.read_text().endswith("}\n")


def journal_of(path: Path, batches: int) -> Journal:
    journal = Journal.opened(path, 12.5, ["known"])
    for number in range(batches):
        journal.write(Asked((Experiment((0.5, 0.5), number),), ("method",), float(number)))
    return journal


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_line_of_a_journal_that_is_lost_is_missed(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "x.jsonl"
    journal_of(path, 4)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:lost] + lines[lost + 1 :]))
    with pytest.raises(StoreError, match=f"line {lost + 1} is damaged.*lost.*to search anew"):
        Journal.opened(path, 0.0, [])


def test_no_flipped_bit_of_a_journal_goes_unnoticed(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    whole = journal_of(path, 3)
    before, chance = path.read_bytes(), np.random.default_rng(0)
    for place in chance.integers(len(before), size=300):
        data = bytearray(before)
        data[place] ^= 1 << int(chance.integers(8))
        path.write_bytes(data)
        try:
            again = Journal.opened(path, 0.0, [])
        except StoreError:
            continue
        # A last line without its end was never begun; it is asked for again.
        assert again.asked == whole.asked[: len(again.asked)] and len(again.asked) >= 2
        assert (again.pool_flops, again.known) == (whole.pool_flops, whole.known)


def test_a_journal_of_an_earlier_version_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    journal_of(path, 2)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({k: v for k, v in o.items() if k != "digest"}) + "\n" for o in lines))
    old = path.read_text()
    again = Journal.opened(path, 0.0, [])
    again.write(again.asked[0])
    assert path.read_text().startswith(old)
    assert Journal.opened(path, 0.0, []).asked == again.asked
    path.write_text(path.read_text().replace('"known": ["known"]', '"known": ["knows"]'))
    with pytest.raises(StoreError, match="line 4 is damaged"):
        Journal.opened(path, 0.0, [])


@pytest.mark.parametrize("text", ["", "{}\n", '{"schema": 99}\n', "no json\n"])
def test_a_journal_that_cannot_be_read_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    with pytest.raises(StoreError, match="to search anew"):
        Journal.opened(path, 0.0, [])


# A search


def test_the_decision_holds_together(finished: Finished) -> None:
    decision = finished.decision
    assert sum(entry.share for entry in decision.mixture) == pytest.approx(1)
    assert all(entry.low <= entry.share <= entry.high for entry in decision.mixture)
    assert all(entry.epochs <= 30 + 1e-6 for entry in decision.mixture)
    assert decision.tested and decision.known == 0
    assert decision.tried[0].why == "baseline"
    assert np.allclose(decision.tried[0].shares, 0.25)
    assert decision.flops <= decision.budget_flops
    assert decision.flops == pytest.approx(decision.tried[-1].spent)
    charged = np.diff([decision.pool_flops, *(one.spent for one in decision.tried)])
    assert charged.sum() + decision.pool_flops == pytest.approx(decision.flops)
    assert sum(row.spent for row in decision.fidelities) == pytest.approx(charged.sum())
    assert sum(row.made for row in decision.fidelities) == len(decision.tried)
    expected = [row.expected.mean for row in decision.trained]
    assert expected == sorted(expected) and expected[0] == pytest.approx(decision.expected.mean)
    assert np.allclose([entry.share for entry in decision.mixture], decision.trained[0].shares)
    assert decision.regret.low <= decision.regret.mean
    assert all(np.isfinite(row.slope) for row in decision.fidelities if row.made)
    assert len(decision.headline) == 5
    assert decision.verdict == verdict_of(decision)
    assert decision.headline[0].startswith("Not checked: ")
    assert decision.headline[1].startswith("Few held-out documents")


def test_what_was_tried_stands_in_the_store(finished: Finished) -> None:
    """Every loss told is that of a row of the store, parts of the dearest trainings beside them."""
    rows, decision = finished.observations, finished.decision
    names = [f"nats_per_token/{name}" for name in decision.target]
    values = rows.values[:, [rows.metrics.index(name) for name in names]] @ list(decision.target.values())
    trained = [one for one in decision.tried if decision.fidelities[one.fidelity].kind == "trained"]
    assert trained
    for one in trained:
        assert np.abs(values - one.loss).min() < 1e-12
    dearest = [one for one in decision.tried if one.fidelity == len(decision.fidelities) - 1]
    assert rows.kind.count("checkpoint") >= 2 * len(dearest)


def test_a_line_is_told_for_every_experiment(finished: Finished) -> None:
    lines = [line for line in finished.listener.said if "% spent" in line]
    assert len(lines) == len(finished.decision.tried)
    assert "best" in lines[-1]
    before = finished.listener.said[: finished.listener.said.index(lines[0])]
    first = next(line for line in before if not line.startswith(("evaluation ", "Few held-out")))
    assert "FLOPs" in first, "the price is told before anything is made"
    assert finished.listener.stages[-1] == "searching", "what is made inside a search begins no stage"
    assert "training the pool" in finished.listener.stages


def test_a_second_run_makes_nothing_and_says_the_same(finished: Finished) -> None:
    before = hashes(finished.folder.checkpoints)
    again = run(finished.folder)
    assert timeless(again) == timeless(finished.decision)
    assert hashes(finished.folder.checkpoints) == before
    assert observations(finished.folder) == finished.observations
    assert journals(finished.folder) == finished.journals


def test_reports_are_written_and_read_back(finished: Finished) -> None:
    page = write(finished.decision, finished.folder.root)[0]
    text = page.read_text()
    for words in ("The way to it", "Trained at the target fidelity", "ensemble", "frozen", *LANGUAGES):
        assert words in text
    assert text.count("<circle class=") >= len(finished.decision.trained)
    document = json.loads((finished.folder.root / "search.json").read_text())
    assert SearchDecision.from_json(document).as_json() == finished.decision.as_json()
    older = {key: value for key, value in document.items() if key != "verdict"}
    older |= {"schema": 2, "headline": ["Train on what was chosen."]}
    assert SearchDecision.from_json(older) == finished.decision
    decided = read_decided(finished.folder.root / "search.json")
    shares = {entry.source: entry.share for entry in finished.decision.mixture}
    assert {name: decided.mixture.share(name) for name in shares} == pytest.approx(shares)
    assert decided.target_tokens == 60_000
    second = finished.decision.trained[1]
    beside = read_decided(finished.folder.root, second.name).mixture
    assert [beside.share(name) for name in shares] == pytest.approx(list(second.shares))
    with pytest.raises(SchemaError):
        SearchDecision.from_json(document | {"schema": 0})


@pytest.mark.parametrize(
    ("shares", "changes", "said"),
    [
        (
            FOUND,
            {},
            "and was chosen by the same trainings, one each: only trainings at fresh seeds can check it.",
        ),
        (FOUND, {"against_uniform": Interval(-0.02, -0.05, 0.01)}, "It may be no better than equal shares."),
        (FOUND, {"tested": False}, "No mixture was trained at the target fidelity, 12,032 tokens."),
        ((0.25,) * 4, {}, "Equal shares did best of "),
    ],
)
def test_a_search_never_says_that_its_pick_is_checked(
    finished: Finished, shares: tuple[float, ...], changes: dict[str, Any], said: str
) -> None:
    entries = zip(finished.decision.mixture, shares, strict=True)
    mixture = tuple(replace(entry, share=share) for entry, share in entries)
    decision = replace(finished.decision, mixture=mixture, **changes).judged()
    assert decision.verdict.standing == "not checked" and said in decision.verdict.why
    badge = SearchView.of(decision).badge
    assert (badge.level, badge.words, badge.why) == ("untested", "Not checked", decision.verdict.why)
    assert "Trained and better" not in render_search_html(SearchView.of(decision))


def test_a_check_trains_the_model_of_the_search_whatever_its_real_size(
    finished: Finished, tmp_path: Path
) -> None:
    """The study asks for 100 000 parameters and gets fewer, of which no new model may be asked for."""
    copy = StudyFolder(shutil.copytree(finished.folder.root, tmp_path / "study"))
    config = StudyConfig.load(copy.root).checking(1)
    answer = check_answer(config, copy, finished.decision, Listener(), InProcess())
    assert answer.check is not None
    dearest = finished.decision.fidelities[-1]
    assert (answer.check.parameters, answer.check.tokens) == (dearest.parameters, dearest.tokens)
    assert dearest.parameters < 100_000
    (made,) = {one.params for one in store_of(copy) if one.role == "fresh"}
    assert made == dearest.parameters
    assert answer.check.unseen
    assert answer.check.flops == pytest.approx(sum(one.flops or 0 for one in store_of(copy, "fresh")))
    # Asked again, the same question has the same mixture: what was trained of it goes on to count.
    before = {one.key for one in store_of(copy)}
    again = search.run(StudyConfig.load(copy.root), copy, Listener(), InProcess())
    assert again.check == answer.check and again.verdict == answer.verdict
    assert {one.key for one in store_of(copy)} == before
    # An answer from other text may have been chosen on what checks it now.
    other = replace(again, created_from=replace(again.created_from, sources="other text"))
    found = check_answer(config, copy, other, Listener(), InProcess())
    assert found.check is not None and not found.check.unseen
    ahead = look_at_check(config.checking(2), copy, again, Listener(), InProcess())
    (row,) = ahead.rows
    assert (row.runs, row.left) == (2 * len(store_of(copy, "fresh")), len(store_of(copy, "fresh")))


def store_of(folder: StudyFolder, role: str = "") -> list[Run]:
    with RunStore(folder.store) as store:
        return [one for one in store.runs() if role in ("", one.role)]


def test_a_mixture_that_is_likely_beaten_is_not_given_without_saying_so() -> None:
    early = replace(searched(), better_probability=0.7, regret=Interval(0.64, 0.1, 1.2)).judged()
    assert "Another mixture is better with probability 70%, by 0.6400 nats per token" in early.verdict.why
    assert early.headline[1].startswith("Another mixture is better by more than 0.01 with probability 70%")
    assert "Another" not in searched().verdict.why
    assert searched().headline[1].startswith("Expected at 600,000 tokens: lower than equal shares by")


def test_the_command_tells_what_can_be_asked_for_and_prints_the_decision(finished: Finished) -> None:
    root = str(finished.folder.root)
    ahead = CliRunner().invoke(app, ["search", root, "--plan", "--json"])
    assert ahead.exit_code == 0, ahead.output
    assert json.loads(ahead.stdout)["rows"][0]["kind"] == "merged"
    shown = CliRunner().invoke(app, ["search", root, "--plan"], env={"COLUMNS": "120"})
    assert "What can be asked for" in shown.stdout
    told = CliRunner().invoke(app, ["search", root], env={"COLUMNS": "140"})
    assert told.exit_code == 0, told.output
    assert f"verdict: not checked. {finished.decision.verdict.why}" in told.stdout
    assert "Trained on" in told.stdout and "search.html" in told.stdout
    refused = CliRunner().invoke(app, ["search", root, "--budget", "1e8"])
    assert refused.exit_code == 2 and "budget" in refused.stderr


def test_report_shows_every_answer_and_of_many_trials_the_best(finished: Finished, tmp_path: Path) -> None:
    """Forty rows push everything else off the screen."""
    (tmp_path / "study.yaml").write_text((finished.folder.root / "study.yaml").read_text())
    rows = finished.decision.trained
    many = tuple(replace(rows[i % len(rows)], name=f"trial-{i}") for i in range(40))
    write(replace(finished.decision, trained=many), tmp_path)[0]
    (tmp_path / "search.html").unlink()
    shown = CliRunner().invoke(app, ["report", str(tmp_path)], env={"COLUMNS": "140"})
    assert shown.exit_code == 0, shown.output
    assert finished.decision.headline[0] in shown.stdout
    assert "trial-11" in shown.stdout and "trial-12" not in shown.stdout
    assert "and 28 more" in shown.stdout
    assert (tmp_path / "search.html").is_file()
    listed = json.loads(CliRunner().invoke(app, ["report", str(tmp_path), "--json"]).stdout)
    assert listed["reports"] == [str(tmp_path / "search.html"), str(tmp_path / "search.json")]
    (tmp_path / "search.json").write_text("{")
    broken = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert broken.exit_code == 2 and "`cuvee search` writes it again" in broken.stderr


def test_a_search_says_in_its_journal_what_was_spent(finished: Finished) -> None:
    lines = [json.loads(line) for line in finished.journals[0].splitlines()[1:]]
    spent = [line["spent"] for line in lines]
    assert spent[0] == finished.decision.pool_flops and spent == sorted(spent)
    assert spent[-1] < finished.decision.flops
    assert {line["budget_flops"] for line in lines} == {4.2e10}


def test_more_budget_goes_on_where_the_search_stopped(unpooled: Finished, tmp_path: Path) -> None:
    folder = write_study(tmp_path, **UNPOOLED)
    run(folder, budget_flops=2.6e10, tolerance=0)
    more = run(folder, budget_flops=3.5e10, tolerance=0)
    once = json.loads(journals(folder)[0].splitlines()[0])
    assert once["known"] == []
    assert len(journals(folder)) == 1
    assert more.flops > 2.6e10


def test_a_seed_that_has_seen_more_than_the_pool_is_told(tmp_path: Path) -> None:
    def warnings(**changes: Any) -> tuple[str, ...]:
        folder = write_study(tmp_path, pool=list(LANGUAGES[:3]), **SEARCHED | changes)
        with opened(StudyConfig.load(folder.root), folder, executor=InProcess()) as runner:
            return Menu.of(runner).warnings

    [told] = warnings()
    assert "(nu)" in told
    assert warnings(seed_training={"mixture": dict.fromkeys(LANGUAGES[:3], 1.0)}) == ()
    assert warnings(search=UNPOOLED["search"]) == ()


def test_another_pool_is_another_search(finished: Finished) -> None:
    config, method = StudyConfig.load(finished.folder.root), method_named("cost_aware")

    def question(proxies: list[str], branch_tokens: int) -> str:
        changed = config.model_dump(by_alias=True)
        changed["search"]["proxies"] = proxies
        changed["branch_training"]["tokens"] = branch_tokens
        parsed = StudyConfig.parse(changed, finished.folder.root)
        with opened(parsed, finished.folder, executor=InProcess()) as runner:
            return Menu.of(runner).question(method)

    tokens = config.branch_training.tokens
    assert question(["merged"], tokens) != question(["merged"], 2 * tokens)
    assert question([], tokens) == question([], 2 * tokens)


def test_other_weights_know_what_was_trained(unpooled: Finished, tmp_path: Path) -> None:
    folder = write_study(tmp_path, **UNPOOLED)
    first = run(folder)
    config = StudyConfig.load(folder.root)
    changed = config.model_copy(update={"target": config.target.model_copy(update={"weights": {"ka": 1.0}})})
    second = search.run(changed, folder, Listener(), InProcess())
    assert second.known >= len(first.trained)
    assert all(one.why != "baseline" for one in second.tried)  # it is there already
    share = {entry.source: entry.share for entry in second.mixture}
    assert share["ka"] == max(share.values())


# What goes wrong


@dataclass(frozen=True)
class Faulty(InProcess):
    """An executor on which some trainings stop or measure no number."""

    fails: bool
    """Else the first metric is missing."""

    def map(
        self, job: Job[Item, Result], items: Sequence[Item], on_progress: OnProgress | None = None
    ) -> Iterator[tuple[int, Result]]:
        for index, result in super().map(job, items, on_progress):
            item: Any = items[index]
            if isinstance(item, TrainTask) and item.run.mixture.share("ka") > 0.3:
                broken: Any = Failed("the loss became nan at step 3") if self.fails else _unmeasured(result)
                yield index, broken
            else:
                yield index, result


def _unmeasured(result: Any) -> Any:
    if isinstance(result, Measured):
        result.scores.nats[0] = np.nan
        return result
    evaluations = [(step, {**losses, next(iter(losses)): np.nan}) for step, losses in result.evaluations]
    return replace(result, evaluations=tuple(evaluations))


def test_a_training_that_fails_is_an_experiment_that_measured_nothing(tmp_path: Path) -> None:
    folder = write_study(tmp_path, **UNPOOLED)
    config = StudyConfig.load(folder.root)
    decision = search.run(config, folder, Listener(), Faulty(True))
    failed = [one for one in decision.tried if one.error]
    assert failed and all(np.isnan(one.loss) and one.shares[0] > 0.3 for one in failed)
    assert all("step 3" in one.error for one in failed)
    assert sum(row.failed for row in decision.fidelities) == len(failed)
    assert decision.warnings[0].startswith("Few held-out documents")
    assert "failed" in decision.warnings[1]
    assert not any(one.shares[0] > 0.3 for one in decision.trained)
    with RunStore(folder.store) as store:
        assert {run.error for run in store.failures()} == {"the loss became nan at step 3"}
    again = search.run(config, folder, Listener(), InProcess())  # what failed is not tried again
    assert timeless(again) == timeless(decision)


def test_a_metric_that_is_no_number_is_left_out(tmp_path: Path) -> None:
    folder = write_study(tmp_path, **UNPOOLED)
    decision = search.run(StudyConfig.load(folder.root), folder, Listener(), Faulty(False))
    assert decision.tested
    assert any(np.isnan(one.loss) and not one.error for one in decision.tried)


def test_a_search_in_which_nothing_can_be_measured_says_why(tmp_path: Path) -> None:
    rates = {"reference_training": {"learning_rate": 1e30, "clip": 1e30}}
    folder = write_study(tmp_path, **UNPOOLED | rates)
    with pytest.raises(TrainingError, match=r"too few to decide: .*became"):
        run(folder)


# Kills


def kill_at_random(folder: StudyFolder, rng: np.random.Generator, lines: int) -> bool:
    """Kill ``cuvee search`` a little after the journal has so many lines; False if it was done before."""

    def due() -> bool:
        return sum(text.count("\n") for text in journals(folder)) >= lines

    return killed("search", folder, due, float(rng.uniform(0, 3)))


def killed_and_finished(folder: StudyFolder, finished: Finished, moments: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    kills = sum(kill_at_random(folder, rng, lines) for lines in moments)
    assert kills == len(moments), "some kills came after the end"
    decision = run(folder)
    assert journals(folder) == finished.journals
    assert observations(folder) == finished.observations
    assert timeless(decision) == timeless(finished.decision)


def test_a_search_killed_twice_is_the_search_that_was_not(tmp_path: Path, unpooled: Finished) -> None:
    lines = unpooled.journals[0].count("\n")
    killed_and_finished(write_study(tmp_path, **UNPOOLED), unpooled, [2, lines - 2], seed=1)


@pytest.mark.slow
def test_a_search_killed_twenty_times_is_the_search_that_was_not(tmp_path: Path, finished: Finished) -> None:
    lines = finished.journals[0].count("\n")
    moments = np.linspace(0, lines - 2, 20).astype(int).tolist()
    killed_and_finished(write_study(tmp_path, **SEARCHED), finished, moments, seed=2)


def test_equal_shares_that_break_the_limits_are_not_what_is_beaten(tmp_path: Path) -> None:
    """To beat what nobody may train on is no gain: the nearest mixture that keeps the limits is compared."""
    decision = run(write_study(tmp_path, **(UNPOOLED | {"limits": {"minimum": {"ka": 0.4}}})))
    assert any("Equal shares break the limits" in warning for warning in decision.warnings)


def test_limits_that_leave_one_mixture_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    only = {"minimum": {"ka": 0.4, "lo": 0.2, "mi": 0.2, "nu": 0.2}}
    folder = write_study(tmp_path, **(UNPOOLED | {"limits": only}))
    with pytest.raises(ConfigError, match="they leave one mixture, so that nothing is left to search"):
        run(folder)
    assert not folder.checkpoints.exists() or not list(folder.checkpoints.iterdir())
