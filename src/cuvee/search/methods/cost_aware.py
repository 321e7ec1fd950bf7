"""Our search: cheap experiments while they are worth more for their price than a target run.

It begins with the design of ``search/initial_design.py``: mixtures far from each other at a cheap fidelity,
then the same ones nearer to the target. Where no nearer fidelity is cheap enough, the mixtures expected to be
best follow, as the search has to rank these.

Then each ask takes the fidelity and mixture of the largest knowledge gradient for its FLOPs, and turns to the
target fidelity when that is the best buy, when cheap experiments could say little more, or when
enough was spent on them since the last target run. There it takes the mixture of the largest expected
improvement on the best target run, with errors of metrics that go together (``Surrogate.of_sum``).
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from cuvee.search.candidates import candidates
from cuvee.search.initial_design import InitialDesign
from cuvee.search.knowledge_gradient import knowledge_gradient
from cuvee.search.places import Places
from cuvee.search.proposer import History
from cuvee.search.space import Experiment
from cuvee.search.surrogate import Surrogate
from cuvee.search.untried import at_fidelity, untried_draws
from cuvee.types import FloatArray, IntArray

# These and the settings below are chosen by hand: no table in ``benchmarks/`` compares others. ``search.md``
# there has the method with these, also on objectives that were not used in development.
_LEAST_RUNS = 4
_SIDE = 128  # of the lowest means, and as many others: mixtures among which the best is sought
_IMPROVING = 256  # mixtures of the lowest means that may improve on the best
_ASKED = 256  # experiments that are considered, over all fidelities


@dataclass(frozen=True)
class CostAware:
    """The method, with its settings."""

    first: int = 8
    """Experiments far from each other to begin with."""
    second: int = 6
    """Experiments of the same mixtures nearer to the target, or of those expected to be best."""
    opening: float = 0.25
    """What both may take in target runs, where fidelities allow it: a first target run at 1.25 in all."""
    small: float = 0.05
    """Cheap experiments are left when none is expected to lower the best mean by this part of what separates
    it from the median mixture."""
    patience: float = 0.5
    """Target runs' worth of cheap experiments after the initial design or the last target run, at most."""
    name: str = "cost_aware"
    paper: str = "https://doi.org/10.1287/ijoc.1080.0314"
    needs: str = "a fidelity at least as cheap as the target"
    cost: str = "about a second an ask at 100 experiments"
    deviations: str = (
        "Gain for each FLOP; a law inside the surrogate; an initial design, and rules for turning to the "
        "target."
    )

    def ask(self, history: History, count: int, seed: int) -> list[Experiment]:
        """See ``Method.ask``."""
        design = InitialDesign.of(history.space, self.first, self.second, self.opening)
        asked: list[Experiment] = []
        outlook: _Outlook | None = None
        while len(asked) < count:
            rng = history.rng(seed)
            found = design.next(history, rng)
            if found is None and len(history.trials.measured) < _LEAST_RUNS:
                # Nothing came out: try the target itself.
                left = at_fidelity(untried_draws(history, history.space.target, 1, rng), history.space.target)
                found = left[0] if left else None
            elif found is None:
                outlook = outlook or _Outlook.of(history, rng, seed)
                found = self._next(history, design, outlook, rng)
                outlook = outlook.conditioned(found)
            if found is None:
                break
            asked.append(found)
            history = history.plus(found)
        return asked

    def _next(
        self, history: History, design: InitialDesign, outlook: "_Outlook", rng: np.random.Generator
    ) -> Experiment | None:
        space = history.space
        free = {fidelity: outlook.free(history, fidelity) for fidelity in range(len(space.fidelities))}
        if design.goes_on_with_best(history) and len(free[design.far]):
            return outlook.experiment(free[design.far][0], design.far)
        each = max(2, _ASKED // len(free) // 2)
        looked = [np.unique(np.r_[rows[:each], rng.permutation(rows)[:each]]) for rows in free.values()]
        rows, fidelity = np.concatenate(looked), np.repeat(list(free), [len(some) for some in looked])
        if not len(rows):
            return None
        gains = outlook.gains(rows, fidelity, rng)
        asked = zip(outlook.shares[rows], fidelity.tolist(), strict=True)
        prices = np.array([history.price(*one) for one in asked])
        best = int(np.argmax(gains / prices))
        small = gains[best] < self.small * outlook.span
        ready = fidelity[best] == space.target or small or self._tired(history, design)
        if ready and len(free[space.target]):
            return outlook.experiment(outlook.improving(history, free[space.target]), space.target)
        return outlook.experiment(rows[best], int(fidelity[best]))

    def _tired(self, history: History, design: InitialDesign) -> bool:
        """Whether enough was spent on cheap experiments since the initial design or the last target run."""
        space = history.space
        return design.spent_since(history) >= self.patience * space.fidelities[space.target].flops


@dataclass(frozen=True, eq=False)
class _Outlook:
    """The posterior of the mixtures that a batch is chosen from."""

    surrogate: Surrogate
    weights: FloatArray
    """Of its metrics."""
    shares: FloatArray
    """Candidates [C, S], the lowest expected target cost first."""
    target: Places
    """They, at the target."""
    mean: FloatArray
    """Their expected target costs [C], which do not change in a batch."""

    @classmethod
    def of(cls, history: History, rng: np.random.Generator, seed: int) -> "_Outlook":
        space, running = history.space, history.running
        surrogate = Surrogate.of_target(history, seed)
        weights = history.weights[surrogate.metrics]
        surrogate = surrogate.conditioned(
            np.array([one.shares for one in running]).reshape(len(running), len(space.sources)),
            np.array([one.fidelity for one in running], dtype=np.int64),
        )
        shares = candidates(history, surrogate, rng)
        target = surrogate.places(shares, np.full(len(shares), space.target))
        mean = surrogate.mean(target) @ weights
        order = np.argsort(mean, kind="stable")
        return cls(surrogate, weights, shares[order], target.select(order), mean[order])

    def conditioned(self, asked: Experiment | None) -> "_Outlook":
        """Conditioned on one more pending experiment at its mean."""
        if asked is None:
            return self
        return replace(
            self, surrogate=self.surrogate.conditioned(asked.row[None], np.array([asked.fidelity]))
        )

    @property
    def span(self) -> float:
        """What separates the median mixture from the best, as expected."""
        return float(np.median(self.mean) - self.mean[0])

    def experiment(self, row: int, fidelity: int) -> Experiment:
        """A candidate at a fidelity."""
        return Experiment(tuple(self.shares[row].tolist()), fidelity)

    def free(self, history: History, fidelity: int) -> IntArray:
        """Which candidates may be asked for at a fidelity: offered there, not tried, not running."""
        free = np.flatnonzero(~history.tried(self.shares, fidelity))
        if history.space.offered is None:  # all of a pool, and so all candidates, can be had at any fidelity
            return free
        result: IntArray = free[history.space.offers(self.shares[free], fidelity)]
        return result

    def gains(self, rows: IntArray, fidelity: IntArray, rng: np.random.Generator) -> FloatArray:
        """Knowledge gradients [A] of candidates at fidelities."""
        others = rng.permutation(len(self.mean))[:_SIDE]
        side = self.target.select(np.unique(np.r_[: min(_SIDE, len(self.mean)), others]))
        asked = self.surrogate.places(self.shares[rows], fidelity)
        return knowledge_gradient(self.surrogate, self.weights, side, asked, rng)

    def improving(self, history: History, rows: IntArray) -> int:
        """The candidate of the largest expected improvement on the best target run."""
        _, costs = history.target_costs()
        if not len(costs):  # nothing to improve on: what is expected to be lowest
            return int(rows[0])
        rows = rows[:_IMPROVING]
        _, variance, _ = self.surrogate.covariances(self.target.select(rows), self.target.select(rows[:1]))
        deviation = np.sqrt(self.surrogate.of_sum(self.weights, variance))
        z = (float(costs.min()) - self.mean[rows]) / deviation
        return int(rows[np.argmax(deviation * (z * norm.cdf(z) + norm.pdf(z)))])
