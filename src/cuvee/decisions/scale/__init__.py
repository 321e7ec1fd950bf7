"""What ``cuvee scale`` concludes."""

from cuvee.decisions.scale.decision import ScaleDecision

__all__ = [
    "ScaleDecision",
]
