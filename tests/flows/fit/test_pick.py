"""What a fit picks: the same in every unit, never worse than what stands beside it without a word."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from cuvee.decisions.fit.decision import LawDecision
from cuvee.flows.fit.flow import decide
from cuvee.flows.fit.folder import load_kept, save
from cuvee.flows.fit.law_choice import chosen_law
from cuvee.flows.fit.pick import pick
from cuvee.laws.asked import CheckedQuestions
from cuvee.laws.effective_data import EffectiveData
from cuvee.laws.interface import UNKNOWN_SCALE, Scale
from cuvee.laws.validation import HeldOut
from cuvee.mixture.region import Region
from cuvee.question.question import Question
from cuvee.question.runs import Runs
from cuvee.report.reports import write_reports
from cuvee.search.objective import Guard, Objective
from cuvee.types import FloatArray, Json
from tests.flows.fit.test_flow import FAST, observations
from tests.laws.samples import METRICS, SOURCES, mixtures, truth

SIMPLEX = Region.simplex(SOURCES)
WELL = np.array([0.7, 0.1, 0.1, 0.1])


@dataclass(frozen=True)
class Well(CheckedQuestions):
    """A plain bowl around equal shares, and a narrow deep well that no descent from elsewhere finds."""

    law: str = "well"
    sources: tuple[str, ...] = SOURCES
    metrics: tuple[str, ...] = ("loss",)
    convex: bool = False
    width: float = 0.005

    def costs(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        bowl = ((shares - 0.25) ** 2).sum(axis=1)
        deep = np.exp(-((shares - WELL) ** 2).sum(axis=1) / self.width**2)
        return np.array(bowl - 3.0 * deep)[:, None]

    def slopes(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        deep = np.exp(-((shares - WELL) ** 2).sum(axis=1, keepdims=True) / self.width**2)
        return np.array(2.0 * (shares - 0.25) + 6.0 * deep * (shares - WELL) / self.width**2)[:, None, :]

    def uncertainty(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        return np.zeros((len(shares), 1))

    def as_json(self) -> Json:
        return {}


def test_what_a_run_does_better_is_where_the_search_goes_on() -> None:
    runs = np.vstack([WELL, mixtures(5, 1)])
    names = tuple(f"run{i}" for i in range(6))
    objective = Objective({"loss": 1.0})
    best, better = pick(objective, Well(), SIMPLEX, names, runs, 1.0, 0)
    assert better == () and best.value <= float(Well().costs(runs[:1])[0, 0])
    assert np.abs(best.mixture.shares - WELL).max() < 0.01
    # What is not allowed, or breaks a guard, is no rival.
    capped = Region.bounded(SOURCES, maximum={SOURCES[0]: 0.5})
    assert pick(objective, Well(), capped, names, runs, 1.0, 0)[1] == ()
    guarded = Objective({"loss": 1.0}, (Guard("loss", 1.0),), baseline=best.mixture)
    with_guard, _ = pick(guarded, Well(), SIMPLEX, names, runs, 1.0, 0)
    assert with_guard.value <= best.value + 1.0


@pytest.mark.parametrize("unit", [1e-12, 1e-6, 1e9])
def test_a_table_in_another_unit_has_the_same_answer(tmp_path: Path, unit: float) -> None:
    runs = observations(tmp_path)
    known = decide(runs, Question(), table="t", compared=FAST).decision
    found = decide(replace(runs, values=unit * runs.values), Question(), table="t", compared=FAST).decision
    for left, right in zip(known.mixture, found.mixture, strict=True):
        assert right.share == pytest.approx(left.share, abs=5e-3)
        assert right.low == pytest.approx(left.low, abs=0.03)
        assert right.high == pytest.approx(left.high, abs=0.03)
    assert found.pick.target.mean == pytest.approx(unit * known.pick.target.mean, rel=1e-4)
    assert found.expected_gain == pytest.approx(unit * known.expected_gain, rel=0.1)
    assert found.verdict == known.verdict and found.better == ()
    assert found.gap < 1e-3 * found.spread


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> LawDecision:
    runs = observations(tmp_path_factory.mktemp("runs"))
    return decide(runs, Question(), table="t", compared=FAST).decision


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"better": ("run7", "uniform")}, "Under the law itself it is worse than run7, uniform: the search"),
        (
            {"gap": 0.5, "spread": 1.0},
            "another may be better by up to 0.500, 50% of the spread of the target",
        ),
    ],
)
def test_a_search_that_failed_is_told_first(
    decided: LawDecision, tmp_path: Path, change: Json, told: str
) -> None:
    """In the first line, on the page and in the file, however well the law predicts."""
    judged = replace(decided, **change).judged()
    assert judged.headline[0].startswith("Do not take this mixture: ")
    assert told in judged.headline[0]
    assert told in write_reports(judged, tmp_path)[0].read_text(encoding="utf-8")
    kept = json.loads(json.dumps(judged.as_json()))
    assert told in kept["headline"][0]
    assert LawDecision.from_json(kept) == judged


def test_a_search_that_succeeded_says_nothing_of_it(decided: LawDecision) -> None:
    assert decided.gap < 1e-3 * decided.spread
    assert decided.headline[0].startswith("Not checked: ")


def held_out(missed: FloatArray) -> HeldOut:
    nothing = np.zeros_like(missed)
    return HeldOut(nothing, nothing, missed, np.arange(len(missed)) % 5)


def test_another_law_is_chosen_only_where_it_does_clearly_better() -> None:
    weights, noise = np.ones(1), np.random.default_rng(0).normal(size=(60, 1))
    good, same, poor = held_out(0.5 * noise), held_out(0.95 * noise), held_out(noise)
    law, why = chosen_law({"effective_data": poor, "gp_log": good, "ensemble": same}, weights)
    assert law == "gp_log"
    said = "it did clearly better on 60 left-out runs (root-mean-square error of the target 0."
    assert why.startswith(said)
    law, why = chosen_law({"effective_data": poor, "ensemble": same}, weights)
    assert law == "effective_data" and why.endswith(", less than 10% lower)")
    # Better in the mean for two runs alone is luck.
    lucky = noise.copy()
    lucky[:2], noise[:2] = 0.0, 9.0
    law, why = chosen_law({"effective_data": held_out(noise), "gp_sqrt": held_out(lucky)}, weights)
    assert law == "effective_data"
    assert "on 60 left-out runs its root-mean-square error of the target is 1." in why
    assert "gp_sqrt, the best other one, did not do clearly better: 0." in why
    assert "the gain in squared error is below 2 of its standard errors" in why
    law, why = chosen_law({"effective_data": good, "gp_log": poor}, weights)
    assert law == "effective_data" and "gp_log, the best other one, did not do better (" in why
    # A law that is no choice is not chosen, however good.
    law, _ = chosen_law({"effective_data": poor, "linear": held_out(0.1 * noise)}, weights)
    assert law == "effective_data"


def test_the_first_lines_name_the_law_and_the_reason(decided: LawDecision, tmp_path: Path) -> None:
    assert decided.law == "effective_data"
    assert any(line.startswith("Its law is effective_data, the recommended one") for line in decided.headline)
    named = decide(observations(tmp_path), Question(law="linear"), table="t", compared=()).decision
    assert named.law == "linear" and not any("Its law" in line for line in named.headline)


def test_a_law_that_did_badly_is_marked(decided: LawDecision, tmp_path: Path) -> None:
    rows = tuple(replace(row, r_squared=-0.2) for row in decided.laws)
    assert all(row.failed for row in rows) and not decided.laws[0].failed
    page = write_reports(replace(decided, laws=rows), tmp_path)[0].read_text(encoding="utf-8")
    assert "worse than the mean" in page
    assert METRICS[0] in page


@pytest.mark.parametrize("law", ["effective_data", "gp_sqrt"])
def test_a_source_of_one_run_has_an_interval_that_says_so(tmp_path: Path, law: str) -> None:
    """Resampled runs alone put its share within a point or two; it was never seen but once."""
    runs = observations(tmp_path, 40)
    shares = runs.shares.copy()
    shares[:, 0] = 0.0
    shares[shares.sum(axis=1) == 0.0, 1] = 1.0
    shares /= shares.sum(axis=1, keepdims=True)
    shares[4] = [0.3, 0.2, 0.2, 0.3]
    costs = truth(shares) + 0.01 * np.random.default_rng(3).normal(size=(40, 3))
    few = replace(runs, shares=shares, values=costs)
    decision = decide(few, Question(law=law), table="t", compared=()).decision
    books = next(entry for entry in decision.mixture if entry.source == SOURCES[0])
    assert books.high - books.low > 0.1
    assert any(
        note.startswith("In at most 2 different mixtures of the runs: books.") for note in decision.notes
    )
    usual = decide(runs, Question(law=law), table="t", compared=()).decision
    assert not any("different mixtures" in note for note in usual.notes)


def test_another_cap_fits_nothing_again_and_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = observations(tmp_path)
    table = Runs(runs, {}, "t", ())
    save(tmp_path / "fit", table, Question(), decide(runs, Question(), table="t", compared=FAST))
    capped = Question(maximum={"books": 0.2})
    fresh = decide(runs, capped, table="t", compared=FAST).decision
    kept = load_kept(tmp_path / "fit", table, capped)
    assert set(kept.held_out) == {"effective_data"} and kept.draws["effective_data"].shape[0] == 100
    refits: list[int] = []
    whole = EffectiveData.refit
    monkeypatch.setattr(EffectiveData, "refit", lambda *some: refits.append(1) or whole(*some))  # type: ignore[func-returns-value]
    again = decide(runs, capped, table="t", compared=FAST, kept=kept).decision
    assert again == fresh
    assert len(refits) == 1  # to all runs; no fold and no draw


@pytest.mark.parametrize("damage", ["other runs", "a bit", "half", "gone"])
def test_what_is_kept_of_other_runs_or_is_damaged_is_not_used(tmp_path: Path, damage: str) -> None:
    runs = observations(tmp_path)
    table = Runs(runs, {}, "t", ())
    save(tmp_path, table, Question(), decide(runs, Question(), table="t", compared=FAST))
    file = tmp_path / "kept.npz"
    content = bytearray(file.read_bytes())
    if damage == "other runs":
        table = replace(table, observations=replace(runs, values=runs.values + 1.0))
    elif damage == "a bit":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif damage == "half":
        file.write_bytes(content[: len(content) // 2])
    else:
        file.unlink()
    assert load_kept(tmp_path, table, Question()).held_out == {}
