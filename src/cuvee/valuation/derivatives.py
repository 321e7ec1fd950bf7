"""Directional derivatives of losses: the one number behind most gradient methods.

    dd(i, v) = <grad l_i(theta), v>

l_i is a sum of nats over tokens, so that a derivative has one part a token: ``[B, T]`` for a batch. Three
ways to the same number, interchangeable:

forward    forward-mode differentiation (``torch.func.jvp``): about two forward passes, all parameters, tied
           weights by construction. The part of a token is that of its own loss.
hooks      hooks on a backward pass: every operation that a parameter enters is linear in it, so its part is
           <dl/dy, op(x; v)>. One more product for each product with a parameter, and nothing beside a
           training step that takes the backward pass anyway. The part of a position is that of the uses of
           parameters there: sums over a window agree with ``forward``, single tokens do not.
finite     [l(theta + eps v) - l(theta - eps v)] / 2 eps: two forward passes, any model that can be evaluated.

Source of the formulae: Wang et al. 2024 (In-Run Data Shapley, https://arxiv.org/abs/2406.11011, sections 4.1,
4.2) takes dot products with ghost Gram matrices; with one direction v for all documents the products above
do.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from cuvee.errors import ConfigError
from cuvee.lookup import row_named
from cuvee.models.interface import CausalModel

BackEnd = Callable[[CausalModel, Tensor, Tensor, Tensor, Tensor], Tensor]
"""From a model, parameters [N], a direction [N], inputs and targets [B, T], to derivatives of nats [B, T]."""

RELATIVE_STEP = 1e-3
"""Of a finite difference, as a part of the length of the parameters over that of the direction. In float32
the error of rounding and that of curvature are of one size there (``benchmarks/valuation.md``)."""


def forward_mode(
    model: CausalModel, flat: Tensor, direction: Tensor, inputs: Tensor, targets: Tensor
) -> Tensor:
    """Derivatives of every token's own nats [B, T], by a forward pass with tangents."""
    with with_tangents():
        found = torch.func.jvp(
            lambda here: -model.token_log_probs(here, inputs, targets), (flat,), (direction,)
        )
    result: Tensor = found[1]
    return result


def hooks(model: CausalModel, flat: Tensor, direction: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
    """Derivatives of the window's nats by the position where parameters are used [B, T].

    Raises:
        ConfigError: a parameter is used otherwise than once a position (learned positions that are shared by
            the windows of a batch, for one), or the model is compiled; take another back-end.
    """
    leaf = flat.detach().clone().requires_grad_()
    uses = ParameterUses(leaf, direction, inputs.numel())
    with uses:
        loss = -model.token_log_probs(leaf, inputs, targets).sum()
    loss.backward()
    return uses.found().view(inputs.shape)


def finite_difference(
    model: CausalModel, flat: Tensor, direction: Tensor, inputs: Tensor, targets: Tensor
) -> Tensor:
    """Central differences of every token's own nats [B, T]."""
    step = RELATIVE_STEP * float(flat.norm() / direction.norm().clamp(min=1e-30))
    with torch.no_grad():
        ahead = model.token_log_probs(flat + step * direction, inputs, targets).double()
        behind = model.token_log_probs(flat - step * direction, inputs, targets).double()
    return (behind - ahead) / (2.0 * step)


BACK_ENDS: dict[str, BackEnd] = {"forward": forward_mode, "hooks": hooks, "finite": finite_difference}


def back_end_named(name: str) -> BackEnd:
    """A row of ``BACK_ENDS``.

    Raises:
        ConfigError: there is none of that name; the message lists all.
    """
    return row_named(BACK_ENDS, name, "back-end")


@contextmanager
def with_tangents() -> Iterator[None]:
    """Where tangents are taken: attention as products and a softmax, as fused kernels have none.

    PyTorch compiles some of its own rules for tangents by a function that it warns of since 2.9.
    """
    with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
        warnings.filterwarnings("ignore", "`torch.jit.script", DeprecationWarning)
        yield


class ParameterUses(TorchFunctionMode):
    """Watches the operations that parameters enter, and sums what a direction would change by position.

    Every such operation must be linear in the parameters together (products, look-ups, scalings, biases are),
    and give one row of output a position: rows count on through the batch, so that a head that works chunk by
    chunk is well.
    """

    def __init__(self, leaf: Tensor, direction: Tensor, positions: int) -> None:
        super().__init__()
        self._storage = leaf.untyped_storage().data_ptr()
        self._direction = direction
        self._positions = positions
        self._sums = torch.zeros(positions, dtype=torch.float64, device=leaf.device)
        self._rows: dict[int, int] = {}
        self._seen = torch.zeros(leaf.numel(), dtype=torch.bool)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if not isinstance(out, Tensor) or not out.requires_grad or self._is_parameter(out):
            return out
        if not any(self._is_parameter(one) for one in args):
            return out
        places = [self._place(one) for one in args if self._is_parameter(one)]
        with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
            change = func(*(self._moved(one) for one in args), **(kwargs or {}))
        rows = change.numel() // change.shape[-1]
        first = self._rows.get(places[0], 0)
        self._rows[places[0]] = first + rows
        if self._positions % rows and rows % self._positions:
            raise ConfigError("derivatives by hooks: a parameter gives no row a position; take 'forward'")
        index = torch.arange(first, first + rows, device=change.device) % self._positions
        change = change.reshape(rows, -1)

        def add(slope: Tensor) -> None:
            part = (slope.reshape(rows, -1).double() * change).sum(dim=1)
            self._sums.index_add_(0, index, part)

        out.register_hook(add)
        return out

    def found(self) -> Tensor:
        """Derivatives by position [B T], once the backward pass is over.

        Raises:
            ConfigError: a parameter was not seen, or not once a position.
        """
        if not bool(self._seen.all()):
            raise ConfigError("derivatives by hooks: some parameters were not seen at work; take 'forward'")
        if any(rows % self._positions for rows in self._rows.values()):
            raise ConfigError("derivatives by hooks: a parameter is not used once a position; take 'forward'")
        return self._sums

    def _is_parameter(self, one: Any) -> bool:
        return (
            isinstance(one, Tensor)
            and one.requires_grad
            and one.untyped_storage().data_ptr() == self._storage
        )

    def _place(self, one: Tensor) -> int:
        """Where a view of the parameters begins; what it covers counts as seen."""
        begin = int(one.storage_offset())
        self._seen[begin : begin + one.numel()] = True
        return begin * 2 + (one.ndim == 2 and one.stride(0) < one.stride(1))

    def _moved(self, one: Any) -> Any:
        if not self._is_parameter(one):
            return one.detach() if isinstance(one, Tensor) else one
        return self._direction.as_strided(one.shape, one.stride(), one.storage_offset())
