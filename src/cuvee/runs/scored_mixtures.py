"""Mixtures that proxies scored: one number for the report of a study and for its status.

A mixture may be scored twice, on a part of the windows and then on all of them; it counts once.
"""

from collections.abc import Iterable

from cuvee.runs.roles import ASKED, DESCENT, DOWNSTREAM, OPTIMUM
from cuvee.runs.run import Run

SEARCHED = (DESCENT, OPTIMUM)
"""Roles of the search for the merge's own optimum."""
_OTHERS = (*SEARCHED, ASKED, DOWNSTREAM)
"""Roles of merges and ensembles that no candidate of the study asked for."""


def scorings(runs: Iterable[Run], kind: str) -> list[Run]:
    """Merges or ensembles by which the mixtures of a study were scored."""
    return [run for run in runs if run.kind == kind and run.role not in _OTHERS]


def mixtures_of(runs: Iterable[Run]) -> int:
    """How many mixtures they are of."""
    return len({run.mixture.key for run in runs})
