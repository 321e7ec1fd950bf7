"""LAVA: documents that bring the pool nearer to the target, classes counted.

    value_i = -N / (N - 1) (f_i - mean f),   C_ij = |x_i - x_j|^2 + c W(y_i, y_j)

f are the dual potentials of entropic transport from pool to target. W(a, b) is the optimal transport between
the documents of class a in the pool and those of class b in the target (Just et al. 2023, LAVA,
https://arxiv.org/abs/2305.00054): a document that lies among those of another class is far from all.

Classes are labels where both sides have them; else sources, where one at least stands on both sides. With
neither, LAVA is GOT-D, and a message says so. Where the target has less of a class than the pool, documents
of that class are worth less, whatever their text: to find wrong labels, give a target of the pool's shares.
"""

from dataclasses import dataclass, field

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import FloatArray, IntArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.ground_cost import SquaredDistances
from cuvee.valuation.substrates import Substrates
from cuvee.valuation.transport import Transport

CLASS_SAMPLE = 500
"""Documents of a class between which W is found, at most: for pools of millions; chosen by hand."""


@dataclass(frozen=True, eq=False)
class ClassWiseCosts:
    """Squared distances plus what lies between classes."""

    distances: SquaredDistances
    pool_class: IntArray = field(repr=False)
    """Row of ``between`` of each document of the pool [n]."""
    target_class: IntArray = field(repr=False)
    """Column of ``between`` of each document of the target [m]."""
    between: FloatArray
    """c W [A, B]."""

    @property
    def shape(self) -> tuple[int, int]:
        """See ``GroundCost.shape``."""
        return self.distances.shape

    @property
    def mean(self) -> float:
        """See ``GroundCost.mean``."""
        rows = np.bincount(self.pool_class, minlength=len(self.between)) / len(self.pool_class)
        columns = np.bincount(self.target_class, minlength=self.between.shape[1]) / len(self.target_class)
        return self.distances.mean + float(rows @ self.between @ columns)

    def block(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """See ``GroundCost.block``."""
        classes = self.between[np.ix_(self.pool_class[rows], self.target_class[columns])]
        return self.distances.block(rows, columns) + classes


@dataclass(frozen=True)
class Lava:
    """Calibrated gradient of class-wise transport, negative."""

    class_weight: float = 1.0
    """c; the paper's, and the best one for finding flipped labels of digits: at ten few are found."""
    transport: Transport = field(default_factory=Transport)

    temperature: float = 0.0
    name: str = "lava"
    paper: str = "https://arxiv.org/abs/2305.00054"
    unit: str = "OT cost (squared distance of unit vectors)"
    needs: str = "embeddings; the extra 'ot'"
    cost: str = "that of gotd, and a transport between each two classes"
    deviations: str = (
        "Sources stand for classes where there are no labels; without either it is gotd. Embeddings are "
        "those of the study, not of a network trained on the labels. Large pools go in batches (SAVA)."
    )

    def value(
        self, pool: DocumentTable, target: DocumentTable, substrates: Substrates, seed: int
    ) -> FloatArray:
        """See ``Valuer.value``."""
        distances = SquaredDistances(substrates.embeddings(pool), substrates.embeddings(target))
        if (pool.labels is None) != (target.labels is None):
            side = "target" if pool.labels is None else "pool"
            substrates.progress.message(f"lava: only the {side} has labels; they are not used")
        if (classes := shared_classes(pool, target)) is None:
            substrates.progress.message(
                "lava: no labels and no source on both sides; values are those of gotd"
            )
            duals = self.transport.duals(distances, seed, progress=substrates.progress)
        else:
            costs = self._class_wise(distances, *classes, seed)
            duals = self.transport.duals(costs, seed, progress=substrates.progress)
        return -duals.calibrated

    def _class_wise(
        self, distances: SquaredDistances, pool: IntArray, target: IntArray, seed: int
    ) -> ClassWiseCosts:
        rng = np.random.default_rng([seed, 1])
        mine, theirs = (
            [_sampled(np.flatnonzero(classes == one), rng) for one in range(int(classes.max()) + 1)]
            for classes in (pool, target)
        )
        between = np.empty((len(mine), len(theirs)))
        for a, rows in enumerate(mine):
            for b, columns in enumerate(theirs):
                pair = SquaredDistances(distances.x[rows], distances.y[columns])
                between[a, b] = self.transport.duals(pair, seed).plan_cost
        return ClassWiseCosts(distances, pool, target, self.class_weight * between)


def shared_classes(pool: DocumentTable, target: DocumentTable) -> tuple[IntArray, IntArray] | None:
    """Classes of the documents of both sides [n] and [m], each side's numbered from zero without gaps.

    Returns:
        None where there are neither labels on both sides nor a source on both.

    Raises:
        ConfigError: a label is negative.
    """
    if pool.labels is not None and target.labels is not None:
        for side, labels in (("pool", pool.labels), ("target", target.labels)):
            if len(unknown := np.flatnonzero(labels < 0)):
                raise ConfigError(
                    f"lava: document {int(unknown[0])} of the {side} has label {int(labels[unknown[0]])}; "
                    "labels count from zero; leave out documents without one"
                )
        return _numbered(pool.labels), _numbered(target.labels)
    if set(pool.sources) & set(target.sources):
        return _numbered(pool.source), _numbered(target.source)
    return None


def _numbered(classes: IntArray) -> IntArray:
    return np.unique(classes, return_inverse=True)[1].astype(np.int64)


def _sampled(rows: IntArray, rng: np.random.Generator) -> IntArray:
    if len(rows) <= CLASS_SAMPLE:
        return rows
    return np.sort(rng.choice(rows, CLASS_SAMPLE, replace=False))
