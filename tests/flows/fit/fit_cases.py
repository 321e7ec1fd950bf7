"""A decision by laws, written out: what a page or a sentence of one says is tested without a fit."""

from dataclasses import replace
from typing import Any

from cuvee.decisions.fit.decision import LawDecision
from cuvee.decisions.fit.result import BEST_OBSERVED, PICK, Candidate, Distance, LawRow, Sensitivity
from cuvee.decisions.interval import Interval
from cuvee.decisions.provenance import Origin
from cuvee.decisions.shares import SourceShare
from cuvee.decisions.verdict import UNJUDGED

NAN = float("nan")


def law_decision(**changes: Any) -> LawDecision:
    """Two sources, forty runs, a law that is believed, and a pick that beats all it is shown beside."""
    candidates = (
        Candidate(PICK, (0.75, 0.25), Interval(2.0, 1.95, 2.05)),
        Candidate("uniform", (0.5, 0.5), Interval(2.1, 2.05, 2.15)),
        Candidate(
            BEST_OBSERVED, (0.7, 0.3), Interval(2.02, 1.97, 2.07), 2.03, "the run of the lowest target"
        ),
    )
    decision = LawDecision(
        table="runs.csv",
        created_from=Origin("a", "b", {}, "cuvee optimise fit"),
        runs=40,
        parameters=1e6,
        tokens=1e8,
        target_tokens=NAN,
        headline=(),
        verdict=UNJUDGED,
        law="linear",
        laws=(LawRow("linear", 3, 0.95, 0.9, 0.01, 0.8, 0.95, chosen=True),),
        mixture=(
            SourceShare("prose", 0.75, 0.6, 0.9, 0, NAN),
            SourceShare("code", 0.25, 0.1, 0.4, 0, NAN),
        ),
        gap=0.0,
        metrics=(),
        candidates=candidates,
        tied=(),
        sensitivities=tuple(
            Sensitivity(name, Interval(0.0, -0.01, 0.01), Interval(0.2, 0.1, 0.3))
            for name in ("prose", "code")
        ),
        distance=Distance("r7", 0.1, 0.1, 0.0),
        next_runs=(),
        expected_gain=0.001,
        likely_gain=0.002,
        spread=0.1,
    )
    return replace(decision, **changes)
