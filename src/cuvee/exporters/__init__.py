"""Exporters: a mixture in the format of a trainer."""

from cuvee.exporters.interface import Export, Exporter, Recipe, SourceFacts
from cuvee.exporters.registry import EXPORTERS, exporter_named

__all__ = [
    "EXPORTERS",
    "Export",
    "Exporter",
    "Recipe",
    "SourceFacts",
    "exporter_named",
]
