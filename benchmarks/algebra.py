"""What must hold of any pool, to rounding: checks of merging, gradients and scoring against plain arithmetic.

Every function takes a pool and returns a number that ought to be zero, or small. They are used by
``benchmarks.controls`` on trained models and by the tests on tiny ones.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks import naive
from benchmarks.plain_evaluation import pieces
from cuvee.evaluation.gradient import merge_gradient
from cuvee.evaluation.likelihood import Evaluator
from cuvee.merging.linear import LinearMerge
from cuvee.merging.pool import FlatPool
from cuvee.models.checkpoint import Checkpoint, save_checkpoint
from cuvee.models.interface import CausalModel
from cuvee.sources.evaluation_set import Half
from cuvee.sources.shards import TokenShard
from cuvee.types import FloatArray

STEP = 0.0125
"""Of the differences: in float32 a smaller one loses more digits than the fourth order wins."""


@dataclass(frozen=True)
class ProductError:
    """Largest error of merges as products with the bank."""

    by_magnitude: float
    """Over sum_k |w_k P_k| of the same parameter: what rounding is measured by."""
    by_norm: float
    """|difference| / |merge|, both as vectors."""


def product_error(pool: FlatPool, weights: FloatArray) -> ProductError:
    """Merges ``weights`` [M, K] against a loop over members in float64."""
    members = pool.branches.double().numpy()
    worst = ProductError(0.0, 0.0)
    for row in weights:
        exact, magnitude = np.zeros(pool.size), np.zeros(pool.size)
        for weight, member in zip(row, members, strict=True):
            exact += weight * member
            magnitude += np.abs(weight * member)
        difference = np.abs(LinearMerge().merge(pool, row).double().numpy() - exact)
        relative = np.divide(difference, magnitude, out=np.zeros_like(difference), where=magnitude > 0)
        norm = float(np.linalg.norm(difference) / np.linalg.norm(exact))
        worst = ProductError(max(worst.by_magnitude, float(relative.max())), max(worst.by_norm, norm))
    return worst


def inexact_vertices(pool: FlatPool) -> int:
    """How many members do not come back bit for bit from weight one on them."""
    return sum(
        not torch.equal(LinearMerge().merge(pool, vertex), pool.branch(name))
        for name, vertex in zip(pool.roster.names, np.eye(len(pool.roster.names)), strict=True)
    )


def merge_of_merges_error(pool: FlatPool, seed: int) -> float:
    """Merges of all sources of two groups, averaged as one merge, against the mean of their parameters.

    The largest difference over the largest parameter.
    """
    sources = np.random.default_rng(seed).permutation(np.array(pool.roster.sources))
    groups = [part.tolist() for part in np.array_split(sources, 2) if len(part)]
    parts = np.stack([pool.roster.spread(group).mean(axis=0) for group in groups])
    at_once = LinearMerge().merge(pool, parts.mean(axis=0))
    stepwise = torch.stack([LinearMerge().merge(pool, part) for part in parts]).double().mean(dim=0)
    return float((at_once.double() - stepwise).abs().max() / stepwise.abs().max())


@dataclass(frozen=True)
class Slope:
    """A derivative of a merge's loss, by backward pass and by differences."""

    name: str
    exact: float
    difference: float

    @property
    def error(self) -> float:
        """Relative."""
        return abs(self.exact - self.difference) / max(abs(self.difference), 1e-12)


def slopes(evaluator: Evaluator, pool: FlatPool, weights: FloatArray) -> list[Slope]:
    """Derivatives of the mean loss in the weight of every unit.

    Differences are central, of fourth order. The evaluator's model should compute in float32.
    """
    evaluations = len(evaluator.documents.evaluations)
    target = np.full(evaluations, 1 / evaluations)

    def loss(direction: FloatArray, step: float) -> float:
        merged = LinearMerge().merge(pool, weights + step * direction)
        return float(evaluator.score(merged).nats_per_token @ target)

    _, exact = merge_gradient(evaluator, pool, LinearMerge(), weights, target)
    return [
        Slope(name, float(exact[k]), _central(partial(loss, np.eye(len(weights))[k])))
        for k, name in enumerate(pool.roster.names)
    ]


def _central(loss: Callable[[float], float]) -> float:
    """The derivative of ``loss`` at zero, by differences of fourth order."""
    near, far = (loss(h) - loss(-h) for h in (STEP, 2 * STEP))
    return (8 * near - far) / (12 * STEP)


@dataclass(frozen=True)
class Reloaded:
    """A merge in memory and the same written to disk."""

    same_bytes: bool
    """The parameters read back are those that were written."""
    token_difference: float
    """Largest |difference| of a token's log-probability to that of transformers, nats."""
    loss_difference: float
    """Largest |difference| of an evaluation's mean loss, nats per token."""


def reloaded(evaluator: Evaluator, pool: FlatPool, weights: FloatArray) -> Reloaded:
    """Score a merge in memory, then save it, open it with transformers, and score again."""
    flat = LinearMerge().merge(pool, weights)
    ours = evaluator.token_log_probs(flat)
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "merge"
        save_checkpoint(folder, evaluator.model, flat)
        again = Checkpoint.load(folder).read_flat(evaluator.model)
        losses = naive.token_losses(naive.open_folder(folder), evaluator.inputs, evaluator.targets)
    theirs = -losses.float().numpy().ravel()[evaluator.scored]
    means = [evaluator.scores_of(one).nats_per_token for one in (ours, theirs)]
    return Reloaded(
        torch.equal(again, flat),
        float(np.abs(ours - theirs).max()),
        float(np.abs(means[0] - means[1]).max()),
    )


@dataclass(frozen=True)
class PlainScore:
    """Losses of one evaluation, computed without ``cuvee.evaluation``."""

    nats_per_token: float
    bits_per_byte: float


def plain_score(
    model: CausalModel, flat: torch.Tensor, shard: TokenShard, max_tokens: int, half: Half | None = None
) -> PlainScore:
    """The pieces of ``plain_evaluation`` one behind the other, by transformers and in float64."""
    found = pieces(shard, model.context_length, max_tokens, half)
    previous, following = [], []
    for piece in found:
        text = [shard.end_of_text, *(int(token) for token in shard.document(piece.document))]
        previous += text[piece.start : piece.start + piece.length]
        following += text[piece.start + 1 : piece.start + piece.length + 1]
    nats = sum(_nats(model, flat, torch.tensor(previous), torch.tensor(following)))
    size = sum(
        int(shard.document_bytes[piece.document]) * piece.length / len(shard.document(piece.document))
        for piece in found
    )
    return PlainScore(nats / len(following), nats / size / float(np.log(2)))


def _nats(
    model: CausalModel, flat: torch.Tensor, previous: torch.Tensor, following: torch.Tensor
) -> Iterator[float]:
    """Of window after window."""
    with tempfile.TemporaryDirectory() as root:
        save_checkpoint(Path(root) / "model", model, flat)
        module = naive.open_folder(Path(root) / "model")
    length = model.context_length
    for inputs, targets in zip(previous.split(length), following.split(length), strict=True):
        yield float(naive.token_losses(module, inputs[None], targets[None]).sum())
