"""One size of model with a pool and windows of random tokens, and the ways of scoring its merges that are
compared.

Speed does not depend on what the parameters are or what the tokens say.
"""

import shutil
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks import naive
from cuvee.evaluation.captured import Captured
from cuvee.evaluation.likelihood import Evaluator
from cuvee.evaluation.scoring import score_merges
from cuvee.merging.linear import LinearMerge
from cuvee.merging.pool import FlatPool
from cuvee.merging.roster import Member, Roster
from cuvee.models.config import ModelConfig
from cuvee.models.hugging_face import save_llama
from cuvee.models.llama import Llama
from cuvee.sources.evaluation_set import EvaluationSet
from cuvee.types import FloatArray

SMALL_BATCH_TOKENS = 4096
"""Of a forward pass before batches were sized by the device: 8 windows of 512."""
DOCUMENT_TOKENS = 300
CHECKED_WINDOWS = 16
"""Scored again in float32 on the processor."""


@dataclass(frozen=True)
class Shape:
    """How large the work is."""

    name: str
    parameters: int
    vocabulary: int
    length: int
    tokens: int = 131_072
    members: int = 8
    merges: int = 16
    """Scored in a row, in the fast ways."""
    slow_merges: int = 3
    """In the slow ones."""
    repeats: int = 5


SHAPES = {
    "1M": Shape("1M", 1_000_000, 4096, 256),
    "30M": Shape("30M", 30_000_000, 16_384, 512),
    "130M": Shape("130M", 130_000_000, 16_384, 512),
}
TOYS = {
    "toy": Shape("toy", 120_000, 256, 32, 2048, members=3, merges=4, slow_merges=1, repeats=2),
    "toy, wide": Shape("toy, wide", 200_000, 512, 64, 2048, members=5, merges=3, slow_merges=1, repeats=2),
}


@dataclass(frozen=True, eq=False)
class MergeCase:
    """A shape on a device."""

    shape: Shape
    device: torch.device
    compiled: bool

    @cached_property
    def config(self) -> ModelConfig:
        """The architecture."""
        return ModelConfig.for_parameters(self.shape.parameters, self.shape.vocabulary, self.shape.length)

    @cached_property
    def model(self) -> Llama:
        """As a study computes: bfloat16, compiled."""
        return Llama(self.config, torch.bfloat16, self.compiled, str(self.device))

    @cached_property
    def bank(self) -> FlatPool:
        """Members a little way from their seed, on the processor."""
        start = self.model.initial(0)
        rows = [start, *(start + 0.2 * self.model.initial(one + 1) for one in range(self.shape.members))]
        names = [str(one) for one in range(self.shape.members)]
        return FlatPool(Roster("seed", tuple(Member(one, one, 1, one) for one in names)), torch.stack(rows))

    @cached_property
    def pool(self) -> FlatPool:
        """The same on the device."""
        return self.bank.to(self.device)

    @cached_property
    def evaluator(self) -> Evaluator:
        """Batches as the device wants them."""
        return Evaluator.of(self.model, [self.windows])

    @cached_property
    def windows(self) -> EvaluationSet:
        """All windows are full, documents of many lengths."""
        count = self.shape.tokens // self.shape.length
        rng = np.random.default_rng(0)
        tokens = rng.integers(self.shape.vocabulary, size=(2, count, self.shape.length))
        documents = max(2, self.shape.tokens // DOCUMENT_TOKENS)
        ends = np.sort(rng.integers(documents, size=count * self.shape.length)).astype(np.int32)
        owner = ends.reshape(count, -1)
        return EvaluationSet("random", "none", "random", tokens[0], tokens[1], owner, np.ones(documents))

    def weights(self, count: int) -> FloatArray:
        """Of merges [count, K]; the first ones are the same, however many there are."""
        rng = np.random.default_rng(1)
        return np.array([rng.dirichlet(np.ones(self.shape.members)) for _ in range(count)])

    def naively(self, count: int) -> None:
        """Merge, save, load with transformers, score."""
        targets = torch.from_numpy(self.windows.targets.copy()).to(self.device)
        inputs = torch.from_numpy(self.windows.inputs.copy()).to(self.device)
        for row in self.weights(count):
            folder = Path(tempfile.mkdtemp())
            try:
                save_llama(folder, self.config, LinearMerge().merge(self.bank, row))
                model = naive.open_folder(folder).to(self.device, torch.bfloat16)
                naive.mean_loss(model, inputs, targets)
            finally:
                shutil.rmtree(folder)

    def as_before(self, count: int) -> None:
        """As cuvee did it until now: small batches, sent and waited for one by one, documents summed in
        numpy."""
        small = self.small_batches
        pool = self.bank.to(self.device)
        for row in self.weights(count):
            low = LinearMerge().merge(pool, row).to(torch.bfloat16)
            found = np.empty(tuple(small.inputs.shape), dtype=np.float32)
            most = small.batch_windows or 1
            with torch.no_grad():
                for start in range(0, len(found), most):
                    part = slice(start, start + most)
                    inputs, targets = (one[part].to(self.device) for one in (small.inputs, small.targets))
                    found[part] = self.model.token_log_probs(low, inputs, targets).cpu().numpy()
            small.scores_of(found.ravel()[small.scored])

    @cached_property
    def small_batches(self) -> Evaluator:
        """Windows in batches as they were."""
        return replace(self.evaluator, batch_windows=max(1, SMALL_BATCH_TOKENS // self.shape.length))

    def scored(self, count: int, capture: bool = False) -> FloatArray:
        """Nats [count, D] of merges, on the device."""
        return self.nats(self.weights(count), capture)

    def nats(self, weights: FloatArray, capture: bool = False) -> FloatArray:
        """Nats of merges by their weights."""
        return score_merges(self.evaluator, self.pool, LinearMerge(), weights, capture=capture).nats

    def forward(self, count: int) -> None:
        """The forward pass alone."""
        low = self.pool.seed.to(torch.bfloat16)
        for _ in range(count):
            self._passed(low)

    def captured_forward(self, count: int) -> None:
        """The same as one CUDA graph."""
        for _ in range(count):
            self._captured()

    @cached_property
    def _captured(self) -> Captured:
        found = Captured(self._passed, self.pool.size, self.device)
        found.buffer.copy_(self.pool.seed)
        return found

    def _passed(self, flat: Tensor) -> Tensor:
        windows, low = self.evaluator.batched(self.device), flat.to(torch.bfloat16)
        found = torch.empty(windows.inputs.shape, device=self.device)
        with torch.no_grad():
            for place, (inputs, targets) in enumerate(zip(windows.inputs, windows.targets, strict=True)):
                found[place] = self.model.token_log_probs(low, inputs, targets)
        return found

    def error(self, capture: bool) -> float:
        """Largest relative error of the nats of an evaluation on some windows against float32 on the
        processor."""
        few = np.arange(min(CHECKED_WINDOWS, len(self.evaluator.inputs)))
        plain = Evaluator.of(Llama(self.config), [self.windows]).select(few)
        weights = self.weights(2)
        exact = score_merges(plain, self.bank, LinearMerge(), weights).nats_per_token
        ours = score_merges(
            self.evaluator.select(few), self.pool, LinearMerge(), weights, capture=capture
        ).nats_per_token
        return float(np.abs(ours / exact - 1.0).max())
