"""What the runs of a study are worth after its sources changed: the flow of ``cuvee change``."""

from cuvee.flows.change.flow import ChangePlan, change_sources, look_ahead
from cuvee.flows.change.source_change import Change, Drop, Merge, Split

__all__ = ["Change", "ChangePlan", "Drop", "Merge", "Split", "change_sources", "look_ahead"]
