"""What fitting a law to a table costs, before it is done.

Counts of multiplications over what one core does in a second: right within a factor of two or three on
machines of today. It decides nothing about a law that is named; of those that only stand beside it, it leaves
out what would take too long or too much memory.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.laws.effective_data import EffectiveData
from cuvee.laws.ensemble import LawEnsemble
from cuvee.laws.gaussian_process import SEARCH_RUNS, GaussianProcess
from cuvee.laws.hierarchical import VERY_MUCH
from cuvee.laws.interface import Law, LawData
from cuvee.laws.linear import LinearLaw
from cuvee.quantities import counted

SECONDS = 40.0
"""Of one core, that a law may take that is only compared with."""
MEMORY = 1e9
"""Bytes that it may take."""

_BATCHED, _PROCESSES = 2e10, 5e9  # multiplications a second: of many small problems, and of processes
_STEPS = {"fit": 70, "fold": 40, "draws": 400, "few draws": 100}
_EVALUATIONS = {"fit": 60, "fold": 15}
_PER_SOURCE = 0.3  # of what a step of a process costs beside its factors, for each source and pair of runs
_STARTS, _STEPS_A_START = 6, 250


@dataclass(frozen=True)
class Price:
    """Of fitting a law, and once more for every fold."""

    seconds: float
    """Of one core."""
    bytes: float
    """That its fit keeps."""

    @property
    def much(self) -> bool:
        """Too much for a law that is only compared with."""
        return self.seconds > SECONDS or self.bytes > MEMORY


def price_of(law: Law, data: LawData, folds: int) -> Price:
    """Of a law, its folds and, for the recommended law, draws of the runs."""
    runs, metrics, sources = len(data), len(data.metrics), len(data.sources)
    width = law.parameters(sources)
    if isinstance(law, LawEnsemble):
        return Price(0.0, 0.0)  # its members are fitted beside it
    if isinstance(law, LinearLaw):
        return Price((1 + folds) * metrics * runs * sources**2 / _BATCHED, 8.0 * metrics * sources**2)
    if isinstance(law, GaussianProcess):
        searched = min(runs, SEARCH_RUNS)
        step = 3.0 * searched**3 + _PER_SOURCE * searched**2 * sources
        steps = _EVALUATIONS["fit"] + folds * _EVALUATIONS["fold"]
        work = metrics * (steps * step + (1 + folds) * runs**3 / 3.0)
        return Price(work / _PROCESSES, 8.0 * metrics * runs * (runs + sources))
    step = float(metrics * (runs * width**2 + width**3))
    if isinstance(law, EffectiveData):
        steps = _STEPS["fit"] + folds * _STEPS["fold"] + _STEPS["few draws" if step > VERY_MUCH else "draws"]
        return Price(steps * step / _BATCHED, 8.0 * metrics * width**2)
    return Price((1 + folds) * _STARTS * _STEPS_A_START * step / _BATCHED, 8.0 * metrics * width)


def in_words(seconds: float) -> str:
    """``40 seconds``, ``12 minutes`` or ``3 hours``, as far as it can be known beforehand."""
    for size, word in ((3600.0, "hour"), (60.0, "minute"), (1.0, "second")):
        if seconds >= 1.5 * size or size == 1.0:
            count = max(1, int(np.ceil(seconds / size)))
            return counted(count, word)
    raise AssertionError
