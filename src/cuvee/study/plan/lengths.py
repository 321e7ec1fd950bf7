"""Lengths: how short a training may be, and the sizes between two."""

import math

LEAST_STEPS = 20
"""Optimiser steps of the shortest training of a ladder or a search; fewer say nothing of a mixture."""


def interpolated(first: float, last: float, place: float) -> int:
    """A whole number between two, in equal ratios; ``place`` runs from 0 to 1."""
    return round(math.exp(math.log(first) + place * (math.log(last) - math.log(first)))) if first else 0
