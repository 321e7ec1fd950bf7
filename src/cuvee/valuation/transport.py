"""Entropic optimal transport between two sets of vectors, and its dual potentials (valuation).

    OT(a, b) = min over P of <P, C> + e KL(P | a b')      with P 1 = a, P' 1 = b
             = max over f, g of <a, f> + <b, g>           (where P has these marginals)

a and b are masses, C costs, e the smoothing. f is the derivative of OT in a. Mass that goes to document i and
is taken evenly from all others changes OT by the *calibrated gradient* (Just et al. 2023, LAVA,
https://arxiv.org/abs/2305.00054):

    N / (N - 1) (f_i - mean f)                            negative: more of this document brings a nearer to b

Entropic potentials are unique up to a constant, which the calibrated gradient does not see; those of the
linear programme are not, with uniform masses.

What is larger than a batch is transported batch by batch (Kessler et al. 2025, SAVA,
https://arxiv.org/abs/2406.01130): OT between all pairs of random batches gives costs, an outer OT between
batches a plan Q and potentials F. With A_k for the mass of batch k, the derivative of that functional is

    f_i = F_k + sum over l of Q_kl / A_k (f_i^kl - mean f^kl)                   for i in batch k

SAVA leaves out F_k, which puts all batches on one level. The solver is POT's Sinkhorn (extra ``ot``): on
kernels where the costs allow it, some 30 times faster than on logarithms, which are taken otherwise.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cuvee.errors import ConfigError
from cuvee.progress import Progress, Silent
from cuvee.types import FloatArray, IntArray
from cuvee.valuation.ground_cost import GroundCost
from cuvee.valuation.substrates import NotAtHand

SMOOTHING = 0.1
"""e as a share of the mean cost, so that it means the same for all embedders. Flipped labels of digits are
found best near 0.1; at 0.05, some dozen documents may take more iterations than there are."""
TOLERANCE = 1e-8
"""Mass that may be in a wrong place. Calibrated gradients then agree with differences of OT to 1e-7."""
REFUSED = 1e-5
"""More mass than this in a wrong place after the last iteration is no transport."""
ITERATIONS = 5000
"""Some hundred are usual; 5000 take 25 s on a core for a whole batch."""
BATCH = 2048
"""Documents of a batch: 33 MB for its costs, 170 MB for the solver."""
_KERNEL_RANGE = 300.0  # of costs in units of e; exp(-700) is the smallest double, and potentials need as much


@dataclass(frozen=True, eq=False)
class Duals:
    """Dual potentials of a transport."""

    f: FloatArray = field(repr=False)
    """Derivative of the cost in the mass of each row, up to a constant [n]."""
    g: FloatArray = field(repr=False)
    """The same of each column [m]."""
    cost: float
    """OT(a, b), the entropy counted: <a, f> + <b, g>."""
    plan_cost: float
    """<P, C>, what the plan alone costs; in batches, the plan between them."""

    @property
    def calibrated(self) -> FloatArray:
        """What mass that comes evenly from all other rows changes [n]; zero where there is one row."""
        others = max(len(self.f) - 1, 1)
        result: FloatArray = len(self.f) / others * (self.f - self.f.mean())
        return result


@dataclass(frozen=True)
class Transport:
    """How mass is transported; the smoothing is that of all batches.

    Raises:
        ConfigError: the smoothing is not positive, or a batch holds nothing.
    """

    smoothing: float = SMOOTHING
    """e as a share of the mean cost."""
    batch: int = BATCH
    """Rows, and columns, of a batch at most."""

    def __post_init__(self) -> None:
        if not 0 < self.smoothing < np.inf or self.batch < 1:
            raise ConfigError(
                "transport: smoothing must be positive and a batch hold a document, not "
                f"{self.smoothing} and {self.batch}"
            )

    def duals(
        self,
        costs: GroundCost,
        seed: int,
        masses: FloatArray | None = None,
        progress: Progress | None = None,
    ) -> Duals:
        """Potentials of rows and columns.

        Cost: some hundred products with a matrix [n, m]; memory O(batch^2 + n m / batch).

        Args:
            costs: of pairs.
            seed: of the batches; not used where one is enough.
            masses: of the rows, positive, summing to one [n]; None: all alike. Columns weigh alike.
            progress: hears of pairs of batches.

        Raises:
            NotAtHand: POT is not installed.
            ConfigError: masses that are none, or no convergence.
        """
        n, m = costs.shape
        a = np.full(n, 1.0 / n) if masses is None else _checked(masses, n)
        b = np.full(m, 1.0 / m)
        epsilon = self.smoothing * costs.mean
        if not epsilon > 0:
            return Duals(np.zeros(n), np.zeros(m), 0.0, 0.0)  # all vectors are one
        rng = np.random.default_rng([seed, n, m])
        rows, columns = _batches(n, self.batch, rng), _batches(m, self.batch, rng)
        if len(rows) == len(columns) == 1:
            return entropic_duals(costs.block(rows[0], columns[0]), a, b, epsilon)
        return _batched(costs, a, b, epsilon, rows, columns, progress or Silent())


def _batched(
    costs: GroundCost,
    a: FloatArray,
    b: FloatArray,
    epsilon: float,
    rows: Sequence[IntArray],
    columns: Sequence[IntArray],
    progress: Progress,
) -> Duals:
    """Potentials from transport between all pairs of batches, and between batches."""
    between = np.empty((len(rows), len(columns)))
    f, g = np.empty((len(columns), len(a))), np.empty((len(rows), len(b)))
    progress.stage("transport between batches", between.size, "pairs")
    for k, mine in enumerate(rows):
        for other, theirs in enumerate(columns):
            weights = a[mine] / a[mine].sum(), b[theirs] / b[theirs].sum()
            pair = entropic_duals(costs.block(mine, theirs), *weights, epsilon)
            between[k, other], f[other, mine], g[k, theirs] = pair.cost, pair.f, pair.g
            progress.advance(1.0)
    above = np.array([a[one].sum() for one in rows]), np.array([b[one].sum() for one in columns])
    outer = entropic_duals(between, *above, epsilon)
    plan = _plan(outer, between, *above, epsilon)
    return Duals(
        _combined(f, a, rows, outer.f, (plan / above[0][:, None])),
        _combined(g, b, columns, outer.g, (plan / above[1]).T),
        outer.cost,
        outer.plan_cost,
    )


def _combined(
    inner: FloatArray, masses: FloatArray, batches: Sequence[IntArray], outer: FloatArray, shares: FloatArray
) -> FloatArray:
    """Potentials of one side [n]: those of its batch, plus the mean over its pairs of those inside, centred.

    Args:
        inner: potentials in each pair [batches of the other side, n].
        masses: [n].
        batches: rows of each batch of this side.
        outer: potentials of the batches of this side.
        shares: of each batch, where its mass goes [batches of this side, of the other].
    """
    found = np.empty(len(masses))
    for k, rows in enumerate(batches):
        inside = shares[k] @ inner[:, rows]
        found[rows] = outer[k] + inside - inside @ masses[rows] / masses[rows].sum()
    return found


def entropic_duals(costs: FloatArray, a: FloatArray, b: FloatArray, epsilon: float) -> Duals:
    """Potentials of one transport by POT's Sinkhorn iterations.

    Args:
        costs: [n, m].
        a: masses of rows, positive, summing to one [n].
        b: masses of columns, the same [m].
        epsilon: the smoothing, in the unit of the costs.

    Raises:
        NotAtHand: POT is not installed.
        ConfigError: masses are still in wrong places after the last iteration.
    """
    bregman = _pot()
    narrow = (costs.max() - costs.min()) / epsilon < _KERNEL_RANGE
    solve = bregman.sinkhorn_knopp if narrow else bregman.sinkhorn_log
    close = TOLERANCE / np.sqrt(len(b))  # POT looks at the Euclidean length of what is wrong, not at its sum
    least = float(costs.min())  # potentials take any constant, kernels do not
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what POT warns of is looked at below
        plan, log = solve(a, b, costs - least, epsilon, numItermax=ITERATIONS, stopThr=close, log=True)
    wrong = float(np.abs(plan.sum(axis=0) - b).sum() + np.abs(plan.sum(axis=1) - a).sum())
    if not wrong < REFUSED:  # NaN is refused as well
        raise ConfigError(
            f"optimal transport between {len(a):,} and {len(b):,} vectors: {wrong:.1e} of the mass is "
            f"in a wrong place after {log['niter'] + 1:,} iterations; raise the smoothing (now {epsilon:.3g} "
            f"at a mean cost of {costs.mean():.3g})"
        )
    u, v = (np.log(log["u"]), np.log(log["v"])) if narrow else (log["log_u"], log["log_v"])
    f, g = epsilon * (u - np.log(a)) + least, epsilon * (v - np.log(b))
    return Duals(f, g, float(a @ f + b @ g), float((plan * costs).sum()))


def _plan(duals: Duals, costs: FloatArray, a: FloatArray, b: FloatArray, epsilon: float) -> FloatArray:
    """Where mass goes [n, m]."""
    plan: FloatArray = np.outer(a, b) * np.exp((duals.f[:, None] + duals.g - costs) / epsilon)
    return plan


def _pot() -> Any:
    """POT's Sinkhorn solvers, loaded when they are used."""
    try:
        from ot import bregman
    except ImportError as error:
        raise NotAtHand(
            "optimal transport needs POT, which is not installed: pip install 'cuvee[ot]'"
        ) from error
    return bregman


def _batches(count: int, most: int, rng: np.random.Generator) -> list[IntArray]:
    """Rows in random batches of nearly one size; in order where one batch holds all."""
    if count <= most:
        return [np.arange(count)]
    return [np.sort(rows) for rows in np.array_split(rng.permutation(count), -(-count // most))]


def _checked(masses: FloatArray, count: int) -> FloatArray:
    if masses.shape != (count,) or not (masses > 0).all() or abs(masses.sum() - 1.0) > 1e-9:
        raise ConfigError(
            f"transport: {count} masses are needed, all positive, with sum one; leave out the others"
        )
    return masses
