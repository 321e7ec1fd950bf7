"""What ``cuvee scale`` concludes (floor 4)."""

from cuvee.decisions.scale.decision import ScaleDecision

__all__ = [
    "ScaleDecision",
]
