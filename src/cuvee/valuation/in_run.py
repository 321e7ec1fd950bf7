"""A training that is watched: what each token that it reads does to the loss on the target, step by step.

The local game of a step is U(S) = loss of the target after a step on the documents S alone, less the loss
before. Its Shapley values, to first and second order (Wang et al. 2024, In-Run Data Shapley,
https://arxiv.org/abs/2406.11011, theorems 3 and 4), as a gain (higher = keep), for a step -eta P g:

    first    eta <P g_t, g_i>
    second   eta <P g_t, g_i> - eta^2 / 2 <P H_t P g_B, g_i>

g_i, g_B and g_t are the gradients of a document's share of the batch loss, of the batch and of the target,
H_t the Hessian of the target's loss. P is Adam's 1 / (sqrt(v) + eps) at this step (``metric="adam"``), which
the paper leaves open, or 1 (``"sgd"``, the paper's proxy for AdamW). Momentum spreads the effect of a
document over the steps that follow; all of it is counted where the document is read.

The gain of a document also depends on when it was read: rates fall, gradients shrink, and the order is drawn
once. So the gains of a step are *levelled*: divided by what the target's own text would gain there, eta <P
g_t, g_t>, and multiplied by the mean of that over all steps. Sources, which are read all along, keep their
sums to a good part.

Three ways to the derivatives (``derivatives.py``): ``finite`` and ``forward`` take passes of their own after
the backward pass, and P with this batch in it. ``hooks`` reads them off the backward pass itself, and P from
the step before; first order alone. On a CPU core, with 0.5M parameters and batches of 2,048 tokens, a step
takes 1.9, 2.6 and 1.8 times that of a plain training.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from cuvee.errors import ConfigError
from cuvee.hashing import digest
from cuvee.models.interface import CausalModel
from cuvee.progress import Progress
from cuvee.training.loop import WatchedStep, train
from cuvee.training.recipe import Recipe
from cuvee.types import AnyArray, FloatArray, IntArray
from cuvee.valuation.derivatives import BACK_ENDS, ParameterUses
from cuvee.valuation.directions import hessian_product
from cuvee.valuation.document_stream import DocumentStream
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.kept_rows import KeptRows
from cuvee.valuation.proxy_model import WINDOWS, per_token
from cuvee.valuation.proxy_training import ProxyTraining
from cuvee.valuation.windows import DocumentWindows

Metric = Literal["adam", "sgd"]
Back = Literal["finite", "forward", "hooks"]
PER_TOKENS = 1e6
"""Values are gains for so many tokens: of one token they would be numbers with eight zeros."""
TARGET_PART = 4
"""A step takes the gradient of the target on a quarter as many tokens as its batch has, other ones each step:
chosen by hand. Over a run every document of a target of usual size takes part many times."""


@dataclass(frozen=True)
class Accounting:
    """What is read off a training.

    Raises:
        ConfigError: second order by hooks, which do not know the batch's gradient in time.
    """

    order: int = 1
    metric: Metric = "adam"
    back: Back = "finite"
    levelled: bool = True
    """Gains count in units of their step (see the head of this file); else as they are summed in the
    paper."""

    def __post_init__(self) -> None:
        if self.order == 2 and self.back == "hooks":
            raise ConfigError("in-run values of second order need the batch's gradient: take 'finite'")


def gains(
    training: ProxyTraining,
    pool: DocumentTable,
    target: DocumentTable,
    accounting: Accounting,
    seed: int,
    kept: KeptRows,
    progress: Progress,
) -> FloatArray:
    """The gain of each document of a pool over one epoch, in nats of target loss per million tokens [n].

    Cost: a training epoch over the pool; each step also takes a gradient on a quarter of its tokens of the
    target and two forward passes (``finite``).

    Raises:
        ConfigError: the pool is shorter than one batch.
        NonFiniteLoss: the training diverged.
    """
    stream = DocumentStream.of(pool, training.recipe, seed)
    recipe = training.recipe_of(stream.steps, seed)
    facts = [training.key, recipe.as_json(), pool.key, target.key]
    how = [accounting.order, accounting.metric, accounting.back]
    key = digest(["in-run", 3, facts, how, seed])

    def fill(rows: AnyArray, done: int, note: Callable[[int], None]) -> None:
        note(0)  # what is written below stays there for a training that is gone on with
        watcher = _Watcher(training.model, target, accounting, recipe, rows)
        progress.stage("training while values are read", recipe.tokens, "tokens")
        train(
            training.model, training.begun(), stream, recipe, key=key, state_file=kept.state_file(key),
            report=progress.advance, watcher=watcher,
        )  # fmt: skip

    # The last column is what the target's own text would gain at that step.
    rows = kept.array(key, (stream.steps, recipe.batch_tokens + 1), "float32", fill)
    weights = _levels(np.asarray(rows[:, -1], dtype=np.float64)) if accounting.levelled else None
    return per_token(stream.summed(rows[:, :-1], weights), pool.length) * PER_TOKENS


def _levels(own: FloatArray) -> FloatArray:
    """By what the gains of each step are multiplied [steps]; a step at which nothing can be gained counts
    not."""
    return np.where(own > 0.0, own.mean() / np.where(own > 0.0, own, 1.0), 0.0)


class _Watcher:
    """Writes what each token of a batch gains into the row of its step."""

    def __init__(
        self,
        model: CausalModel,
        target: DocumentTable,
        accounting: Accounting,
        recipe: Recipe,
        rows: AnyArray,
    ) -> None:
        self._model, self._accounting, self._recipe, self._rows = model, accounting, recipe, rows
        self._target = _Target.of(model, target, recipe)
        self._gradient = torch.zeros(0)
        self._direction: Tensor | None = None
        self._uses: list[ParameterUses] = []

    def begin(self, step: WatchedStep) -> None:
        """See ``Watcher.begin``: by hooks the direction must be known before the backward pass."""
        self._uses = []
        self._gradient = self._target.gradient(step.flat, step.step)
        if self._accounting.back == "hooks":
            self._direction = self._preconditioned(self._gradient, step, None)

    def loss(self, model: CausalModel, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """See ``Watcher.loss``."""
        if self._direction is None:
            return model.mean_loss(flat, inputs, targets)
        uses = ParameterUses(flat, self._direction.to(flat.dtype), inputs.numel())
        self._uses.append(uses)
        with uses:
            return -model.token_log_probs(flat, inputs, targets).mean()

    def end(self, step: WatchedStep) -> None:
        """See ``Watcher.end``: eta <P g_t, g_i> of every token's share g_i of the batch's gradient."""
        rate = self._recipe.learning_rate_at(step.step)
        clip = min(1.0, self._recipe.clip / max(float(torch.linalg.vector_norm(step.gradient)), 1e-12))
        share = rate * clip / step.inputs.numel()
        if self._direction is not None:  # what went backwards is the mean: derivatives are of shares already
            direction = self._direction
            found = rate * clip * torch.cat([uses.found() for uses in self._uses])
        else:
            direction = self._preconditioned(self._gradient, step, clip * step.gradient)
            found = share * self._by_passes(direction, step, rate, clip).flatten()
        self._rows[step.step, :-1] = found.cpu().numpy()
        self._rows[step.step, -1] = share * float(self._gradient.double() @ direction.double())

    def _by_passes(self, direction: Tensor, step: WatchedStep, rate: float, clip: float) -> Tensor:
        clipped = clip * step.gradient
        if self._accounting.order == 2:
            move = self._preconditioned(clipped, step, clipped)
            curved = self._target.hessian_product(step.flat, step.step, move)
            direction = direction - 0.5 * rate * self._preconditioned(curved, step, clipped)
        derivatives = BACK_ENDS[self._accounting.back]
        return derivatives(self._model, step.flat, direction, step.inputs, step.targets)

    def _preconditioned(self, vector: Tensor, step: WatchedStep, clipped: Tensor | None) -> Tensor:
        """P times a vector: with this batch's gradient in P, or without it where it is not known yet."""
        if self._accounting.metric == "sgd":
            return vector
        beta, moment, updates = self._recipe.beta2, step.second_moment, step.updates
        if clipped is not None:
            moment, updates = beta * moment + (1.0 - beta) * clipped**2, updates + 1
        if not updates:  # the first step of a fresh run, by hooks: nothing else is known yet
            moment, updates = (1.0 - beta) * vector**2, 1
        return vector / ((moment / (1.0 - beta**updates)).sqrt() + self._recipe.epsilon)


