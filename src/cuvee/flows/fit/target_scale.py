"""At which size of run a fit is asked, where its law knows sizes."""

import math
from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.at_scale import OF_SCALE, AtScale
from cuvee.laws.interface import UNKNOWN_SCALE, FittedLaw, LawData, Scale
from cuvee.quantities import size
from cuvee.question.question import Question
from cuvee.types import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class TargetScale:
    """The size of the run that is decided for; unknown where all runs are of one and the law knows none."""

    scale: Scale = UNKNOWN_SCALE
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, question: Question, data: LawData) -> "TargetScale":
        """What the question names; a number that all runs share need not be named.

        Raises:
            ConfigError: the law needs a size that is not named, or one that the runs say nothing of.
        """
        if question.law not in OF_SCALE:
            return cls()
        sizes = _size(question, data, "params"), _size(question, data, "tokens")
        unique = None
        if question.tokens:
            unique = np.array([question.tokens[name] for name in data.sources], dtype=np.float64)
        notes = _beyond(data, sizes)
        return cls(Scale(*sizes, unique), notes)

    @property
    def known(self) -> bool:
        """The law is asked at a size."""
        return self.scale.known

    def of_law(self, fitted: FittedLaw) -> FittedLaw:
        """The law asked there."""
        return AtScale(fitted, self.scale) if self.known else fitted

    def measured(self, data: LawData) -> LawData:
        """The runs of this size."""
        if not self.known:
            return data
        same = np.isclose(_amounts(data, "params"), self.scale.params) & np.isclose(
            _amounts(data, "tokens"), self.scale.tokens
        )
        return data.select(same)

    def nearest(self, data: LawData) -> LawData:
        """The largest runs, whose mixtures are compared."""
        return data.select(_largest(data)) if self.known else data


def _size(question: Question, data: LawData, what: str) -> float:
    named = question.target_params if what == "params" else question.target_tokens
    there = np.unique(_amounts(data, what))
    option, word = ("--target-params", "parameters") if what == "params" else ("--target-tokens", "tokens")
    if math.isnan(named):
        if len(there) == 1 and np.isfinite(there[0]):
            return float(there[0])
        raise ConfigError(
            f"the law {question.law} predicts runs of a given size, and the runs have several numbers of "
            f"{word}: say {option} COUNT, those of the run that the mixture is for"
        )
    if len(there) == 1 and not np.isclose(there[0], named):
        raise ConfigError(
            f"all runs have {size(float(there[0]))} {word}: they say nothing of {size(named)}; leave "
            f"{option} out, or add runs with other numbers"
        )
    return named


def _beyond(data: LawData, sizes: tuple[float, float]) -> tuple[str, ...]:
    times = []
    for named, what, word in zip(sizes, ("params", "tokens"), ("parameters", "tokens"), strict=True):
        largest = float(_amounts(data, what).max())
        if named > largest * (1.0 + 1e-9):
            times.append(f"{named / largest:.3g} times the {word}")
    if not times:
        return ()
    return (
        f"The target run has {' and '.join(times)} of the largest run: the law extrapolates, and intervals, "
        "which come from left-out runs of the sizes at hand, are too narrow for that.",
    )


def _amounts(data: LawData, what: str) -> FloatArray:
    result: FloatArray = np.broadcast_to(
        np.asarray(getattr(data.scale, what), dtype=np.float64), (len(data),)
    )
    return result


def _largest(data: LawData) -> BoolArray:
    work = _amounts(data, "params") * _amounts(data, "tokens")
    result: BoolArray = np.isclose(work, work.max())
    return result
