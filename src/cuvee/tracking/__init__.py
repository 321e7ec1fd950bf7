"""Trackers: what a study trains and concludes, shown in the tools that people watch trainings with.

A tracker is written to and never read: a study is the same with any of them, and without.
"""

from cuvee.tracking.interface import Tracker
from cuvee.tracking.registry import TRACKERS
from cuvee.tracking.trackers import Trackers

__all__ = ["TRACKERS", "Tracker", "Trackers"]
