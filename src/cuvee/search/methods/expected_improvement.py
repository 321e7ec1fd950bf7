"""Expected improvement at the target fidelity.

The usual Bayesian optimisation: a Gaussian process on the shares as they are, fitted to the target runs
alone, and the mixture of the largest expected improvement on the best of them (Jones, Schonlau & Welch 1998).
What a method that knows fidelities has to beat.
"""

from dataclasses import dataclass

from cuvee.search.acquisition import LEAST_RUNS, acquired, log_expected_improvement
from cuvee.search.proposer import History
from cuvee.search.space import Experiment
from cuvee.search.untried import at_fidelity, untried_draws


@dataclass(frozen=True)
class ExpectedImprovement:
    """The method, with its settings."""

    first: int = 8
    """Random target runs that are measured before the process is used."""
    name: str = "expected_improvement"
    paper: str = "https://doi.org/10.1023/A:1008306431147"
    needs: str = "nothing; fidelities other than the target's are not used"
    cost: str = "tenths of a second an experiment"
    deviations: str = (
        "A Matern kernel with a linear term and length scales by source; improvement on the best measured "
        "cost, noise and all; the best of some 2000 mixtures is taken; batches by the kriging believer."
    )

    def ask(self, history: History, count: int, seed: int) -> list[Experiment]:
        """See ``Method.ask``."""
        rng, target = history.rng(seed), history.space.target
        if len(history.trials.at(target)) < max(self.first, LEAST_RUNS):
            return at_fidelity(untried_draws(history, target, count, rng), target)
        return acquired(history, log_expected_improvement, count, rng)
