"""What a law is: from observations to predicted metrics of any mixture.

All laws of this package speak of *costs*: metrics turned so that lower is better. A metric that is to be
high enters with its sign changed, and ``CalibratedLaw`` (``laws/surrogate.py``) turns predictions back.

Letters: ``R`` runs, ``S`` sources, ``E`` metrics, ``M`` mixtures asked about.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from cuvee.errors import ConfigError
from cuvee.laws.transport_planes import TransportPlanes
from cuvee.mixture.mixture import Mixture
from cuvee.runs.formats.direction import Direction
from cuvee.runs.observations import Observations
from cuvee.types import BoolArray, FloatArray, IntArray, Json

NO_SOURCE = -1


@dataclass(frozen=True, eq=False)
class Scale:
    """How large the runs are: parameters and tokens, one number for all or one a mixture [M].

    Raises:
        ConfigError: unique tokens that are no row a source, or not positive.
    """

    params: FloatArray | float = math.nan
    """NaN where unknown."""
    tokens: FloatArray | float = math.nan
    unique: FloatArray | None = None
    """Different tokens of each source, [S] for all mixtures or [M, S], in the order of the law's sources.
    None, NaN or infinity: it is never repeated. Laws that know nothing of repetition do not look at it."""

    def __post_init__(self) -> None:
        if self.unique is None:
            return
        unique = np.asarray(self.unique, dtype=np.float64)
        if unique.ndim not in (1, 2):
            raise ConfigError(
                f"unique tokens have the shape {unique.shape}; give one number a source, or a row a mixture"
            )
        if (unique <= 0).any():
            raise ConfigError(
                f"unique tokens must be positive, found {np.nanmin(unique)}; leave a source without text out "
                "of the region"
            )
        object.__setattr__(self, "unique", unique)

    @property
    def known(self) -> bool:
        """True if parameters, tokens or unique tokens are given."""
        sizes = (self.params, self.tokens)
        return self.unique is not None or not all(np.isnan(size).all() for size in sizes)

    def select(self, rows: IntArray | BoolArray) -> Self:
        """The scale of some of the mixtures."""
        params, tokens = (
            part[rows] if isinstance(part, np.ndarray) else part for part in (self.params, self.tokens)
        )
        unique = self.unique
        if unique is not None and unique.ndim == 2:
            unique = unique[rows]
        return type(self)(params, tokens, unique)


UNKNOWN_SCALE = Scale()

Asked = Mixture | Sequence[Mixture] | npt.ArrayLike
"""One mixture or several, by name; or shares [S] or [M, S] in the order of the law's sources."""


@dataclass(frozen=True, eq=False)
class LawData:
    """What a law is fitted to.

    Raises:
        ConfigError: a metric or direction is unknown.
    """

    sources: tuple[str, ...]
    metrics: tuple[str, ...]
    shares: FloatArray
    """Token shares [R, S]."""
    costs: FloatArray
    """Metrics [R, E], lower is better; NaN where not measured."""
    scale: Scale
    """Of the runs, arrays [R]."""
    own: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """For each metric [E] the index of the source whose held-out text it is measured on, or -1; [0] where
    that was not looked for."""
    transport: TransportPlanes | None = None
    """Distances of mixtures from a target, for laws that use them."""

    @classmethod
    def of(
        cls,
        observations: Observations,
        metrics: Sequence[str] | None = None,
        directions: Mapping[str, Direction] | None = None,
        unique: FloatArray | None = None,
        own: Sequence[int] | None = None,
        transport: TransportPlanes | None = None,
    ) -> Self:
        """Observations as data of laws.

        Args:
            observations: rows of one scale, or of several for laws that know scale.
            metrics: default all.
            directions: of each metric; one that is not named is better when lower.
            unique: different tokens of each source, see ``Scale``.
            own: see the field; by default what the names of the metrics say.
            transport: see the field.
        """
        names = tuple(observations.metrics if metrics is None else metrics)
        directions = directions or {}
        if unknown := [name for name in directions if name not in observations.metrics]:
            raise ConfigError(f"direction given for {unknown[0]!r}, which is no metric of the table")
        values = np.stack([observations.metric(name) for name in names], axis=1)
        sign = np.array([signs(directions.get(name, "lower")) for name in names])
        return cls(
            observations.sources,
            names,
            np.ascontiguousarray(observations.shares),  # sums depend on the layout in their last bits
            values * sign,
            Scale(observations.params, observations.tokens, unique),
            own_sources(names, observations.sources) if own is None else np.array(own, dtype=np.int64),
            transport,
        )

    def __len__(self) -> int:
        return len(self.shares)

    def select(self, rows: IntArray | BoolArray) -> Self:
        """Some of the runs."""
        return replace(self, shares=self.shares[rows], costs=self.costs[rows], scale=self.scale.select(rows))

    def metric(self, index: int) -> Self:
        """One metric alone, with the runs in which it was measured."""
        measured = np.isfinite(self.costs[:, index])
        one = self.select(measured)
        return replace(
            one,
            metrics=(self.metrics[index],),
            costs=one.costs[:, index : index + 1],
            own=self.own[index : index + 1],
        )


