"""DUET: Bayesian optimisation of shares around a choice of documents.

    outer: w_t = argmax -mean(w) + sqrt(beta) deviation(w),   a Gaussian process on the shares as they are
    inner: which documents of each source make up its share of the run, by their value

Chen, Lau, Foo & Low 2025, https://arxiv.org/abs/2502.00270, and their code. The outer loop stands here; the
inner choice is made where documents are (``study/chosen_documents.py``), by values of any method (the paper
takes influence functions).
"""

from dataclasses import dataclass

import numpy as np

from cuvee.search.acquisition import LEAST_RUNS, acquired
from cuvee.search.proposer import History
from cuvee.search.space import Experiment
from cuvee.search.untried import at_fidelity, nearest_untried, untried, untried_draws
from cuvee.types import FloatArray


@dataclass(frozen=True)
class Duet:
    """The method, with its settings."""

    beta: float = 1.0
    """Weight of what is unknown, squared."""
    name: str = "duet"
    paper: str = "https://arxiv.org/abs/2502.00270"
    needs: str = "values of documents inside a study; on tables of runs only the outer loop is DUET"
    cost: str = "tenths of a second an experiment"
    deviations: str = (
        "A Matern kernel with a linear term; the second experiment is random, as this process needs two; the "
        "best of some 2000 mixtures is taken; shares below 0.05 are kept; batches by the kriging believer."
    )

    def ask(self, history: History, count: int, seed: int) -> list[Experiment]:
        """See ``Method.ask``; equal shares first."""
        rng, target = history.rng(seed), history.space.target
        if len(history.trials.at(target)) < LEAST_RUNS:
            first = _equal_shares(history)[:count]
            begun = history
            for one in at_fidelity(first, target):
                begun = begun.plus(one)
            others = untried_draws(begun, target, count - len(first), rng)
            return at_fidelity(np.concatenate([first, others]), target)

        def bound(mean: FloatArray, deviation: FloatArray, lowest: float) -> FloatArray:
            result: FloatArray = np.sqrt(self.beta) * deviation - mean
            return result

        return acquired(history, bound, count, rng)


def _equal_shares(history: History) -> FloatArray:
    """The mixture nearest to equal shares [1, S], none [0, S] if anything was asked at the target before."""
    space = history.space
    size = len(space.sources)
    asked = [*history.trials.fidelity.tolist(), *(one.fidelity for one in history.running)]
    if space.target in asked:
        return np.zeros((0, size))
    equal = space.region.project(np.full(size, 1.0 / size)).shares[None]
    if space.pool is not None:
        return nearest_untried(history, equal, space.target)
    return untried(history, equal, space.target)
