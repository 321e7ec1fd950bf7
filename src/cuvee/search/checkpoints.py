"""Checkpoints: of a run that was observed at several lengths the last is kept.

Losses early in a training fall by another law than later ones, and errors along one run go together. A
surrogate that takes them for independent measurements is sure of what it should not be. Shorter trainings
with a schedule of their own are no checkpoints.
"""

import numpy as np

from cuvee.search.space import CHECKPOINT, Space
from cuvee.search.trials import Trials

_DECIMALS = 9  # mixtures that agree in them are one


def without_checkpoints(trials: Trials, space: Space) -> Trials:
    """Of every training what was measured after the most tokens; all else as it is."""
    last: dict[tuple[bytes, str, float, float], int] = {}
    for row in trials.measured.tolist():
        fidelity = space.fidelities[trials.fidelity[row]]
        part = space.curves or fidelity.kind == CHECKPOINT
        mixture = np.round(trials.shares[row], _DECIMALS).tobytes()
        run = mixture, fidelity.kind, fidelity.params, 0.0 if part else fidelity.tokens
        if run not in last or fidelity.tokens >= space.fidelities[trials.fidelity[last[run]]].tokens:
            last[run] = row
    rows = np.array(sorted(last.values()), dtype=np.int64)
    return Trials(trials.metrics, trials.shares[rows], trials.fidelity[rows], trials.costs[rows])
