"""What ``cuvee run`` concludes."""

from cuvee.decisions.ablation.decision import Decision

__all__ = [
    "Decision",
]
