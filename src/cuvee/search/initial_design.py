"""The initial design of a search: mixtures far apart at a cheap fidelity, then the same nearer to the target.

Fidelities are chosen by their price: of those at which so many experiments can be had for a part of a target
run the one whose size is nearest to the target's, in decades of parameters and of tokens. Where fidelities
disagree, mixtures that were measured at two of them show it early.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from cuvee.search.proposer import History
from cuvee.search.space import Experiment, Space
from cuvee.search.untried import at_fidelity, untried, untried_draws

_FAR_PART = 1 / 6  # of the price: the first experiments are the least informative for theirs
_DRAWN = 1024  # to choose the farthest from


@dataclass(frozen=True)
class InitialDesign:
    """Two fidelities with the numbers of experiments to begin with."""

    far: int
    """Of the mixtures far apart: the cheapest where none is cheap enough."""
    first: int
    near: int
    """Of the same mixtures; ``far`` again where no other fidelity is cheap enough."""
    second: int

    @classmethod
    def of(cls, space: Space, first: int, second: int, price: float) -> Self:
        """For a space.

        Args:
            space: in which is searched.
            first: experiments far apart.
            second: experiments after them.
            price: of all of them in target runs, if there are fidelities for it.
        """
        sizes = np.log10(np.array([[one.params, one.tokens] for one in space.fidelities]))
        away = np.abs(sizes - sizes[space.target]).sum(axis=1)
        total, kind = price * space.fidelities[space.target].flops, space.fidelities[space.target].kind

        def nearest(most: float, dearer_than: float = 0.0, of_kind: str | None = None) -> int | None:
            fit = [
                index
                for index, one in enumerate(space.fidelities)
                if dearer_than < one.flops <= most and of_kind in (None, one.kind) and index != space.target
            ]
            return min(fit, key=lambda index: (away[index], space.flops[index]), default=None)

        found = nearest(_FAR_PART * total / first)
        far = space.cheapest if found is None else found
        spent = space.fidelities[far].flops
        near = nearest((total - first * spent) / second, spent, kind)
        return cls(far, first, far if near is None else near, second)

    def next(self, history: History, rng: np.random.Generator) -> Experiment | None:
        """The next one that needs no surrogate; None after them."""
        shares, fidelities = history.asked_for()
        if (fidelities == self.far).sum() < self.first:
            return _spread(history, self.far, rng)
        if self.near == self.far or (fidelities == self.near).sum() >= self.second:
            return None
        same = untried(history, shares[fidelities == self.far], self.near)
        same = same[history.space.offers(same, self.near)]
        return at_fidelity(same[:1], self.near)[0] if len(same) else _spread(history, self.near, rng)

    def goes_on_with_best(self, history: History) -> bool:
        """Whether the second ones are at the same fidelity, and there are fewer than there should be.

        Then they are the mixtures expected to be best: among these the best has to be found.
        """
        if self.near != self.far or self.far == history.space.target:
            return False
        _, fidelities = history.asked_for()
        return bool((fidelities == self.far).sum() < self.first + self.second)

    def spent_since(self, history: History) -> float:
        """FLOPs of what was asked for after the last target run, or after these where there is none."""
        space, (_, fidelities) = history.space, history.asked_for()
        last = int(np.flatnonzero(fidelities == space.target).max(initial=-1))
        spent = float(space.flops[fidelities[last + 1 :]].sum())
        return spent if last >= 0 else spent - self.flops(space)

    def flops(self, space: Space) -> float:
        """Of all of them."""
        return float(self.first * space.flops[self.far] + self.second * space.flops[self.near])


def _spread(history: History, fidelity: int, rng: np.random.Generator) -> Experiment | None:
    """Of many mixtures drawn the one farthest from those tried."""
    drawn = untried_draws(history, fidelity, _DRAWN, rng)
    if not len(drawn):
        return None
    known, _ = history.asked_for()
    if len(known):
        roots = np.sqrt(np.maximum(drawn, 0.0))
        apart = ((roots[:, None] - np.sqrt(known)[None]) ** 2).sum(axis=2).min(axis=1)
        drawn = drawn[[int(np.argmax(apart))]]
    return at_fidelity(drawn[:1], fidelity)[0]
