"""Exporters: a mixture in the format of a trainer."""

from cuvee.exporters.interface import Export, Exporter, ExportRequest, SourceFacts
from cuvee.exporters.registry import EXPORTERS, exporter_named

__all__ = [
    "EXPORTERS",
    "Export",
    "ExportRequest",
    "Exporter",
    "SourceFacts",
    "exporter_named",
]
