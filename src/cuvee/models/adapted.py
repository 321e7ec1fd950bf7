"""A model with low-rank adapters as a function of the vector of their factors; its own parameters are frozen.

The products are added to the frozen matrices in every pass, and the model runs on the sums. So any
architecture has adapters, and a merge of one branch has the bytes of that branch. It costs as much as a pass
over as many tokens as the rank. Its price: a backward pass forms the gradient of whole matrices on its way,
as in full training, and memory holds the model, the sums and that gradient. What is small is what is kept:
optimizer, checkpoints, pool.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from cuvee.models.adapters import AdapterLayout, Adapters, adapters_hash
from cuvee.models.interface import CausalModel
from cuvee.models.layout import Entry
from cuvee.models.linear_inputs import LinearInput
from cuvee.models.peft_folder import read_factors, write_factors


class AdaptedModel:
    """A causal model of which only adapters are parameters.

    Args:
        base: the architecture.
        adapters: how it is adapted.
        seed_model: key of the frozen parameters.
        frozen: reads them [N]; not called before they are used, as they may still have to be trained.
        seed_folder: where they lie, for ``peft``; it changes no key.

    Raises:
        ConfigError: adapters of modules that the architecture does not have.
    """

    def __init__(
        self,
        base: CausalModel,
        adapters: Adapters,
        seed_model: str,
        frozen: Callable[[], Tensor],
        seed_folder: Path | None = None,
    ) -> None:
        self.base = base
        self.adapters = adapters
        self.adapter_layout = AdapterLayout.of(base, adapters)
        self.layout = self.adapter_layout.factors
        self.vocabulary_size, self.context_length = base.vocabulary_size, base.context_length
        self.flops_per_token = base.flops_per_token
        self.dtype: torch.dtype = getattr(base, "dtype", torch.float32)
        self.device: torch.device = getattr(base, "device", torch.device("cpu"))
        self.model_hash = adapters_hash(base, adapters, seed_model)
        self._frozen = frozen
        self._seed_folder = seed_folder

    @cached_property
    def frozen(self) -> Tensor:
        """Parameters of the model that is adapted [N], where it computes."""
        return self._frozen().to(self.device)

    def initial(self, seed: int) -> Tensor:
        """Factors that change nothing: all adapters of a study begin with the same, whatever ``seed`` is."""
        return self.adapter_layout.initial(self.adapters.seed)

    def full(self, flat: Tensor) -> Tensor:
        """Parameters [N] of the model with an adapter [n]; differentiable in it."""
        pieces, done, frozen = [], 0, self.frozen
        for one, change in self.changes(flat.to(self.device).float()[None], [1.0]):
            pieces += [frozen[done : one.offset], (one.view(frozen) + change).flatten()]
            done = one.offset + one.size
        return torch.cat([*pieces, frozen[done:]])

    def changes(self, flat: Tensor, weights: Sequence[float]) -> Iterator[tuple[Entry, Tensor]]:
        """The weighted sum of the products of adapters [K, n] for every adapted matrix, as it is stored.

        Each sum is one product: factors stand side by side, and a weight is in its left one.
        """
        for one, left, right in self.adapter_layout.split(flat):
            scaled = [
                factor * (weight * self.adapters.scale) for factor, weight in zip(left, weights, strict=True)
            ]
            yield one.entry, torch.cat(scaled, dim=1) @ right.flatten(0, 1)

    def mean_loss(self, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        return self.base.mean_loss(self.full(flat), inputs, targets)

    def token_log_probs(self, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        return self.base.token_log_probs(self.full(flat), inputs, targets)

    def next_log_probs(self, flat: Tensor, inputs: Tensor, last: Tensor) -> Tensor:
        return self.base.next_log_probs(self.full(flat), inputs, last)

    def hidden_states(self, flat: Tensor, inputs: Tensor) -> Tensor:
        return self.base.hidden_states(self.full(flat), inputs)

    @property
    def linear_inputs(self) -> tuple[LinearInput, ...]:
        """Those of the model that is adapted."""
        return self.base.linear_inputs

    def read_linear_inputs(self, flat: Tensor, inputs: Tensor, seen: Callable[[int, Tensor], None]) -> None:
        """See ``CausalModel.read_linear_inputs``."""
        self.base.read_linear_inputs(self.full(flat), inputs, seen)

    def read_flat(self, folder: Path) -> Tensor:
        """The factors in a folder [n]."""
        return read_factors(folder, self.layout)

    def save(self, folder: Path, flat: Tensor) -> None:
        """Write them as ``peft`` does."""
        description = {
            "base_model_name_or_path": str(self._seed_folder.absolute()) if self._seed_folder else None,
            # Names as the user gave them: the last part of one may be that of modules that are not adapted.
            "target_modules": list(self.adapters.modules or self.adapter_layout.last_names),
            "fan_in_fan_out": self.adapter_layout.transposed,
            "task_type": "CAUSAL_LM" if getattr(self.base, "generates", True) else None,
        }
        write_factors(folder, self.layout.views(flat), self.adapters, description)
