"""Forward-INF: how the loss of a document moves when the model moves along the target.

    value_i = [l_i(theta + e d) - l_i(theta - e d)] / [l_t(theta + e d) - l_t(theta - e d)]

d is the direction in which the target's loss l_t rises (``directions.py``): a document whose loss rises with
it teaches what the target needs. That mirrors the influence of the document on the target: Ko, Kang, Shi,
Jin, Yu & Jia 2024 (CVPR), "The Mirrored Influence Hypothesis", https://arxiv.org/abs/2402.08922.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cuvee.errors import ConfigError
from cuvee.evaluation.batch_size import BATCH_TOKENS
from cuvee.types import FloatArray
from cuvee.valuation.derivatives import RELATIVE_STEP
from cuvee.valuation.directions import Direction, newton_direction
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.proxy_model import ProxyModel
from cuvee.valuation.substrates import NotAtHand, Substrates

CURVATURE_TOKENS = 8192
"""Tokens of the pool behind the Hessian of Newton's direction, drawn by the seed: chosen by hand, as much as
some steps of a small model's training."""


@dataclass(frozen=True)
class ForwardInf:
    """The method, for one direction."""

    direction: Direction = "adam"
    temperature: float = 0.0
    name: str = "forward_inf"
    paper: str = "https://arxiv.org/abs/2402.08922"
    unit: str = "nats of a document per nat of the target"
    needs: str = "the study's proxy"
    cost: str = "two forward passes over the pool and a gradient of the target"
    deviations: str = (
        "Adam's direction by its own moments instead of one Adam step from zero, which is the sign of the "
        "gradient; both ways from the parameters instead of one; the sign is kept."
    )

    @property
    def needs_moments(self) -> bool:
        """Whether it asks for Adam's second moment."""
        return self.direction == "adam"

    def value(
        self, pool: DocumentTable, target: DocumentTable, substrates: Substrates, seed: int
    ) -> FloatArray:
        """See ``Valuer.value``."""
        proxy = substrates.needed_proxy(self.name)
        direction = self._direction(proxy, pool, target, seed)
        step = RELATIVE_STEP * proxy.flat.norm() / direction.norm()
        ahead, behind = (proxy.moved(proxy.flat + sign * step * direction) for sign in (1.0, -1.0))
        rise = ahead.mean_loss(target) - behind.mean_loss(target)
        if not rise > 0.0:
            raise ConfigError(
                f"{self.name}: the target's loss does not rise along its own direction; the proxy is at an "
                "optimum of the target, or not trained at all"
            )
        result: FloatArray = (ahead.losses(pool) - behind.losses(pool)) / rise
        return result

    def _direction(self, proxy: ProxyModel, pool: DocumentTable, target: DocumentTable, seed: int) -> Tensor:
        _, gradient = proxy.gradient(target)
        if self.direction == "raw":
            return gradient
        if self.direction == "adam":
            if proxy.second_moment is None:
                raise NotAtHand(
                    f"{self.name}: Adam's direction needs the second moment that a training leaves; take "
                    "'forward_inf_raw' for a checkpoint without one"
                )
            return proxy.preconditioned(gradient)
        return newton_direction(_loss_on(proxy, _sample(pool, seed)), proxy.flat, gradient)


def _sample(pool: DocumentTable, seed: int) -> DocumentTable:
    order = np.random.default_rng([seed, len(pool)]).permutation(len(pool))
    count = 1 + int(np.searchsorted(np.cumsum(pool.length[order]), CURVATURE_TOKENS))
    return pool.select(np.sort(order[:count]))


def _loss_on(proxy: ProxyModel, documents: DocumentTable) -> Callable[[Tensor], Tensor]:
    """Mean nats per token as a function of the parameters."""
    windows = proxy.windows(documents)
    batches = [one[1:] for one in windows.batches(BATCH_TOKENS[False])]
    tokens = float(windows.length.sum())

    def loss(flat: Tensor) -> Tensor:
        parts = [
            -(proxy.model.token_log_probs(flat, inputs, targets) * counted).sum()
            for inputs, targets, counted in batches
        ]
        return torch.stack(parts).sum() / tokens

    return loss


FORWARD_INF = (
    ForwardInf(),
    ForwardInf("raw", name="forward_inf_raw", deviations="Both ways from the parameters; the sign is kept."),
    ForwardInf(
        "newton",
        name="forward_inf_newton",
        cost="two forward passes over the pool, and 20 gradients with tangents on 8192 tokens",
        deviations="Newton's direction instead of the gradient's; the sign is kept.",
    ),
)
