"""Sources that changed: what was split, merged or dropped, and what old runs are still worth."""

from cuvee.lineage.carried import Carried, Fate, carry, statement
from cuvee.lineage.descent import Descent, Step
from cuvee.lineage.divided_text import check_divided
from cuvee.lineage.evidence_gap import MARGIN, is_outside, uncovered

__all__ = [
    "MARGIN",
    "Carried",
    "Descent",
    "Fate",
    "Step",
    "carry",
    "check_divided",
    "is_outside",
    "statement",
    "uncovered",
]
