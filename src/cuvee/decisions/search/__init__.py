"""What ``cuvee search`` concludes."""

from cuvee.decisions.search.decision import SearchDecision

__all__ = [
    "SearchDecision",
]
