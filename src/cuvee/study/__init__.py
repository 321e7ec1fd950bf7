"""Flows from a study file to a decision (floor 6)."""
