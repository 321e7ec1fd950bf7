"""What ``cuvee fit`` concludes (floor 4)."""

from cuvee.decisions.fit.decision import LawDecision

__all__ = [
    "LawDecision",
]
