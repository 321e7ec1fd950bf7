"""Run: one row of the store, with all that is known about it."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from cuvee.errors import ConfigError
from cuvee.hashing import canonical_json
from cuvee.mixture.mixture import Mixture
from cuvee.runs.observations import KINDS, Observations, check_text
from cuvee.types import FloatArray, Json

Status = Literal["done", "failed"]


@dataclass(frozen=True)
class Run:
    """A finished or failed run. How long it took is not part of it: that differs from time to time.

    Raises:
        ConfigError: an unknown kind or status, numbers out of range, details that are not JSON.
    """

    key: str
    """Digest of the run's ``RunKey``."""
    kind: str
    """One of ``KINDS``."""
    role: str
    """What the run is for: ``seed``, ``branch``, ``candidate``, ``reference``, ..."""
    estimand: str
    """What a merge stands for: ``equal_budget`` or ``union``."""
    mixture: Mixture
    """Token shares it was trained on, or stands for."""
    params: int | None
    """Parameters of the model; none if unknown."""
    tokens: int | None
    """Tokens trained on; none if unknown."""
    seed: int
    """Random seed."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Finite values by name, each with its unit in the name; leave out what was not measured."""
    flops: float | None = None
    """Floating point operations spent; none if unknown."""
    status: Status = "done"
    """Whether there is a result."""
    error: str | None = None
    """Why it failed."""
    details: Json = field(default_factory=dict)
    """Anything else worth keeping that is the same whenever the run is repeated."""
    documents: Mapping[str, FloatArray] = field(default_factory=dict, compare=False, repr=False)
    """Evaluation -> nats of each of its documents; written with the run, read by ``RunStore.documents``."""

    def __post_init__(self) -> None:
        if not self.key:
            raise ConfigError("a run needs a key")
        for name in ("key", "kind", "role", "estimand"):
            check_text(name, getattr(self, name))
        if self.kind not in KINDS:
            raise self._wrong("kind", self.kind, f"one of {', '.join(KINDS)}")
        if self.status not in ("done", "failed"):
            raise self._wrong("status", self.status, "done or failed")
        if (self.status == "failed") != (self.error is not None):
            raise self._wrong("error", self.error, "given for failed runs, and only for them")
        for name in self.mixture.names:
            check_text("source", name)
        for name in ("params", "tokens"):
            object.__setattr__(self, name, self._count(name, getattr(self, name)))
        seed = int(self.seed)
        if seed != self.seed or abs(seed) >= 2**63:
            raise self._wrong("seed", self.seed, "a whole number of at most 64 bits")
        object.__setattr__(self, "seed", seed)
        object.__setattr__(self, "metrics", {k: self._finite(k, v) for k, v in self.metrics.items()})
        if self.flops is not None:
            flops = self._finite("flops", self.flops)
            if flops < 0:
                raise self._wrong("flops", flops, "not negative")
            object.__setattr__(self, "flops", flops)
        try:
            object.__setattr__(self, "details", json.loads(canonical_json(self.details)))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"details of run {self.key!r} are not plain JSON: {error}") from error

    def content(self) -> Json:
        """All fields as plain JSON, the mixture without regard to order and sources of share zero.

        Two records with the same key must agree in it.
        """
        return {
            "kind": self.kind,
            "role": self.role,
            "estimand": self.estimand,
            "mixture": {name: self.mixture.share(name) for name in sorted(self.mixture.support)},
            "params": self.params,
            "tokens": self.tokens,
            "seed": self.seed,
            "metrics": self.metrics,
            "flops": self.flops,
            "status": self.status,
            "error": self.error,
            "details": self.details,
        }

    def _count(self, name: str, value: float | None) -> int | None:
        if value is None:
            return None
        if not (math.isfinite(value) and 0 <= value <= 2**53 and value == int(value)):
            raise self._wrong(name, value, "a whole number from 0 to 2**53, or none if unknown")
        return int(value)

    def _finite(self, name: str, value: float) -> float:
        check_text("metric", name)
        if not name or not math.isfinite(value):
            raise self._wrong(name or "a metric without name", value, "finite; leave out what is missing")
        return float(value) + 0.0  # a negative zero would not survive in every table

    def _wrong(self, name: str, value: object, rule: str) -> ConfigError:
        return ConfigError(f"{name} of run {self.key!r} is {value!r}; it must be {rule}")


def observations_of(
    runs: Iterable[Run],
    sources: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    failed: bool = False,
) -> Observations:
    """The finished runs as observations, in their order.

    Args:
        runs: any runs.
        sources: columns of shares; by default all sources of the runs, sorted.
        metrics: columns of values; by default all metrics of the runs, sorted. Others are left out.
        failed: failed runs are rows too, of which no metric was measured; else they are left out.

    Raises:
        MixtureError: a run has a positive share of a source that is not among ``sources``.
        ConfigError: two runs have the same key.
    """
    rows = [run for run in runs if failed or run.status == "done"]
    if sources is None:
        sources = sorted({name for run in rows for name in run.mixture.names})
    if metrics is None:
        metrics = sorted({name for run in rows for name in run.metrics})
    if not rows:
        return Observations.empty(sources, metrics)
    return Observations(
        sources=tuple(sources),
        metrics=tuple(metrics),
        keys=tuple(run.key for run in rows),
        shares=np.array([run.mixture.reindexed(sources).shares for run in rows]),
        params=np.array([_or_nan(run.params) for run in rows]),
        tokens=np.array([_or_nan(run.tokens) for run in rows]),
        kind=tuple(run.kind for run in rows),
        seed=np.array([run.seed for run in rows], dtype=np.int64),
        estimand=tuple(run.estimand for run in rows),
        role=tuple(run.role for run in rows),
        values=np.array([[run.metrics.get(name, math.nan) for name in metrics] for run in rows]),
        flops=np.array([_or_nan(run.flops) for run in rows]),
    )


def runs_of(observations: Observations) -> list[Run]:
    """One finished run for each row, for writing observations into a store."""
    return [
        Run(
            key=observations.keys[row],
            kind=observations.kind[row],
            role=observations.role[row],
            estimand=observations.estimand[row],
            mixture=mixture,
            params=_count_or_none(observations.params[row]),
            tokens=_count_or_none(observations.tokens[row]),
            seed=int(observations.seed[row]),
            metrics={
                name: float(value)
                for name, value in zip(observations.metrics, observations.values[row], strict=True)
                if not math.isnan(value)
            },
            flops=None if math.isnan(observations.flops[row]) else float(observations.flops[row]),
        )
        for row, mixture in enumerate(observations.mixtures())
    ]


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _count_or_none(value: float) -> int | None:
    return None if math.isnan(value) else int(value)