@dataclass(frozen=True, eq=False)
class _Target:
    """Windows of the target, other ones each step."""

    model: CausalModel
    windows: DocumentWindows
    order: IntArray
    count: int
    """Windows a step."""

    @classmethod
    def of(cls, model: CausalModel, target: DocumentTable, recipe: Recipe) -> "_Target":
        rows = np.arange(len(target))
        windows = DocumentWindows.of(target, rows, model.context_length, WINDOWS)
        order = np.random.default_rng([recipe.seed, len(windows.row), 1]).permutation(len(windows.row))
        count = max(1, recipe.batch_tokens // TARGET_PART // windows.inputs.shape[1])
        return cls(model, windows, order, count)

    def gradient(self, flat: Tensor, step: int) -> Tensor:
        """Of the mean nats per token, where the parameters are [N]."""
        leaf = flat.detach().requires_grad_()
        self._mean_loss(leaf, step).backward()
        assert leaf.grad is not None
        return leaf.grad

    def hessian_product(self, flat: Tensor, step: int, vector: Tensor) -> Tensor:
        """H v, by a forward derivative of the gradient."""
        return hessian_product(lambda here: self._mean_loss(here, step), flat, vector)

    def _mean_loss(self, flat: Tensor, step: int) -> Tensor:
        places = np.arange(step * self.count, (step + 1) * self.count)
        chosen = self.order[places % len(self.order)]
        inputs, targets = (
            torch.from_numpy(one[chosen]) for one in (self.windows.inputs, self.windows.targets)
        )
        counted = torch.from_numpy(np.arange(inputs.shape[1]) < self.windows.length[chosen, None])
        nats = -self.model.token_log_probs(flat, inputs, targets)
        return (nats * counted).sum() / counted.sum()
