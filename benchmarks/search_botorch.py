"""BoTorch's acquisition functions as contenders of ``make bench-search`` (Balandat et al. 2020, 1910.06403).

Log expected improvement (Ament et al. 2023, 2310.20708) sees target runs alone. Multi-fidelity max-value
entropy search (Takeno et al. 2020, 1901.08275) sees every fidelity, and is divided by the price. Both have
BoTorch's own processes with their defaults. Needs ``pip install botorch``.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from cuvee.search.initial_design import InitialDesign
from cuvee.search.methods.cost_aware import CostAware
from cuvee.search.proposer import History, Method
from cuvee.search.space import Experiment, Space
from cuvee.search.untried import at_fidelity, untried_draws
from cuvee.types import FloatArray

INSTALLED = find_spec("botorch") is not None
CANDIDATES = 256
"""Experiments that are looked at, over all fidelities; the best value is that of as many mixtures."""

_PAPER = "https://arxiv.org/abs/1910.06403"


@dataclass(frozen=True)
class LogExpectedImprovement:
    """Target runs alone, as the method of our own of that name."""

    first: int = 8
    """Random target runs to begin with."""
    name: str = "botorch_log_ei"
    paper: str = _PAPER
    needs: str = "nothing; fidelities other than the target's are not used"
    cost: str = "about a second an ask"
    deviations: str = "The best of the untried mixtures of a pool, or of 256 draws, is taken."

    def ask(self, history: History, count: int, seed: int) -> list[Experiment]:
        """See ``Method.ask``; one at a time."""
        import torch
        from botorch.acquisition import LogExpectedImprovement as Acquisition

        rng, target = history.rng(seed), history.space.target
        shares, costs = history.target_costs()
        drawn = untried_draws(history, target, CANDIDATES, rng)
        if len(costs) < self.first or not len(drawn):
            return at_fidelity(drawn[:1], target)
        with _quiet(seed):
            model = _fitted(shares, costs, [])
            gains = Acquisition(model, best_f=torch.tensor(-costs.min()))(torch.tensor(drawn)[:, None])
        return at_fidelity(drawn[[int(gains.argmax())]], target)


@dataclass(frozen=True)
class MaxValueEntropy:
    """Every fidelity, what is learnt of the best value for each FLOP."""

    name: str = "botorch_mf_mes"
    paper: str = "https://arxiv.org/abs/1901.08275"
    needs: str = "fidelities that differ in parameters or tokens"
    cost: str = "seconds an ask"
    deviations: str = (
        "It opens as our search does, and runs what is expected to be best at the target whenever as much as "
        "our patience was spent since the last target run: it would never do so by itself."
    )

    def ask(self, history: History, count: int, seed: int) -> list[Experiment]:
        """See ``Method.ask``; one at a time."""
        import torch
        from botorch.acquisition.max_value_entropy_search import qMultiFidelityMaxValueEntropy as Acquisition

        space, rng, ours = history.space, history.rng(seed), CostAware()
        design = InitialDesign.of(space, ours.first, ours.second, ours.opening)
        if first := design.next(history, rng):
            return [first]
        fidelities = range(len(space.fidelities))
        each = {
            fidelity: CANDIDATES if fidelity == space.target else CANDIDATES // len(fidelities)
            for fidelity in fidelities
        }
        drawn = [untried_draws(history, fidelity, count, rng) for fidelity, count in each.items()]
        rows, fidelity = np.concatenate(drawn), np.repeat(list(fidelities), [len(one) for one in drawn])
        if not len(drawn[space.target]):
            return []
        trials, places = history.trials, _sizes(space)
        known = trials.measured
        observed = np.hstack([trials.shares[known], places[trials.fidelity[known]]])
        sizes = list(range(rows.shape[1], observed.shape[1]))
        best = torch.tensor(np.hstack([drawn[space.target], np.ones((len(drawn[space.target]), len(sizes)))]))
        with _quiet(seed):
            model = _fitted(observed, trials.costs[known] @ history.weights, sizes)
            _, asked = history.asked_for()
            enough = ours.patience * space.fidelities[space.target].flops
            if space.target not in asked or design.spent_since(history) >= enough:
                place = int(model.posterior(best).mean.argmax())
                return at_fidelity(drawn[space.target][[place]], space.target)
            acquisition = Acquisition(model, candidate_set=best, project=lambda x: _at_target(x, sizes))
            with torch.no_grad():
                gains = acquisition(torch.tensor(np.hstack([rows, places[fidelity]]))[:, None]).numpy()
        place = int(np.argmax(gains / space.flops[fidelity]))
        return at_fidelity(rows[[place]], int(fidelity[place]))


CONTENDERS: dict[str, Method] = {one.name: one for one in (LogExpectedImprovement(), MaxValueEntropy())}


def _fitted(places: FloatArray, costs: FloatArray, fidelities: list[int]) -> Any:
    """BoTorch's process of costs with a minus, as it maximises."""
    import torch
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP, SingleTaskMultiFidelityGP
    from gpytorch.mlls import ExactMarginalLogLikelihood

    observed, values = torch.tensor(places), torch.tensor(-costs)[:, None]
    if fidelities:
        model = SingleTaskMultiFidelityGP(observed, values, data_fidelities=fidelities)
    else:
        model = SingleTaskGP(observed, values)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    return model


def _sizes(space: Space) -> FloatArray:
    """Parameters and tokens of fidelities on logarithmic scales that end at the target, in [0, 1]; where they
    differ [L, 1 or 2]."""
    sizes = np.log(np.array([[one.params, one.tokens] for one in space.fidelities]))
    span = sizes[space.target] - sizes.min(axis=0)
    found: FloatArray = 1.0 - (sizes[space.target] - sizes)[:, span > 0] / span[span > 0]
    return np.clip(found, 0.0, 1.0)


def _at_target(places: Any, fidelities: list[int]) -> Any:
    moved = places.clone()
    moved[..., fidelities] = 1.0
    return moved


@contextmanager
def _quiet(seed: int) -> Iterator[None]:
    """Without warnings, and with torch's randomness from a seed."""
    import torch

    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        yield
