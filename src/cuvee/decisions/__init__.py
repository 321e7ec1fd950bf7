"""What flows conclude: decisions as values, their verdicts and first lines."""

from cuvee.decisions.check import Check
from cuvee.decisions.document import Document
from cuvee.decisions.interval import Interval
from cuvee.decisions.provenance import Origin, Provenance
from cuvee.decisions.shares import SourceShare
from cuvee.decisions.verdict import Verdict

__all__ = [
    "Check",
    "Document",
    "Interval",
    "Origin",
    "Provenance",
    "SourceShare",
    "Verdict",
]
