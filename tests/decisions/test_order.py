"""The sentence on the order of mixtures, and what a decision makes of it."""

import math
from dataclasses import replace

import pytest

from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.ablation.order import Changed, MixtureOrder, OrderRow
from cuvee.honesty.order import survival
from tests.report.cases import small

FACTORS = {"learning rate": 0.25, "tokens": 2.0, "parameters": 0.5}
KEEP = "pairs that differ beyond noise keep it"


def row(changed: Changed, differing: int, kept: int, factor: float | None = None) -> OrderRow:
    factor = FACTORS.get(changed, math.nan) if factor is None else factor
    return OrderRow(changed, 1000.0, factor, survival(differing, kept), 28, differing, kept, spearman=0.9)


def order(*rows: OrderRow) -> MixtureOrder:
    return MixtureOrder(8, 0.01, rows)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            (
                row("seed", 20, 20),
                row("learning rate", 18, 17),
                row("tokens", 21, 21),
                row("parameters", 2, 2),
            ),
            "The order of mixtures survives another seed, a quarter of the learning rate and twice the "
            f"tokens (58 of 59 {KEEP}); with half the parameters it cannot be said: "
            "2 pairs differ beyond noise.",
        ),
        (
            (row("seed", 20, 20), row("learning rate", 12, 5)),
            f"The order of mixtures survives another seed (20 of 20 {KEEP}) but does not survive a quarter "
            f"of the learning rate (5 of 12 {KEEP}).",
        ),
        (
            (row("seed", 1, 1), row("tokens", 0, 0)),
            "Whether the order of mixtures survives another seed or twice the tokens cannot be said: of 28 "
            "pairs, with another seed, 1 pair differs beyond noise; with twice the tokens, 0 pairs differ "
            "beyond noise.",
        ),
        (
            (row("parameters", 9, 2, 1.31), row("tokens", 6, 5)),
            f"The order of mixtures does not survive 1.3 times the parameters (2 of 9 {KEEP}); with twice "
            "the tokens it cannot be said: of 6 pairs that differ beyond noise, 1 changes places.",
        ),
    ],
)
def test_one_sentence(rows: tuple[OrderRow, ...], said: str) -> None:
    assert order(*rows).statement == said


def test_a_model_is_named_by_the_nearest_fraction() -> None:
    assert row("parameters", 0, 0, 0.497).words == "half the parameters"
    assert row("learning rate", 0, 0).setting == "a quarter of the learning rate (1000)"
    assert row("tokens", 0, 0).setting == "twice the tokens (1.00k)"


def test_a_lost_order_is_a_warning_in_the_first_lines() -> None:
    lost = order(row("seed", 20, 20), row("learning rate", 12, 5))
    decision = replace(small(), order=lost).judged()
    assert decision.headline[1] == (
        f"{lost.statement} The best mixture of a run that is trained otherwise may be another."
    )
    assert decision.headline[1] in decision.objections()
    kept = replace(small(), order=order(row("seed", 20, 20), row("tokens", 3, 3))).judged()
    assert not any("order of mixtures" in line for line in kept.headline)


def test_it_survives_json_and_older_documents_have_none() -> None:
    decision = replace(small(), order=order(row("seed", 3, 2)))
    assert Decision.from_json(decision.as_json()) == decision
    document = small().as_json()
    del document["order"]
    assert Decision.from_json(document).order is None
