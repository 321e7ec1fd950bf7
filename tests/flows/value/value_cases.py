"""A valuation written by hand, for rules that a real one would meet by luck."""

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
    ValuedDocument,
    ValuedSource,
)
from cuvee.decisions.verdict import UNJUDGED

SOURCES = ("code", "law", "web")


def valued(method: str, values: tuple[float, float, float]) -> Valued:
    """Sources with intervals of a tenth to each side."""
    rows = tuple(
        ValuedSource(name, 10, 1000, Interval(value, value - 0.1, value + 0.1))
        for name, value in zip(SOURCES, values, strict=True)
    )
    one = ValuedDocument("web/1/0", "web", 100, 2.0, "Some text.")
    return Valued(method, "https://arxiv.org/abs/1", "nats", "", 1.0, rows, (one,), (one,))


def valuation(to_random: Interval | None = None) -> Valuation:
    """Two methods that agree, one that was not run, and trainings where a difference is given."""
    arms = (
        SelectionArm("in_run", 10, 1000, (3.0, 3.1), (4.0, 4.1), to_random or Interval(), Interval()),
        SelectionArm("random", 10, 1000, (3.2, 3.3), (4.0, 4.1), Interval(), Interval()),
    )
    retraining = Retraining(0.25, 100_000, 40, 0.01, 1e9, arms) if to_random is not None else None
    player = SourcePlayer("web", Interval(0.1, 0.05, 0.15), Interval(0.02, 0.01, 0.03))
    shares = zip(SOURCES, (0.2, 0.3, 0.5), strict=True)
    return Valuation(
        study="by hand",
        created_from=Provenance("c0nf1g", "50urce5", "rec1pe", {"cuvee": "1"}, "cuvee value study.yaml"),
        headline=(),
        verdict=UNJUDGED,
        target="questions",
        target_documents=40,
        documents=30,
        tokens=3000,
        mixture=tuple(SourceShare(name, share, 0.1, 0.6, 1000, 1.5) for name, share in shares),
        methods=(
            valued("in_run", (0.0, 0.5, 1.0)),
            valued("random", (0.4, 0.5, 0.6)),
            Valued("medu", "https://arxiv.org/abs/2", "grade", "no judge", float("nan"), (), (), ()),
        ),
        agreement=(MethodAgreement("in_run", "random", 0.1),),
        games=(SourceGame("merge", 8, (player,)),),
        retraining=retraining,
        warnings=("medu is not run: no judge",),
        confidence=0.95,
    ).judged()
