"""Findings that nothing was trained for: losses of documents by formula (for tests)."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from cuvee.evaluation.scores import Documents
from cuvee.flows.ablation.findings import Findings, References
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.runs.observations import Observations
from cuvee.runs.roles import REFERENCE
from cuvee.runs.run import Run, observations_of
from cuvee.study.scored import Scored
from cuvee.types import FloatArray

SOURCES = ("a", "b", "c")
WEIGHTS = {"first": 0.5, "second": 0.5}
TARGET = np.array([0.5, 0.5])

NatsPerToken = Callable[[FloatArray], FloatArray]
"""Shares [M, S] to losses of all documents [M, D]."""


def documents(each: int, seed: int = 0) -> Documents:
    """Two evaluations of documents of unequal lengths."""
    tokens = np.random.default_rng(seed).integers(20, 60, 2 * each)
    return Documents(
        tuple(WEIGHTS), ("k1", "k2"), np.repeat([0, 1], each), tokens, (4.0 * tokens).astype(np.float64)
    )


def mixtures(count: int, seed: int = 0) -> tuple[Mixture, ...]:
    """Equal shares first, then random ones."""
    drawn = np.random.default_rng(seed).dirichlet(np.ones(len(SOURCES)), count - 1)
    return (Mixture.uniform(SOURCES), *(Mixture(SOURCES, row) for row in drawn))


def scored(of: tuple[Mixture, ...], on: Documents, losses: NatsPerToken) -> Scored:
    """By an ensemble, and by a merge that is a tenth too high."""
    nats = losses(np.stack([one.shares for one in of])) * on.tokens
    return Scored(of, on, {"ensemble": nats, "merge": 1.1 * nats})


def findings(
    of: tuple[Mixture, ...],
    on: Documents,
    losses: NatsPerToken,
    region: Region | None = None,
    references: References | None = None,
) -> Findings:
    """What was measured of some mixtures; there is no pool behind it."""
    region = region or Region.bounded(SOURCES)
    unused = cast(Any, None)
    return Findings(
        region=region,
        available=dict.fromkeys(SOURCES, 1000),
        scored=scored(of, on, losses),
        candidates=tuple(region.contains(one, 1e-6) for one in of),
        references=references,
        pool=unused,
        ensemble=unused,
        optimum=unused,
        merge_optimum=unused,
        score=unused,
    )


def rows(of: tuple[Mixture, ...]) -> Observations:
    """A training of each mixture."""
    runs = [
        Run(f"training {place}", "trained", REFERENCE, "equal_budget", mixture, 1000, 1000, place)
        for place, mixture in enumerate(of)
    ]
    return observations_of(runs, SOURCES)


def trained(
    of: tuple[Mixture, ...], on: Documents, losses: NatsPerToken, noise: float = 0.0, seed: int = 0
) -> References:
    """References whose trainings end where the formula says but for noise; two of them were trained twice."""
    rng = np.random.default_rng(seed)
    exact = losses(np.stack([one.shares for one in of]))

    def training(count: int) -> FloatArray:
        return (exact[:count] + noise * rng.standard_normal((count, 1))) * on.tokens

    return References(
        mixtures=of,
        scored=scored(of, on, losses),
        observed=rows((*of, *of[:2])),
        nats=training(len(of)),
        again=training(2),
        twice=(0, 1),
        units=losses(np.eye(len(SOURCES))) * on.tokens,
        own=(0, -1),
        target=TARGET,
    )
