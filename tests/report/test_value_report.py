"""A valuation as people read it: what stands in its first lines, on the terminal, and on the page."""

from dataclasses import replace
from itertools import combinations

import pytest

from cuvee.decisions.interval import Interval
from cuvee.decisions.provenance import Provenance
from cuvee.decisions.shares import SourceShare
from cuvee.decisions.value.decision import Valuation
from cuvee.decisions.value.result import (
    MethodAgreement,
    Retraining,
    SelectionArm,
    SourceGame,
    SourcePlayer,
    Valued,
    ValuedSource,
)
from cuvee.decisions.verdict import UNJUDGED
from cuvee.report.html import render_value_html
from cuvee.report.printout import Grid
from cuvee.report.reports import printout_of
from cuvee.report.value_view import ValueView

UNKNOWN = Interval()
METHODS = ("in_run", "dsir", "random")


def valued(name: str, *means: float, width: float = 0.01) -> Valued:
    rows = [
        ValuedSource(source, 9, 900, Interval(mean, mean - width, mean + width))
        for source, mean in zip(("law", "web"), means, strict=True)
    ]
    return Valued(name, "", "nats", "", 1.0, tuple(rows), (), ())


def valuation(to_dsir: Interval, proxy: str = "merge") -> Valuation:
    """By in_run, which beats random documents whatever it does beside DSIR."""
    below = Interval(-0.1387, -0.2090, -0.0684)
    arms = (
        SelectionArm("in_run", 9, 900, (5.9, 5.8), (6.0, 6.1), below, to_dsir),
        SelectionArm("dsir", 9, 900, (5.8, 5.7), (6.2, 6.1), below, UNKNOWN),
        SelectionArm("all documents, as many tokens", 18, 900, (6.0, 6.1), (5.8, 5.9), UNKNOWN, UNKNOWN),
        SelectionArm("random", 9, 900, (6.0, 6.1), (5.8, 5.9), UNKNOWN, UNKNOWN),
    )
    worth = Interval(0.1, 0.05, 0.15)
    return Valuation(
        study="by hand",
        created_from=Provenance("c", "s", "r", {"cuvee": "1"}, "cuvee value study.yaml"),
        headline=(),
        verdict=UNJUDGED,
        target="questions",
        target_documents=30,
        documents=18,
        tokens=1800,
        mixture=(
            SourceShare("law", 0.2, 0.2, 0.2, 50_000, 4.0, 4.0, True),
            SourceShare("web", 0.8, 0.7, 0.8, 400_000, 2.0, 4.0, False),
        ),
        methods=tuple(map(valued, METHODS, (1.06, 0.5, 0.5), (1.0, -0.5, 0.5))),
        agreement=tuple(MethodAgreement(*pair, 0.1) for pair in combinations(METHODS, 2)),
        games=(SourceGame(proxy, 4, (SourcePlayer("law", worth, worth),)),),
        retraining=Retraining(0.25, 100_000, 30, 0.01, 1e9, arms),
        warnings=(),
        confidence=0.95,
    ).judged()


def page(decision: Valuation) -> str:
    return render_value_html(ValueView.of(decision))


@pytest.mark.parametrize(
    ("to_dsir", "said"),
    [
        (
            Interval(0.1, 0.0381, 0.1810),
            "DSIR, which takes seconds, does better: on what it keeps the loss is",
        ),
        (Interval(-0.1, -0.1810, -0.0381), "in_run does better than DSIR, too: the loss is"),
    ],
)
def test_a_confirmed_method_is_set_beside_dsir_at_once(to_dsir: Interval, said: str) -> None:
    decision = valuation(to_dsir)
    assert decision.verdict.standing == "confirmed"
    assert decision.headline[1] == f"{said} 0.0381 to 0.1810 nats per token lower."


def test_a_method_that_is_as_good_as_dsir_is_said_to_be() -> None:
    line = valuation(Interval(0.01, -0.02, 0.04)).headline[1]
    assert line == "in_run does not clearly differ from DSIR, which takes seconds."


def test_dsir_is_not_set_beside_itself_nor_where_nothing_was_trained() -> None:
    decision = valuation(UNKNOWN)
    first = replace(decision, methods=(decision.methods[1], *decision.methods[::2])).judged()
    for one in (first, replace(decision, retraining=None).judged()):
        assert not any("DSIR" in line for line in one.headline)


def test_values_are_written_with_the_digits_that_tell_them_apart() -> None:
    decision = valuation(UNKNOWN)
    grid = next(part for part in printout_of(decision) if isinstance(part, Grid))
    assert [row[:3] for row in grid.rows] == [
        ("law", "1.0600", "1.0500 to 1.0700"),
        ("web", "1.0000", "0.9900 to 1.0100"),
    ]
    assert "1.0600" in page(decision)


def test_trainings_fit_a_terminal_with_differences_in_a_table_of_their_own() -> None:
    decision = valuation(Interval(0.11, 0.0381, 0.1810))
    grids = {part.title.split(" (")[0]: part for part in printout_of(decision) if isinstance(part, Grid)}
    differences = grids["Loss on the target minus that of a baseline; below zero is better"]
    assert differences.rows[0] == ("in_run", "-0.1387", "-0.209 to -0.068", "+0.1100", "+0.038 to +0.181")
    assert differences.rows[-1] == ("random", "-", "-", "-", "-")
    for grid in (differences, grids["Loss after training on 25% of the tokens"]):
        first, *others = (max(map(len, column)) for column in zip(grid.columns, *grid.rows, strict=True))
        assert min(first, 16) + sum(others) + 2 * len(others) <= 80


def test_the_prior_shows_which_source_its_cap_holds_back() -> None:
    rows = {row.source: row for row in ValueView.of(valuation(UNKNOWN)).rows}
    assert rows["law"].share_cap == pytest.approx(0.2)
    assert rows["web"].share_cap == 1.0
    text = page(valuation(UNKNOWN))
    assert "held back by its cap" in text
    assert "cap 4.00, hit" in text


def test_the_page_says_what_it_is_of_and_explains_curves_where_they_are() -> None:
    plain, curved = page(valuation(UNKNOWN)), page(valuation(UNKNOWN, "merge, own curve"))
    assert "data mixture decision" not in plain
    assert "With own curve" in curved and "With own curve" not in plain


def test_a_value_that_all_documents_of_a_source_share_has_no_interval() -> None:
    decision = valuation(UNKNOWN)
    assert "not clearly apart" not in decision.headline[0]
    alike = replace(decision, methods=(valued("in_run", 2.0, 1.0, width=0.0), *decision.methods[1:])).judged()
    assert "not clearly apart from web" in alike.headline[0]
    grid = next(part for part in printout_of(alike) if isinstance(part, Grid))
    assert [row[2] for row in grid.rows] == ["-", "-"]
    assert "[2.00, 2.00]" not in page(alike) and "2.00" in page(alike)
