"""Random mixtures at the target fidelity.

``random`` draws evenly over the region. ``dirichlet`` is the swarm of RegMix (Liu et al. 2025,
https://arxiv.org/abs/2407.01492): Dirichlet draws around a prior that is flattened to its square root, with a
strength (the sum of the parameters) drawn log-uniformly anew for each, so that some are corners and some lie
near the prior.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.mixture import designs
from cuvee.mixture.mixture import Mixture
from cuvee.search.proposer import History
from cuvee.search.space import Experiment
from cuvee.search.untried import at_fidelity, nearest_untried, untried, untried_draws

_SPARE = 8  # draws for each experiment: weak ones meet in corners


@dataclass(frozen=True)
class RandomDraws:
    """The method, with its settings."""

    name: str
    paper: str
    deviations: str
    strength: tuple[float, float] | None = None
    """Range of the sum of the Dirichlet parameters; None for even draws."""
    prior: Mixture | None = None
    """What Dirichlet draws lie around, such as token shares; None for equal shares."""
    temperature: float = 0.5
    """Power of the prior's shares."""
    needs: str = "nothing"
    cost: str = "milliseconds an ask"

    def ask(self, history: History, count: int, seed: int) -> list[Experiment]:
        """See ``Method.ask``; of a pool rows at random, with a strength those nearest to the draws."""
        space, rng = history.space, history.rng(seed)
        if self.strength is None:
            return at_fidelity(untried_draws(history, space.target, count, rng), space.target)
        prior = Mixture.uniform(space.sources) if self.prior is None else self.prior
        size = len(prior.support)
        drawn = designs.dirichlet(
            prior,
            count * _SPARE,
            concentration=(self.strength[0] / size, self.strength[1] / size),
            temperature=self.temperature,
            rng=rng,
            region=space.region,
        )
        points = np.array([one.shares for one in drawn]).reshape(len(drawn), len(space.sources))
        if space.pool is None:
            return at_fidelity(untried(history, points, space.target)[:count], space.target)
        return at_fidelity(nearest_untried(history, points[:count], space.target), space.target)


RANDOM_DRAWS = (
    RandomDraws("random", "https://jmlr.org/papers/v13/bergstra12a.html", "None."),
    RandomDraws(
        "dirichlet",
        "https://arxiv.org/abs/2407.01492",
        "Shares are not rounded; equal shares where no prior is given; caps are those of the region.",
        strength=(0.1, 5.0),
    ),
)
