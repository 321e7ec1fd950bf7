"""How fast a pool is trained and its merges are scored, beside the plain Hugging Face way.

One process of one thread in the environment of a study's workers; the clock is processor time. Contenders
take turns on the same tokens.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks import naive
from benchmarks.harness import FOLDER, Contender, Table, Timing, measure, write
from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.likelihood import Evaluator
from cuvee.evaluation.scoring import score_merges
from cuvee.execution.local import WORKER_ENVIRONMENT
from cuvee.merging.linear import LinearMerge
from cuvee.merging.pool import FlatPool
from cuvee.merging.roster import Member, Roster
from cuvee.models.config import ModelConfig
from cuvee.models.llama import KERNELS, Llama
from cuvee.sources.evaluation_set import EvaluationSet
from cuvee.study.file.folder import StudyFolder
from cuvee.study.plan.numerics import COMPILE_FROM_FLOPS, Numerics
from cuvee.training.loop import train
from cuvee.training.recipe import Recipe
from cuvee.training.state import TrainingState
from cuvee.types import FloatArray, IntArray

VOCABULARY = 4096
BATCH_TOKENS = 2048
MEMBERS = 8
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
PEAK_SHAPES = ((1024, 1024, 1024), (2048, 256, 1024), (4096, 384, 1024))
"""Rows, inputs and outputs of products as large as those of the largest model here, and larger."""

Named = dict[str, list[Timing]]


@dataclass(frozen=True)
class Amounts:
    """How much is measured."""

    parameters: tuple[int, ...] = (1_000_000, 3_000_000, 10_000_000)
    lengths: tuple[int, ...] = (128, 256)
    steps: tuple[int, ...] = (12, 8, 6)
    """Training steps a turn, for each size."""
    windows: tuple[int, ...] = (16, 64)
    """Evaluation windows of 128 tokens."""
    merges: int = 12
    """Of the 255 subsets, drawn at random; the cost of all is scaled from them."""
    mixtures: int = 10_000
    repeats: int = 4


class RandomBatches:
    """Tokens drawn once; speed does not depend on what they say."""

    def __init__(self, steps: int, length: int) -> None:
        shape = steps, BATCH_TOKENS // length, length + 1
        self._tokens = np.random.default_rng(0).integers(VOCABULARY, size=shape)

    def batch(self, step: int) -> tuple[IntArray, IntArray]:
        """Inputs and targets [B, T]."""
        rows = self._tokens[step]
        return np.ascontiguousarray(rows[:, :-1]), np.ascontiguousarray(rows[:, 1:])


def matmul_peak(dtype: str, precision: str = "highest", repeats: int = 5) -> float:
    """The best rate of ``F.linear`` over some large shapes, FLOP/s."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    best = 0.0
    for rows, inputs, outputs in PEAK_SHAPES:
        x = torch.randn(rows, inputs).to(DTYPES[dtype])
        weight = torch.randn(outputs, inputs).to(DTYPES[dtype])
        contender = Contender(dtype, partial(F.linear, x, weight))
        [timing] = measure([contender], repeats, warmups=2, clock=time.process_time)
        best = max(best, 2.0 * rows * inputs * outputs / min(timing.seconds))
    torch.set_float32_matmul_precision(before)
    return best


