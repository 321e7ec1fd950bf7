"""What ``cuvee fit`` concludes."""

from cuvee.decisions.fit.decision import LawDecision

__all__ = [
    "LawDecision",
]
