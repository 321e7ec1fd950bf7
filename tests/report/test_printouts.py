"""Decisions on a terminal: the order of the page, cells for every column, a dash for the unknown."""

import math
from collections.abc import Iterable
from dataclasses import replace

import pytest

from cuvee.decisions.ablation.order import MixtureOrder, OrderRow
from cuvee.decisions.concluded import Checkable, Concluded
from cuvee.decisions.document import JsonDocument
from cuvee.decisions.fit.decision import LawDecision
from cuvee.decisions.shares import SourceShare
from cuvee.flows.fit.flow import decide
from cuvee.question.question import Question
from cuvee.report.check_printout import check_printout
from cuvee.report.printout import Grid, Printout
from cuvee.report.reports import NOTHING, REPORTS, Beside, printout_of
from tests.flows.fit.test_flow import observations
from tests.flows.scale.scale_cases import ladder
from tests.flows.search.search_cases import searched
from tests.flows.value.value_cases import valuation
from tests.report.cases import checked, once_each, small
from tests.report.test_simulation_page import simulation

NAN = math.nan


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> LawDecision:
    runs = observations(tmp_path_factory.mktemp("runs"), 40)
    question = Question(front=runs.metrics[:2])
    return decide(runs, question, table="runs", compared=("linear", "effective_data")).decision


@pytest.fixture(scope="module")
def decisions(fitted: LawDecision) -> tuple[JsonDocument, ...]:
    return small(), checked(), ladder().judged(), searched().judged(), fitted, simulation(), valuation()


def grids(printout: Printout) -> dict[str, Grid]:
    """By the first words of their titles."""
    found = [part for part in printout if isinstance(part, Grid)]
    return {grid.title.split(" for ")[0].split(";")[0]: grid for grid in found}


def sentences(printout: Printout) -> list[str]:
    return [part for part in printout if isinstance(part, str)]


def column(grid: Grid, head: str) -> list[str]:
    return [row[grid.columns.index(head)] for row in grid.rows]


def with_mixture(decision: Concluded, rows: Iterable[SourceShare]) -> JsonDocument:
    return replace(decision, mixture=tuple(rows))  # type: ignore[type-var]  # all are dataclasses


def test_there_is_a_printout_of_every_kind_of_decision(decisions: tuple[JsonDocument, ...]) -> None:
    assert {type(decision) for decision in decisions} == set(REPORTS)
    for decision in decisions:
        printout = printout_of(decision)
        assert sentences(printout)
        for grid in grids(printout).values():
            assert grid.rows and {len(row) for row in grid.rows} == {len(grid.columns)}, grid.title


def test_sources_stand_in_the_order_of_the_page(decisions: tuple[JsonDocument, ...]) -> None:
    for decision in decisions:
        if isinstance(decision, Concluded):
            shares = {entry.source: entry.share for entry in decision.mixture}
            grid = grids(printout_of(decision))["Mixture"]
            view = REPORTS[type(decision)].view(decision, NOTHING)
            assert column(grid, "source") == list(view.sources)
            assert [shares[name] for name in view.sources] == sorted(shares.values(), reverse=True)
            assert column(grid, "share") == [f"{shares[name]:.1%}" for name in view.sources]


def test_numbers_of_other_columns_stay_with_their_source(fitted: LawDecision) -> None:
    climbed = ladder().judged()
    optima = dict(zip(climbed.sources, (one.mean for one in climbed.rungs[0].optimum), strict=True))
    grid = grids(printout_of(climbed))["Mixture"]
    head = next(head for head in grid.columns if head.startswith("best at"))
    assert column(grid, head) == [f"{optima[name]:.1%}" for name in column(grid, "source")]
    grid = grids(printout_of(fitted))["Mixture"]
    without = {one.source: one.without.mean for one in fitted.sensitivities}
    shown = map(float, (cell.strip("()") for cell in column(grid, "target without it")))
    named = zip(column(grid, "source"), shown, strict=True)
    assert all(change == pytest.approx(without[name], abs=1e-3) for name, change in named)


def test_methods_stand_in_the_order_of_the_page() -> None:
    made = simulation()
    backwards = replace(made, methods=tuple(reversed(made.ranked)))
    names = [row.name for row in made.ranked]
    for grid in [part for part in printout_of(backwards) if isinstance(part, Grid)][:2]:
        assert column(grid, "method") == names


def test_seconds_have_a_column_where_they_are_known() -> None:
    made = simulation()
    costs = next(part for part in printout_of(made) if isinstance(part, Grid))
    assert "s/run" not in costs.columns and "seconds" not in costs.title
    seconds = {row.name: NAN if place else 1.234 for place, row in enumerate(made.ranked)}
    costs = next(part for part in printout_of(made, Beside(seconds=seconds)) if isinstance(part, Grid))
    assert column(costs, "s/run") == ["1.23"] + ["-"] * (len(seconds) - 1)


def test_what_is_not_known_is_a_dash(decisions: tuple[JsonDocument, ...]) -> None:
    for decision in decisions:
        if isinstance(decision, Concluded):
            first, *others = decision.mixture
            unknown = replace(first, low=NAN, high=NAN, epochs=NAN, cap_hit=True)
            read = [replace(entry, epochs=1.5) for entry in others]
            grid = grids(printout_of(with_mixture(decision, [unknown, *read])))["Mixture"]
            row = next(row for row in grid.rows if row[0] == first.source)
            assert (row[2], row[3], row[-1]) == ("-", "-", "at its cap")
            assert "nan" not in str(grid)
            nobody = [replace(entry, epochs=NAN) for entry in decision.mixture]
            assert "epochs" not in grids(printout_of(with_mixture(decision, nobody)))["Mixture"].columns


@pytest.mark.parametrize("decision", [checked(), ladder().judged(), searched().judged()])
def test_fresh_trainings_have_their_table_whatever_they_check(decision: Checkable) -> None:
    shown = grids(printout_of(decision.with_check(once_each())))
    assert sum(title.startswith("Checked: 1 fresh training each on 2M tokens") for title in shown) == 1


def test_an_answer_without_fresh_trainings_has_none_to_show() -> None:
    assert check_printout(small()) == ()
    decision = checked()
    first, judged, *_ = check_printout(decision)
    assert first == decision.headline[0] and str(judged).startswith("verdict: ")


def test_whether_the_order_survives_is_said_once() -> None:
    kept = OrderRow("seed", NAN, NAN, "survives", 28, 20, 20, 1.0, 1.0, 0.93, 0.8, 0.98)
    few = OrderRow("tokens", 2e6, 2.0, "cannot be said", 28, 0, 0)
    lost = OrderRow("learning rate", 5e-4, 0.25, "does not survive", 28, 12, 5, 0.2, 0.6, 0.1, -0.3, 0.5)
    for rows in ((kept, few), (kept, few, lost)):
        order = MixtureOrder(8, 0.01, rows)
        shown = printout_of(replace(small(), order=order).judged())
        assert sum(line.startswith(order.statement) for line in sentences(shown)) == 1
        table = grids(shown)["The order of 8 mixtures"]
        assert column(table, "pairs") == ["20 of 28", "0 of 28", "12 of 28"][: len(rows)]
        assert column(table, "keep it") == ["100%", "-", "42%"][: len(rows)]
        assert column(table, "rank correlation") == ["0.93", "-", "0.10"][: len(rows)]
    assert "The order of 8 mixtures" not in grids(printout_of(small()))
