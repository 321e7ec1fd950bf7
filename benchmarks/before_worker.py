"""A process that does the work of ``before.py`` with the cuvee that ``PYTHONPATH`` names.

The first line that goes out says where that cuvee lies. Then a line of JSON comes in for each turn and one
goes out: processor seconds of this process, and a digest of all that came out. What a turn needs is made
before the clock runs, and kept until another work is asked for. This file is run as it stands with an earlier
cuvee, too: where a call has changed since, it looks before it calls.
"""

import gc
import hashlib
import inspect
import json
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch

import cuvee
from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.likelihood import Evaluator
from cuvee.evaluation.scoring import score_merges
from cuvee.merging.pool import FlatPool
from cuvee.merging.roster import Member, Roster
from cuvee.models.config import ModelConfig
from cuvee.models.llama import Llama
from cuvee.sources.evaluation_set import EvaluationSet
from cuvee.training.loop import train
from cuvee.training.recipe import Recipe
from cuvee.training.state import TrainingState

Words = dict[str, Any]
"""What a work says of itself, as ``Work.as_json`` in ``before.py`` writes it."""
Turn = Callable[[], np.ndarray]
"""The work once; all that came out."""

VOCABULARY = 4096
MEMBERS = 8
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class RandomBatches:
    """Tokens drawn once; speed does not depend on what they say."""

    def __init__(self, steps: int, sequences: int, length: int) -> None:
        shape = steps, sequences, length + 1
        self._tokens = np.random.default_rng(0).integers(VOCABULARY, size=shape)

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets [B, T]."""
        rows = self._tokens[step]
        return np.ascontiguousarray(rows[:, :-1]), np.ascontiguousarray(rows[:, 1:])


def training(words: Words) -> Turn:
    """Steps of the training loop."""
    length, steps = words["length"], words["amount"]
    sequences = words["batch_tokens"] // length
    model = llama(words)
    start = model.initial(0)
    batches = RandomBatches(steps, sequences, length)
    recipe = Recipe(steps, sequences, length, 1e-3, "constant", dtype=words["dtype"])

    def turn() -> np.ndarray:
        state = train(model, TrainingState.fresh(start), batches, recipe, key="before")
        return np.asarray(state.flat.numpy())

    return turn


def merges(words: Words) -> Turn:
    """Merges of a pool, each scored on all windows."""
    evaluator, pool = blend(words)
    weights = np.random.default_rng(3).dirichlet(np.ones(MEMBERS), words["amount"])
    call: Callable[..., Any] = score_merges
    merger = [_linear()] if "merger" in inspect.signature(call).parameters else []
    return lambda: np.asarray(call(evaluator, pool, *merger, weights).nats)


def ensemble(words: Words) -> Turn:
    """Mixtures of the probabilities of a pool's members, from what is saved of them."""
    found = Ensemble.of(*blend(words))
    weights = np.random.default_rng(4).dirichlet(np.ones(MEMBERS), words["amount"])
    return lambda: np.asarray(found.score(weights).nats)


WORKS: dict[str, Callable[[Words], Turn]] = {"training": training, "merges": merges, "ensemble": ensemble}


def llama(words: Words) -> Llama:
    """The model of a work."""
    torch.compiler.reset()  # each shape is compiled alone, as in a study
    config = ModelConfig.for_parameters(words["parameters"], VOCABULARY, words["length"])
    call: Callable[..., Llama] = Llama
    version = {"kernels": words["kernels"]} if "kernels" in inspect.signature(call).parameters else {}
    return call(config, DTYPES[words["dtype"]], words["compiled"], **version)


def blend(words: Words) -> tuple[Evaluator, FlatPool]:
    """A pool of branches in random directions, and windows to score its merges on."""
    model, windows, length = llama(words), words["windows"], words["length"]
    seed = model.initial(0)
    noise = torch.randn(MEMBERS, len(seed), generator=torch.Generator().manual_seed(1))
    members = tuple(Member(f"unit-{k}", f"source-{k}", 1000, f"{k}") for k in range(MEMBERS))
    pool = FlatPool(Roster("seed", members), torch.cat([seed[None], seed + 1e-3 * noise]))
    tokens = np.random.default_rng(2).integers(VOCABULARY, size=(windows, length + 1))
    document = np.repeat(np.arange(windows, dtype=np.int32)[:, None], length, axis=1)
    inputs, targets, sizes = tokens[:, :-1].copy(), tokens[:, 1:].copy(), np.full(windows, 4.0 * length)
    scored = EvaluationSet("random", "none", "none", inputs, targets, document, sizes)
    return Evaluator.of(model, [scored]), pool


def _linear() -> Any:
    from cuvee.merging.linear import LinearMerge  # the earlier one merges in this way alone

    return LinearMerge()


@lru_cache(maxsize=1)
def turn_of(line: str) -> Turn:
    """What does the work of a line."""
    words: Words = json.loads(line)
    return WORKS[words["kind"]](words)


def main() -> None:
    """Answer every line."""
    torch.set_num_threads(1)
    print(json.dumps({"cuvee": cuvee.__file__}), flush=True)
    for line in sys.stdin:
        turn = turn_of(line)
        gc.collect()
        gc.disable()
        begin = time.process_time()
        found = turn()
        seconds = time.process_time() - begin
        gc.enable()
        answer = {"seconds": seconds, "digest": hashlib.sha256(found.tobytes()).hexdigest()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
