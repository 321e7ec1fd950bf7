"""What ``cuvee run`` concludes (floor 4)."""

from cuvee.decisions.ablation.decision import Decision

__all__ = [
    "Decision",
]
