"""What a merging method is. One file a method, named by its paper; the table is ``registry``."""

from typing import Protocol

from torch import Tensor

from cuvee.merging.pool import FlatPool
from cuvee.types import FloatArray


class Merger(Protocol):
    """Pool and weights in, parameters out."""

    @property
    def paper(self) -> str:
        """Address of the paper."""
        ...

    @property
    def deviations(self) -> str:
        """Where we differ from it, in a sentence."""
        ...

    def merge(self, pool: FlatPool, weights: FloatArray, out: Tensor | None = None) -> Tensor:
        """Merged parameters [N] float32, on the pool's device.

        The result depends on its arguments alone, bit for bit: not on merges made before, nor on how
        many are made together. A study that is stopped and resumed repeats itself because of this.

        Args:
            pool: the members, with the statistics that the method needs (``registry.NEEDS``).
            weights: [K], one a member. On the simplex; a method says whether it means something off it.
            out: a buffer [N] to write to.
        """
        ...

    def vjp(self, pool: FlatPool, weights: FloatArray, direction: Tensor) -> FloatArray:
        """The vector-Jacobian product: derivatives of ``direction @ merge(pool, weights)`` in the weights.

        Along the simplex; a method that means nothing off it has no others.

        Args:
            pool: the members.
            weights: [K], where the derivatives are taken.
            direction: [N]; with the gradient of a loss at the merge, what comes out is its gradient in the
                weights.

        Returns:
            float64 [K].
        """
        ...
