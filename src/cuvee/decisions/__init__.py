"""What flows conclude: decisions as values, their verdicts and first lines."""

from cuvee.decisions.check import TrainingCheck
from cuvee.decisions.document import JsonDocument
from cuvee.decisions.interval import Interval
from cuvee.decisions.provenance import Origin, Provenance
from cuvee.decisions.shares import SourceShare
from cuvee.decisions.verdict import Verdict

__all__ = [
    "Interval",
    "JsonDocument",
    "Origin",
    "Provenance",
    "SourceShare",
    "TrainingCheck",
    "Verdict",
]
