"""A small valuation written out: two methods and a baseline, one method that is not run, a few trainings."""

import math

from cuvee.decisions.interval import Interval
from cuvee.decisions.shares import SourceShare
from cuvee.decisions.value.decision import Valuation
from cuvee.decisions.value.result import (
    MethodAgreement,
    Retraining,
    SelectionArm,
    SourceGame,
    SourcePlayer,
    Valued,
    ValuedDocument,
    ValuedSource,
)
from cuvee.decisions.verdict import UNJUDGED
from tests.report.cases import PROVENANCE


def valuation() -> Valuation:
    """Two sources; the first method keeps what beats random documents."""
    return Valuation(
        study="two sources",
        created_from=PROVENANCE,
        headline=(),
        verdict=UNJUDGED,
        target="manual",
        target_documents=40,
        documents=300,
        tokens=90_000,
        mixture=(
            SourceShare("code", 0.25, 0.1, 0.45, 1_250_000, 4.0, 4.0, True),
            SourceShare("prose", 0.75, 0.55, 0.9, 4_000_000, 3.75, 4.0, False),
        ),
        methods=(_method("in_run", 3.0), _missing("gotd"), _method("dsir", 0.2), _method("random", 0.5)),
        agreement=(
            MethodAgreement("in_run", "dsir", 0.4),
            MethodAgreement("in_run", "random", 0.0),
            MethodAgreement("dsir", "random", math.nan),
        ),
        games=(SourceGame("merge", 4, (_player("code", 0.1), _player("prose", 0.3))),),
        retraining=Retraining(0.25, 1_000_000, 40, 0.01, 3e12, (_arm("in_run", 4.0), _arm("random", 4.2))),
        warnings=("gotd is not run: it needs POT",),
        confidence=0.95,
    ).judged()


def _method(name: str, value: float) -> Valued:
    rows = (
        ValuedSource("code", 100, 30_000, Interval(-value, -1.5 * value, -0.5 * value)),
        ValuedSource("prose", 200, 60_000, Interval(value, 0.5 * value, 1.5 * value)),
    )
    shown = (ValuedDocument("prose/1/0", "prose", 300, value, "Once upon a time"),)
    return Valued(name, "", "nats", "", 1.0, rows, shown, shown)


def _missing(name: str) -> Valued:
    return Valued(name, "", "nats", "it needs POT", math.nan, (), (), ())


def _player(name: str, value: float) -> SourcePlayer:
    return SourcePlayer(name, Interval(value, 0.0, 1.0), Interval(value, 0.0, 1.0))


def _arm(name: str, loss: float) -> SelectionArm:
    apart = Interval() if name == "random" else Interval(-0.2, -0.3, -0.1)
    return SelectionArm(name, 80, 20_000, (loss, loss + 0.01), (5.0, 5.1), apart, apart)
