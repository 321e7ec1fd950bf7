"""Few runs: no belief, no advice but to make more, and intervals that hold the choice of the law."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cuvee.decisions.fit.decision import LawDecision
from cuvee.doctor.first_lines import first_lines
from cuvee.flows.fit.flow import decide
from cuvee.laws.resampling import small_sample
from cuvee.laws.rivals import RivalLaws, plausibility
from cuvee.mixture import designs
from cuvee.mixture.region import Region
from cuvee.question.question import Question
from cuvee.question.runs import Runs, read_runs
from cuvee.report.fit_view import FitView
from cuvee.report.html import render_fit_html
from cuvee.report.reports import printout_of
from cuvee.types import FloatArray
from tests.flows.fit.fit_cases import law_decision

SOURCES = ("a", "b", "c")
NOISE = 0.02


def truth(shares: FloatArray, seed: int) -> FloatArray:
    """Loss [R] with a term for each pair of sources, which no law here has."""
    rng = np.random.default_rng(seed)
    straight, pairs = rng.normal(0, 0.3, 3), rng.normal(0, 0.6, (3, 3))
    return np.asarray(3 + shares @ straight + np.einsum("ms,st,mt->m", shares, pairs, shares))


def swarm(path: Path, count: int, seed: int) -> Runs:
    """Equal shares, and mixtures spread over the simplex, as `cuvee swarm` plans them."""
    spread = [one.shares for one in designs.space_filling(Region.simplex(SOURCES), count - 1, seed)]
    shares = np.stack([np.full(3, 1 / 3), *spread])
    losses = truth(shares, seed) + NOISE * np.random.default_rng(seed + 1).normal(size=count)
    rows = [
        ",".join([f"r{i}", *map(repr, w.tolist()), repr(float(y))])
        for i, (w, y) in enumerate(zip(shares, losses, strict=True))
    ]
    path.write_text("\n".join(["key,w:a,w:b,w:c,m:loss", *rows]) + "\n", encoding="utf-8")
    return read_runs([path], {})


def answered(path: Path, count: int, seed: int, **asked: Any) -> LawDecision:
    runs = swarm(path / "runs.csv", count, seed)
    question = Question(**asked)
    warnings = first_lines(runs, question)
    return decide(runs.observations, question, table="runs.csv", warnings=warnings).decision


def test_six_runs_believe_nothing_and_ask_for_more(tmp_path: Path) -> None:
    decision = answered(tmp_path, 6, 3)
    assert decision.mixtures == 6
    page = render_fit_html(FitView.of(decision))
    shown = "\n".join(map(str, printout_of(decision)))
    for text in (page, shown):
        assert "6 different mixtures cannot judge a law by runs left out" in text
        assert "More runs are needed: with 4 more different mixtures at least" in text
        assert "too few to judge laws on runs left out" in text  # the doctor's warning
        assert "it is believed" not in text and "not worth it" not in text
    assert decision.headline[0].startswith("Do not rely on this mixture: ")
    assert not FitView.of(decision).next_runs


@pytest.mark.parametrize(("different", "believed"), [(9, False), (10, True)])
def test_belief_needs_as_many_mixtures_as_the_doctor_does(different: int, believed: bool) -> None:
    judged = law_decision(different=different).judged()
    assert judged.headline[0].startswith("Not checked: " if believed else "Do not rely on this mixture: ")
    assert any(
        "More runs are needed: with 1 more different mixture at" in one for one in judged.headline
    ) is not (believed)


def test_laws_that_missed_alike_are_alike_plausible() -> None:
    noise = np.random.default_rng(0).normal(size=200)
    found = plausibility({"one": noise[:6], "same": -noise[:6], "far": 30 * noise[:6]}, 0)
    assert found["one"] == pytest.approx(found["same"]) == pytest.approx(0.5, abs=1e-3)
    assert sum(found.values()) == pytest.approx(1.0)
    # A tenth more error is nothing in six runs, and decides in two hundred.
    assert plausibility({"one": noise[:6], "more": 1.1 * noise[:6]}, 0)["more"] == pytest.approx(
        0.36, abs=0.01
    )
    assert plausibility({"one": noise, "more": 1.1 * noise}, 0)["more"] < 1e-6


def test_rivals_widen_by_their_weight() -> None:
    class Flat:
        """Costs that are the same everywhere."""

        def __init__(self, value: float) -> None:
            self.value = value

        def costs(self, shares: FloatArray, scale: object = None) -> FloatArray:
            return np.full((len(shares), 1), self.value)

    rivals = RivalLaws((Flat(3.0), Flat(1.0)), (0.2, 0.05))  # type: ignore[arg-type]
    apart = rivals.apart(Flat(1.0), np.eye(2), np.ones((1, 1)))  # type: ignore[arg-type]
    assert apart == pytest.approx(np.full((2, 1), np.sqrt(0.2 * 4.0)))
    assert rivals.chosen_weight == pytest.approx(0.75)


def test_draws_of_few_runs_are_stretched() -> None:
    """Residuals of a fit that uses up as many runs as sources, and Student's t of what is left."""
    assert small_sample(6, 3) == pytest.approx(np.sqrt(2.0) * 1.6377 / 1.2816, rel=1e-3)
    assert small_sample(60, 3) == pytest.approx(1.03, abs=0.02)
    assert small_sample(3, 3) == 2.0


@pytest.mark.slow
def test_intervals_of_six_runs_hold_the_truth(tmp_path: Path) -> None:
    """80 % intervals of one run on the pick, over tables whose truth no law has."""
    held = 0
    for seed in range(20):
        decision = answered(tmp_path, 6, seed)
        once = truth(np.array([decision.pick.shares]), seed)[0]
        once += NOISE * np.random.default_rng(seed + 99).normal()
        held += decision.pick.target.low <= once <= decision.pick.target.high
    assert held >= 15
