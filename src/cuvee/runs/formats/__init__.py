"""Formats of other people's runs: one file each, and the table of all."""

from cuvee.runs.formats.direction import Direction, KnownDirection
from cuvee.runs.formats.interface import Format
from cuvee.runs.formats.part import Part, Row
from cuvee.runs.formats.registry import FORMATS

__all__ = ["FORMATS", "Direction", "Format", "KnownDirection", "Part", "Row"]
