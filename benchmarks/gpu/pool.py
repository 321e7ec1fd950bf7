"""How fast is a pool trained on a GPU, and does it give the same bytes twice?

    python -m benchmarks.gpu.pool                     all that has no result yet, then the tables
    python -m benchmarks.gpu.pool --stage 10M         one shape; each takes under five minutes
    python -m benchmarks.gpu.pool --warm              a few steps of each, so that kernels are compiled
    python -m benchmarks.gpu.pool --toy --device cpu  toy shapes, to see that it runs

A stage is one shape of model and batch. Its contenders take turns: compiled transformers with bfloat16
autocast; our loop; a step as one graph; stacks of models. What a stage found lies in
``.bench/gpu/pool-STAGE-PART.json``, so that a run that is cut off loses nothing, and one that fails leaves
the rest to be done.
"""

import argparse
import hashlib
import json
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.gpu.busy import Busy
from benchmarks.gpu.places import pages, work_of
from benchmarks.harness import Cell, Contender, Table, Timing, machine, measure, write
from cuvee.files import write_json
from cuvee.models import stacked_llama
from cuvee.models.config import ModelConfig
from cuvee.models.llama import KERNELS, LAYER_BY_LAYER, Llama
from cuvee.models.stacked_llama import StackedLlama
from cuvee.training.loop import train
from cuvee.training.recipe import Recipe
from cuvee.training.stack import Stack
from cuvee.training.state import TrainingState
from cuvee.training.together import Together, train_together
from cuvee.types import IntArray, Json

PEAK = 715e12
"""bfloat16 products of an H100, FLOP/s, as measured; shares of the peak are of this number."""
COMPILED_TRANSFORMERS = "transformers compiled"
WARM_STEPS = 4
BYTES_STEPS = 40
BUSY_TURNS = 3