@runtime_checkable
class FittedLaw(Protocol):
    """A law with its parameters. Immutable; equal JSON gives equal predictions."""

    @property
    def law(self) -> str:
        """Name of its row in ``LAWS``."""
        ...

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources [S]."""
        ...

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics [E]."""
        ...

    @property
    def convex(self) -> bool:
        """The predicted costs are convex in the shares."""
        ...

    def predict(self, mixtures: Asked, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """Costs [M, E] of mixtures.

        Raises:
            MixtureError: what is asked about is no mixture of the law's sources (``laws/asked.py``).
        """
        ...

    def gradient(self, mixtures: Asked, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """Derivatives [M, E, S] of the costs in the shares, each share moved alone; see ``predict``."""
        ...

    def deviation(self, mixtures: Asked, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """Standard deviations [M, E] that the runs leave in the predictions, as the law itself sees it.

        Zero where a law knows nothing of it. ``Spread`` (``laws/spread.py``) makes intervals of it. See
        ``predict``.
        """
        ...

    def costs(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """``predict`` of shares [M, S] that are mixtures or lie near them: nothing is checked."""
        ...

    def slopes(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """``gradient`` of the same."""
        ...

    def uncertainty(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """``deviation`` of the same."""
        ...

    def as_json(self) -> Json:
        """Formula and parameters: enough to evaluate the law without cuvee."""
        ...


class Law(Protocol):
    """A way to fit. A row of ``LAWS``: immutable, without data."""

    @property
    def name(self) -> str:
        """Of the row."""
        ...

    @property
    def paper(self) -> str:
        """Address of its source."""
        ...

    @property
    def needs(self) -> str:
        """What the runs must hold, in words."""
        ...

    @property
    def cost(self) -> str:
        """Of a fit, in words."""
        ...

    @property
    def deviations(self) -> str:
        """Where it differs from the paper."""
        ...

    def parameters(self, sources: int) -> int:
        """How many numbers are fitted for one metric; fewer runs than that leave some to the prior."""
        ...

    def fit(self, data: LawData, seed: int = 0) -> FittedLaw:
        """Fit all metrics.

        Raises:
            ConfigError: the data cannot carry the law (the message names what is missing).
        """
        ...


@runtime_checkable
class Refittable(Protocol):
    """A law whose fit can begin where another fit of it ended."""

    def refit(self, data: LawData, near: Any, seed: int = 0) -> FittedLaw:
        """Fit to a part of the runs that ``near`` was fitted to. The runs decide, ``near`` saves steps."""
        ...


def signs(direction: Direction) -> float:
    """What a metric is multiplied by to become a cost."""
    if direction not in ("lower", "higher"):
        raise ConfigError(f"direction {direction!r}: use 'lower' or 'higher'")
    return 1.0 if direction == "lower" else -1.0


def own_sources(metrics: Sequence[str], sources: Sequence[str]) -> IntArray:
    """The source whose name stands in a metric's name, as whole words; -1 for none or two as long.

    ``the_pile_arxiv_val_loss`` belongs to ``the_pile_arxiv``; ``wiki_en`` does not belong to ``wiki`` if
    there is a source ``wiki_en``.
    """
    words = [_words(source) for source in sources]
    result = []
    for metric in metrics:
        text = _words(metric)
        found = [i for i, part in enumerate(words) if part and _contains(text, part)]
        longest = max((len(words[i]) for i in found), default=0)
        best = [i for i in found if len(words[i]) == longest]
        result.append(best[0] if len(best) == 1 else NO_SOURCE)
    return np.array(result, dtype=np.int64)


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", name.lower())


def _contains(text: list[str], part: list[str]) -> bool:
    return any(text[i : i + len(part)] == part for i in range(len(text) - len(part) + 1))
