"""What ``cuvee search`` concludes (floor 4)."""

from cuvee.decisions.search.decision import SearchDecision

__all__ = [
    "SearchDecision",
]