@dataclass(frozen=True)
class Shape:
    """A model, its batch, and how many are stacked."""

    parameters: int
    vocabulary: int
    context: int
    batch_tokens: int
    stacks: tuple[int, ...]
    steps: int
    """Of a turn of a plain loop, which takes about half a second; stacks go as many as take as long."""

    def stack_steps(self, count: int) -> int:
        """Of a turn of so many models."""
        return max(self.steps // 2, 4 * self.steps // count)


SHAPES = {
    "1M": Shape(1_000_000, 4096, 256, 16_384, (1, 16), 64),
    "1M-small-batch": Shape(1_000_000, 4096, 256, 2048, (1, 16), 128),
    "10M": Shape(10_000_000, 4096, 512, 16_384, (1,), 32),
    "30M": Shape(30_000_000, 16_384, 512, 16_384, (1,), 16),
    "130M": Shape(130_000_000, 16_384, 512, 16_384, (1,), 6),
}
TOYS = {"toy": Shape(100_000, 256, 16, 64, (1, 3), 3)}
REPEATS = 5


@dataclass(frozen=True, eq=False)
class RandomTokens:
    """Tokens of a power law, drawn once; speed does not depend on what they say."""

    tokens: IntArray
    """[steps, B, T + 1]"""

    @classmethod
    @cache
    def of(cls, shape: Shape, seed: int) -> "RandomTokens":
        """Drawn before the clock runs."""
        rng = np.random.default_rng(seed)
        size = min(shape.steps, 32), shape.batch_tokens // shape.context, shape.context + 1
        return cls(np.minimum(rng.zipf(1.2, size), shape.vocabulary) - 1)

    def spans(self, step: int, steps: int) -> IntArray:
        """See ``MixedStream.spans``."""
        return self.tokens[np.arange(step, step + steps) % len(self.tokens)]

    def batch(self, step: int) -> tuple[IntArray, IntArray]:
        """See ``MixedStream.batch``."""
        rows = self.spans(step, 1)[0]
        return np.ascontiguousarray(rows[:, :-1]), np.ascontiguousarray(rows[:, 1:])


@dataclass(frozen=True, eq=False)
class Stage:
    """One shape on one device."""

    shape: Shape
    device: str

    @property
    def config(self) -> ModelConfig:
        return ModelConfig.for_parameters(self.shape.parameters, self.shape.vocabulary, self.shape.context)

    @property
    def compiled(self) -> bool:
        return self.device != "cpu"

    @property
    def dtype(self) -> str:
        return "bfloat16" if self.device != "cpu" else "float32"

    def recipe(self, steps: int, stacked: int = 0) -> Recipe:
        return Recipe(
            steps, self.shape.batch_tokens // self.shape.context, self.shape.context,
            1e-3, "constant", dtype=self.dtype, compiled=self.compiled, stacked=stacked,
        )  # fmt: skip

    def state(self, seed: int = 0) -> TrainingState:
        return TrainingState.fresh(Llama(self.config).initial(seed))

    def model(self) -> Llama:
        return Llama(self.config, getattr(torch, self.dtype), self.compiled, self.device, KERNELS)

    def stack(self, count: int, kernels: int = KERNELS) -> Stack:
        dtype = getattr(torch, self.dtype)
        model = StackedLlama(self.config, count, dtype, self.device, self.compiled, kernels)
        return Stack(model, self.recipe(1, count), self.compiled)

    def together(
        self,
        stack: Stack,
        steps: int,
        members: Sequence[int],
        begin: Mapping[int, TrainingState] | None = None,
        until: int | None = None,
    ) -> dict[int, TrainingState]:
        """Train members in a stack, by their seeds, from fresh parameters or from where they stand."""
        recipe = self.recipe(steps, stack.model.members)
        runs = [
            Together(
                f"run {seed}",
                partial(self.state, seed) if begin is None else partial(begin.__getitem__, seed),
                partial(RandomTokens.of, self.shape, seed),
                replace(recipe, seed=seed),
                until=until,
            )
            for seed in members
        ]
        found: dict[int, TrainingState] = {}
        for one in train_together(stack, runs):
            assert isinstance(one.result, TrainingState), one.result
            found[members[one.number]] = one.result
        return found


@dataclass(frozen=True, eq=False)
class Way:
    """One way to train."""

    name: str
    models: int
    """That it trains at once."""
    steps: int
    """Of a turn."""
    run: Callable[[int], object]
    """Train so many steps."""


def ways(stage: Stage) -> Iterator[Way]:
    """All contenders of a stage."""
    shape, tokens = stage.shape, RandomTokens.of(stage.shape, 0)
    if stage.device == "cpu":
        yield Way("transformers", 1, shape.steps, _transformers(stage, tokens, compiled=False))
    else:
        yield Way(COMPILED_TRANSFORMERS, 1, shape.steps, _transformers(stage, tokens, compiled=True))
    model = stage.model()

    def loop(steps: int) -> None:
        train(model, stage.state(), tokens, stage.recipe(steps), key="loop", device=stage.device)

    yield Way("our loop", 1, shape.steps, loop)
    for count in shape.stacks:
        name = "a step as one graph" if count == 1 else f"stack of {count}"
        yield Way(name, count, shape.stack_steps(count), _stacked(stage, count))
    last = shape.stacks[-1]
    others = (
        ("the same, embedding gradients added in any order", KERNELS, _summed_in_any_order),
        ("the same, all layers compiled at once", LAYER_BY_LAYER - 1, nullcontext),
    )
    for name, kernels, within in others:
        yield Way(name, last, shape.stack_steps(last), _stacked(stage, last, kernels, within))


def _stacked(
    stage: Stage,
    count: int,
    kernels: int = KERNELS,
    within: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Callable[[int], object]:
    stack = stage.stack(count, kernels)

    def run(steps: int) -> None:
        with within():
            stage.together(stack, steps, range(count))

    return run


def _summed_in_any_order() -> AbstractContextManager[object]:
    return mock.patch.object(stacked_llama, "rows", _plain_rows)


def _plain_rows(weight: Tensor, index: Tensor) -> Tensor:
    return F.embedding(index, weight)


def _transformers(stage: Stage, tokens: RandomTokens, compiled: bool) -> Callable[[int], None]:
    """The plain loop of a user of transformers: autocast, fused AdamW, fused attention."""
    from transformers import LlamaConfig, LlamaForCausalLM

    c = stage.config
    settings = LlamaConfig(
        vocab_size=c.vocabulary_size, hidden_size=c.width, intermediate_size=c.hidden,
        num_hidden_layers=c.layers, num_attention_heads=c.heads, max_position_embeddings=c.context_length,
        tie_word_embeddings=True, attn_implementation="sdpa",
    )  # fmt: skip
    model: Any = LlamaForCausalLM(settings).to(stage.device).train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )
    kind = stage.device.split(":")[0]

    def loss_of(inputs: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=stage.dtype == "bfloat16"):
            logits = model(input_ids=inputs, use_cache=False).logits
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())

    step = torch.compile(loss_of) if compiled else loss_of

    def run(steps: int) -> None:
        for number in range(steps):
            inputs, targets = (torch.from_numpy(part).to(stage.device) for part in tokens.batch(number))
            step(inputs, targets).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        _wait(stage.device)

    return run


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def rates(stage: Stage, repeats: int) -> Json:
    """Tokens a second of every way."""
    all_ways = list(ways(stage))
    timings = measure([Contender(way.name, partial(way.run, way.steps)) for way in all_ways], repeats)
    flops = 3.0 * stage.model().flops_per_token
    tokens = [way.models * way.steps * stage.shape.batch_tokens for way in all_ways]
    return {"rows": [_row(*pair, flops) for pair in zip(timings, tokens, strict=True)]}


