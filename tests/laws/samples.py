"""Runs whose law is known."""

import numpy as np

from cuvee.laws.interface import LawData, Scale, own_sources
from cuvee.laws.transport_planes import TransportPlanes
from cuvee.types import FloatArray

SOURCES = ("books", "code", "law", "web")
METRICS = ("books_loss", "code_loss", "quiz_loss")

FLOOR = np.array([2.0, 1.0, 0.5])
EPS = np.array([0.4, 0.3, 0.5])
GAIN = np.array([[1.5, 0.1, 0.3, 0.6], [0.1, 2.0, 0.1, 0.4], [0.5, 0.4, 0.6, 0.9]])
PLANES = TransportPlanes(
    "quiz",
    SOURCES[::-1],
    ((0.9, 0.4, 0.8, 1.0), (0.5, 0.9, 0.7, 0.6), (0.8, 0.8, 0.2, 0.9)),
    (0.0, 0.05, 0.02),
)
POWER = np.array([[0.5, 0.6, 0.4, 0.5], [0.5, 0.4, 0.6, 0.5], [0.6, 0.5, 0.4, 0.7]])


def truth(shares: FloatArray) -> FloatArray:
    """Costs [R, 3] by the effective-data law."""
    effective = EPS + (GAIN * shares[:, None, :] ** POWER).sum(axis=2)
    result: FloatArray = FLOOR + 1.0 / effective
    return result


def mixtures(count: int, seed: int, sources: int = len(SOURCES)) -> FloatArray:
    """Shares [count, sources], some of them zero."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(sources, 0.7), count)
    shares[rng.random(shares.shape) < 0.1] = 0.0
    shares[:, 0] += shares.sum(axis=1) == 0
    result: FloatArray = shares / shares.sum(axis=1, keepdims=True)
    return result


def runs(count: int, seed: int = 0, noise: float = 0.0) -> LawData:
    """Runs of the known law."""
    shares = mixtures(count, seed)
    costs = truth(shares) + noise * np.random.default_rng(seed + 1).normal(size=(count, len(METRICS)))
    unknown = Scale(np.full(count, np.nan), np.full(count, np.nan))
    return LawData(SOURCES, METRICS, shares, costs, unknown, own_sources(METRICS, SOURCES), PLANES)