def chosen_dtype() -> str:
    """The type of matrix products that a study chooses on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        return Numerics.of(StudyFolder(Path(folder)), COMPILE_FROM_FLOPS).dtype


def training(config: ModelConfig, dtype: str, steps: int, repeats: int) -> list[Timing]:
    """Time steps of the plain loop and of ours, eager and compiled."""
    torch.compiler.reset()  # each shape is compiled alone, as in a study
    batches = RandomBatches(steps, config.context_length)
    recipe = Recipe(
        steps, BATCH_TOKENS // config.context_length, config.context_length, 1e-3, "constant", dtype=dtype
    )
    start = Llama(config).initial(0)
    plain = naive.Training(config, start, recipe.learning_rate)

    def plainly() -> None:
        for step in range(steps):
            inputs, targets = batches.batch(step)
            plain.step(torch.from_numpy(inputs), torch.from_numpy(targets))

    def ours(compiled: bool) -> Callable[[], TrainingState]:
        model = Llama(config, DTYPES[dtype], compiled, kernels=KERNELS)
        return lambda: train(model, TrainingState.fresh(start), batches, recipe, key="speed")

    contenders = [
        Contender("transformers", plainly),
        Contender("cuvee eager", ours(False)),
        Contender("cuvee compiled", ours(True)),
    ]
    return measure(contenders, repeats, 1, time.process_time)


def training_tables(amounts: Amounts, dtype: str) -> tuple[list[Table], Named]:
    """Tokens per processor second of training, and how near that is to what the processor can do."""
    peaks = {
        ("float32", "highest"): matmul_peak("float32"),
        ("float32", "medium"): matmul_peak("float32", "medium"),
        ("bfloat16", "highest"): matmul_peak("bfloat16"),
    }
    peak = max(rate for (name, _), rate in peaks.items() if name == dtype)
    rows: list[tuple[str | int | float | None, ...]] = []
    timings: Named = {}
    for length in amounts.lengths:
        for parameters, steps in zip(amounts.parameters, amounts.steps, strict=True):
            config = ModelConfig.for_parameters(parameters, VOCABULARY, length)
            group = training(config, dtype, steps, amounts.repeats)
            timings[f"training, {parameters:g} parameters, {length} positions"] = group
            flops = 3.0 * config.flops_per_token
            plain = group[0].per_second(steps * BATCH_TOKENS)
            for timing in group:
                rate = timing.per_second(steps * BATCH_TOKENS)
                rows.append(
                    (
                        config.parameters, length, timing.name, rate, rate / plain,
                        100 * timing.spread / timing.median, rate * flops / 1e9, 100 * rate * flops / peak,
                        peak / flops / plain,
                    )
                )  # fmt: skip
    has_bf16 = "yes" if dtype == "bfloat16" else "no"
    machine = Table(
        "Large matrix products on one thread",
        ("type", "torch precision", "GF/s"),
        tuple((name, precision, rate / 1e9) for (name, precision), rate in peaks.items()),
        (
            f"Instructions for bfloat16 products on this processor: {has_bf16}. A study here computes in "
            f"{dtype}; without such instructions bfloat16 is some ten times slower than float32.",
        ),
    )
    table = Table(
        "Training, one thread",
        (
            "parameters", "positions", "loop", "tokens / CPU-s", "ratio", "spread %", "GF/s",
            "% of peak", "ceiling of the ratio",
        ),
        tuple(rows),
        (
            f"{BATCH_TOKENS} tokens a step, vocabulary {VOCABULARY}, AdamW, clip 1. transformers in float32, "
            f"cuvee in {dtype}. GF/s are of the model (three times the forward pass, head and causal "
            "attention counted once). The peak is the best of the large products in that type. The ceiling "
            "is the ratio that a loop at that peak would reach: no kernel can exceed it. Compilation is not "
            "in the times; copying a run's state in and out is, once a turn of several steps.",
        ),
    )  # fmt: skip
    return [machine, table], timings


@dataclass(frozen=True)
class Blend:
    """A pool with an evaluation, for us and for transformers."""

    config: ModelConfig
    pool: FlatPool
    windows: EvaluationSet

    @classmethod
    def random(cls, parameters: int, windows: int, length: int = 128) -> "Blend":
        """Branches in random directions: speed does not depend on what they know."""
        config = ModelConfig.for_parameters(parameters, VOCABULARY, length)
        seed = Llama(config).initial(0)
        noise = torch.randn(MEMBERS, len(seed), generator=torch.Generator().manual_seed(1))
        members = tuple(Member(f"unit-{k}", f"source-{k}", 1000, f"{k}") for k in range(MEMBERS))
        pool = FlatPool(Roster("seed", members), torch.cat([seed[None], seed + 1e-3 * noise]))
        tokens = np.random.default_rng(2).integers(VOCABULARY, size=(windows, length + 1))
        document = np.repeat(np.arange(windows, dtype=np.int32)[:, None], length, axis=1)
        sizes = np.full(windows, 4.0 * length)
        one = EvaluationSet(
            "random", "none", "none", tokens[:, :-1].copy(), tokens[:, 1:].copy(), document, sizes
        )
        return cls(config, pool, one)

    def evaluator(self, dtype: str, compiled: bool) -> Evaluator:
        """Scores in one type; one object compiles once."""
        return Evaluator.of(Llama(self.config, DTYPES[dtype], compiled, kernels=KERNELS), [self.windows])


def subset_weights() -> FloatArray:
    """Equal shares of every subset of the members [2^K - 1, K]."""
    masks = (np.arange(1, 2**MEMBERS)[:, None] >> np.arange(MEMBERS)) & 1
    return np.asarray(masks / masks.sum(axis=1, keepdims=True))


def scoring(blend: Blend, weights: FloatArray, dtype: str, repeats: int) -> list[Timing]:
    """Time merging and scoring, whole and merging alone."""
    torch.compiler.reset()
    eager, compiled = (blend.evaluator(dtype, choice) for choice in (False, True))
    model = naive.build(blend.config, blend.pool.seed).eval()
    layout = Llama(blend.config).layout
    states = [{name: view.clone() for name, view in layout.views(row).items()} for row in blend.pool.branches]
    inputs, targets = torch.from_numpy(eager.inputs.numpy()), torch.from_numpy(eager.targets.numpy())

    def load(row: FloatArray) -> Any:
        # strict=False: the tied head has a name of its own in the module and none in the file
        return model.load_state_dict(naive.merge(states, row.tolist()), strict=False)

    def plainly() -> None:
        for row in weights:
            load(row)
            naive.mean_loss(model, inputs, targets)

    def merge_plainly() -> None:
        for row in weights:
            load(row)

    def merge_flat() -> None:
        buffer = torch.empty(blend.pool.size)
        for row in weights:
            LinearMerge().merge(blend.pool, row, buffer)

    contenders = [
        Contender("transformers", plainly),
        Contender("cuvee eager", lambda: score_merges(eager, blend.pool, LinearMerge(), weights)),
        Contender("cuvee compiled", lambda: score_merges(compiled, blend.pool, LinearMerge(), weights)),
        Contender("merging alone, state dicts", merge_plainly),
        Contender("merging alone, flat", merge_flat),
    ]
    return measure(contenders, repeats, 1, time.process_time)


def merge_table(amounts: Amounts, dtype: str) -> tuple[Table, Named, float]:
    """Seconds for all subsets of a pool; also seconds of one compiled merge on the most tokens."""
    everything = subset_weights()
    chosen = np.sort(np.random.default_rng(3).choice(len(everything), amounts.merges, replace=False))
    rows: list[tuple[str | int | float | None, ...]] = []
    timings: Named = {}
    each = 0.0
    for windows in amounts.windows:
        blend = Blend.random(amounts.parameters[0], windows)
        tokens = int(blend.windows.targets.size)
        group = scoring(blend, everything[chosen], dtype, max(3, amounts.repeats - 2))
        timings[f"merges, {tokens} tokens"] = group
        plain, flat = group[3].median, group[4].median
        for timing, merging in zip(group[:3], (plain, flat, flat), strict=True):
            each = timing.median / amounts.merges
            rows.append(
                (
                    tokens, timing.name, each * len(everything), 1000 * each, group[0].median / timing.median,
                    100 * timing.spread / timing.median, 100 * merging / timing.median,
                )
            )  # fmt: skip
    table = Table(
        f"Scoring all {len(everything)} subset merges of {MEMBERS} models of {blend.pool.size:,} parameters",
        ("tokens", "way", "CPU-s for all", "ms a merge", "ratio", "spread %", "% spent merging"),
        tuple(rows),
        (
            f"Measured on {amounts.merges} subsets drawn at random, in turns, and scaled to all. "
            "transformers: mean of state dicts, load_state_dict, forward pass in float32, 8 windows of 128 "
            "a batch, like ours.",
        ),
    )
    return table, timings, each


def ensemble_table(amounts: Amounts, dtype: str, merge_seconds: float) -> tuple[Table, Named]:
    """Any number of mixtures from the members' saved probabilities."""
    torch.compiler.reset()
    blend = Blend.random(amounts.parameters[0], amounts.windows[-1])
    ensemble = Ensemble.of(blend.evaluator(dtype, compiled=False), blend.pool)
    weights = np.random.default_rng(4).dirichlet(np.ones(MEMBERS), amounts.mixtures)
    [timing] = measure(
        [Contender("ensemble", lambda: ensemble.score(weights))], amounts.repeats, 1, time.process_time
    )
    table = Table(
        "The output ensemble",
        ("mixtures", "tokens", "CPU-s", "spread %", "CPU-s of 50 compiled merges", "50 merges / ensemble"),
        (
            (
                amounts.mixtures, int(blend.windows.targets.size), timing.median,
                100 * timing.spread / timing.median, 50 * merge_seconds, 50 * merge_seconds / timing.median,
            ),
        ),
        (f"Its {MEMBERS} forward passes, done once whatever the number of mixtures, are not in the time.",),
    )  # fmt: skip
    return table, {"ensemble": [timing]}


def main(amounts: Amounts | None = None, folder: Path = FOLDER) -> None:
    """Measure all and write the tables."""
    torch.set_num_threads(1)
    amounts = amounts or Amounts()
    dtype = chosen_dtype()
    tables, timings = training_tables(amounts, dtype)
    merges, merge_timings, each = merge_table(amounts, dtype)
    ensembles, ensemble_timings = ensemble_table(amounts, dtype, each)
    write(
        "speed",
        "How fast are pools trained and merges scored, beside plain transformers? How much is left to gain?",
        [*tables, merges, ensembles],
        timings=timings | merge_timings | ensemble_timings,
        folder=folder,
    )


def restart_with_one_thread(arguments: Sequence[str]) -> None:
    """Start this program again in the environment of a worker, which libraries read when they are loaded."""
    wanted = WORKER_ENVIRONMENT | {"CUDA_VISIBLE_DEVICES": ""}
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.speed", *arguments], os.environ | wanted)


if __name__ == "__main__":
    restart_with_one_thread(sys.argv[1:])
    main()