def _row(timing: Timing, tokens: int, flops: float) -> Json:
    rate = timing.per_second(tokens)
    spread = timing.spread / timing.median
    return {"name": timing.name, "tokens_per_second": rate, "spread": spread, "mfu": rate * flops / PEAK}


def same_bytes(stage: Stage, repeats: int) -> Json:
    """Whether trainings give the same bytes: twice, resumed, in stacks, and alone in one."""
    found: Json = {}
    steps = min(BYTES_STEPS, 10 * stage.shape.steps)
    tokens, model = RandomTokens.of(stage.shape, 0), stage.model()

    def looped(until: int | None = None, state: TrainingState | None = None) -> TrainingState:
        return train(
            model, state or stage.state(), tokens, stage.recipe(steps), key="k", until=until,
            device=stage.device,
        )  # fmt: skip

    whole = looped()
    found["our loop, twice"] = _same(whole, looped())
    found["our loop, resumed"] = _same(whole, looped(state=looped(steps // 2)))
    count = stage.shape.stacks[-1]
    stack, members = stage.stack(count), range(count)
    among = stage.together(stack, steps, members)
    again = stage.together(stack, steps, members)
    found["stack, twice"] = all(_same(one, among[k]) for k, one in again.items())
    half = stage.together(stack, steps, members, until=steps // 2)
    resumed = stage.together(stack, steps, members, begin=half)
    found["stack, resumed"] = all(_same(one, among[k]) for k, one in resumed.items())
    last = count - 1
    found["stack, alone"] = _same(stage.together(stack, steps, [last])[last], among[last])
    found["our loop and stack, largest difference of a loss"] = float(
        np.abs(np.array(whole.losses) - np.array(among[0].losses)).max()
    )
    # By which another process, or another day, is compared.
    found["stack, hash of its last model"] = hashlib.sha256(among[last].flat.numpy().tobytes()).hexdigest()
    return {"bytes": found}


def _same(one: TrainingState, other: TrainingState) -> bool:
    return torch.equal(one.flat, other.flat) and one.losses == other.losses


def busy(stage: Stage, repeats: int) -> Json:
    """Share of the time in which the device is at work while the largest stack is trained."""
    count = stage.shape.stacks[-1]
    stack, steps, sampled = stage.stack(count), stage.shape.stack_steps(count), Busy()
    stage.together(stack, steps, range(count))
    with sampled.watching(torch.device(stage.device)):
        for _ in range(BUSY_TURNS):
            stage.together(stack, steps, range(count))
    return {"busy": sampled.share}


PARTS: Mapping[str, Callable[[Stage, int], Json]] = {"rates": rates, "bytes": same_bytes, "busy": busy}


def tables(found: Mapping[tuple[str, str], Json]) -> list[Table]:
    """Rates and bytes of all stages."""
    rows: list[tuple[Cell, ...]] = []
    for (stage, part), one in found.items():
        if part != "rates":
            continue
        base = next(row for row in one["rows"] if row["name"].startswith("transformers"))
        rows += [
            (stage, row["name"], row["tokens_per_second"] / 1e6,
             row["tokens_per_second"] / base["tokens_per_second"], 100 * row["spread"], 100 * row["mfu"])
            for row in one["rows"]
        ]  # fmt: skip
    promised = [
        (stage, name, str(value))
        for (stage, part), one in found.items()
        if part == "bytes"
        for name, value in one["bytes"].items()
    ]
    at_work = [(stage, one["busy"]) for (stage, part), one in found.items() if part == "busy"]
    devices = sorted({str(one["machine"]["accelerator"]) for one in found.values()})
    return [
        Table(
            "Training",
            ("shape", "loop", "M tokens/s", "over compiled transformers", "spread %", "% of 715 TFLOP/s"),
            tuple(rows),
            (
                "One process. Goals: ratios 5, 2.3, 1.5 and 1.25 at 1M, 10M, 30M and 130M; 9 M/s at 1M in "
                f"small batches. Measured on: {', '.join(devices)}.",
            ),
        ),
        Table("The same bytes", ("shape", "trained", "same"), tuple(promised)),
        Table("Device at work while a stack is trained", ("shape", "share"), tuple(at_work), ("Goal: .9.",)),
    ]


def main(arguments: Sequence[str] | None = None, work: Path | None = None, folder: Path | None = None) -> int:
    """Measure what is missing, and write the tables of what is there; returns how many parts failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--stage", choices=(*SHAPES, *TOYS), action="append")
    parser.add_argument("--part", choices=tuple(PARTS), action="append")
    parser.add_argument("--way", default="", help="warm only ways with this in their name")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--warm", action="store_true")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    asked = parser.parse_args(arguments)
    shapes, failed, work = TOYS if asked.toy else SHAPES, 0, work_of(work, asked.toy)
    stages = {name: Stage((shapes | TOYS)[name], asked.device) for name in asked.stage or shapes}
    if asked.warm:
        for stage in stages.values():
            for way in ways(stage):
                if asked.way in way.name:
                    way.run(WARM_STEPS)
        return 0
    for part in asked.part or PARTS:
        for name, stage in stages.items():
            file = _file(work, name, part)
            if not file.is_file():
                try:
                    write_json(file, {"machine": machine(), **PARTS[part](stage, asked.repeats)})
                except Exception:  # the other parts still say something
                    traceback.print_exc()
                    failed += 1
    files = {(name, part): _file(work, name, part) for name in shapes for part in PARTS}
    found = {
        key: json.loads(file.read_text(encoding="utf-8")) for key, file in files.items() if file.is_file()
    }
    if found:
        question = "How fast is a pool trained on a GPU, and does it give the same bytes twice?"
        write(
            "gpu_pool",
            question,
            tables(found),
            command="make bench-gpu-pool",
            folder=folder or pages(asked.toy),
            host=next(iter(found.values()))["machine"],
        )
    return failed


def _file(work: Path, stage: str, part: str) -> Path:
    return work / f"pool-{stage}-{part}.json"


if __name__ == "__main__":
    sys.exit(main())
