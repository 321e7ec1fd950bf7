"""How fast is a pool trained on a GPU, and does it give the same bytes twice?

    python -m benchmarks.gpu.pool                     every stage that has no result yet, then the tables
    python -m benchmarks.gpu.pool --stage 10M         one stage; each takes under five minutes
    python -m benchmarks.gpu.pool --toy --device cpu  toy shapes, to see that it runs

A stage is one shape of model and batch. Its contenders take turns: plain transformers with bfloat16 autocast,
eager and compiled; our loop; a step as one graph; stacks of models. What a stage found lies in
``.bench/gpu/pool-STAGE.json``, so that a run that is cut off loses nothing.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness import FOLDER, Cell, Contender, Table, Timing, machine, measure, write
from cuvee.files import write_json
from cuvee.models.config import ModelConfig
from cuvee.models.llama import Llama
from cuvee.models.stacked_llama import StackedLlama
from cuvee.training.loop import train
from cuvee.training.recipe import Recipe
from cuvee.training.state import TrainingState
from cuvee.training.together import Together, train_together
from cuvee.types import IntArray, Json

WORK = Path(__file__).resolve().parents[2] / ".bench" / "gpu"
PEAK = 715e12
"""bfloat16 products of an H100, FLOP/s, as measured; shares of the peak are of this number."""


@dataclass(frozen=True)
class Shape:
    """A model, its batch, and how many are stacked."""

    parameters: int
    vocabulary: int
    context: int
    batch_tokens: int
    stacks: tuple[int, ...]
    steps: int
    """Of a turn of one model."""


SHAPES = {
    "1M": Shape(1_000_000, 4096, 256, 16_384, (1, 4, 16), 200),
    "1M-small-batch": Shape(1_000_000, 4096, 256, 2048, (1, 16), 400),
    "10M": Shape(10_000_000, 4096, 512, 16_384, (1, 4), 80),
    "30M": Shape(30_000_000, 16_384, 512, 16_384, (1,), 40),
    "130M": Shape(130_000_000, 16_384, 512, 16_384, (1,), 15),
}
TOYS = {"toy": Shape(100_000, 256, 16, 64, (1, 3), 3)}
REPEATS = 5


@dataclass(frozen=True, eq=False)
class RandomTokens:
    """Tokens of a power law, drawn once; speed does not depend on what they say."""

    tokens: IntArray
    """[steps, B, T + 1]"""

    @classmethod
    def of(cls, shape: Shape, seed: int) -> "RandomTokens":
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

    def recipe(self, stacked: int = 0, steps: int = 0) -> Recipe:
        return Recipe(
            steps or self.shape.steps, self.shape.batch_tokens // self.shape.context, self.shape.context,
            1e-3, "constant", dtype=self.dtype, compiled=self.compiled, stacked=stacked,
        )  # fmt: skip

    def state(self, seed: int = 0) -> TrainingState:
        return TrainingState.fresh(Llama(self.config).initial(seed))

    def model(self) -> Llama:
        return Llama(self.config, getattr(torch, self.dtype), self.compiled, self.device)

    def stack(self, count: int) -> StackedLlama:
        return StackedLlama(self.config, count, getattr(torch, self.dtype), self.device)

    def together(
        self, count: int, stack: StackedLlama, recipe: Recipe, members: Sequence[int] | None = None
    ) -> dict[int, Any]:
        """Train members of a stack; by default as many as it holds."""
        runs = [
            Together(
                f"run {seed}",
                partial(self.state, seed),
                partial(RandomTokens.of, self.shape, seed),
                replace(recipe, seed=seed),
            )
            for seed in (range(count) if members is None else members)
        ]
        found = train_together(stack, runs, compiled=self.compiled)
        return {one.number: one.result for one in found}


def contenders(stage: Stage) -> Iterator[tuple[Contender, int]]:
    """Every way, with the models that it trains at once."""
    tokens = RandomTokens.of(stage.shape, 0)
    for name, compiled in (("transformers", False), ("transformers compiled", True)):
        if stage.device == "cpu" and compiled:
            continue  # a toy would be compiled for longer than it runs
        yield Contender(name, _transformers(stage, tokens, compiled)), 1
    model = stage.model()
    yield (
        Contender(
            "our loop",
            lambda: train(model, stage.state(), tokens, stage.recipe(), key="loop", device=stage.device),
        ),
        1,
    )
    for count in stage.shape.stacks:
        name = "a step as one graph" if count == 1 else f"stack of {count}"
        way = partial(stage.together, count, stage.stack(count), stage.recipe(count))
        yield Contender(name, way), count


def _transformers(stage: Stage, tokens: RandomTokens, compiled: bool) -> Callable[[], None]:
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

    def run() -> None:
        for number in range(stage.shape.steps):
            inputs, targets = (torch.from_numpy(part).to(stage.device) for part in tokens.batch(number))
            step(inputs, targets).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    return run


def bytes_table(stage: Stage) -> Json:
    """Whether trainings give the same bytes: twice, resumed, in stacks, and alone in one."""
    found: Json = {}
    steps = min(40, 10 * stage.shape.steps)
    tokens, model = RandomTokens.of(stage.shape, 0), stage.model()

    def looped(until: int | None = None, state: TrainingState | None = None) -> TrainingState:
        return train(
            model, state or stage.state(), tokens, stage.recipe(steps=steps), key="k", until=until,
            device=stage.device,
        )  # fmt: skip

    whole = looped()
    found["our loop, twice"] = _same(whole, looped())
    found["our loop, resumed"] = _same(whole, looped(state=looped(steps // 2)))
    count = stage.shape.stacks[-1]
    stack, recipe = stage.stack(count), stage.recipe(count, steps)
    among = stage.together(count, stack, recipe)
    again = stage.together(count, stack, recipe)
    found["stack, twice"] = all(_same(one, among[k]) for k, one in again.items())
    last = count - 1
    found["stack, alone"] = _same(stage.together(count, stack, recipe, [last])[0], among[last])
    found["our loop and stack, largest difference of a loss"] = float(
        np.abs(np.array(whole.losses) - np.array(among[0].losses)).max()
    )
    return found


def _same(one: TrainingState, other: TrainingState) -> bool:
    return torch.equal(one.flat, other.flat) and one.losses == other.losses


def busy(stage: Stage) -> float | None:
    """Share of the time in which the device is at work while the largest stack is trained; None on a CPU."""
    if stage.device == "cpu":
        return None
    count = stage.shape.stacks[-1]
    stack, recipe = stage.stack(count), stage.recipe(count)
    stage.together(count, stack, recipe)
    activity = [torch.profiler.ProfilerActivity.CUDA]
    [timing] = measure([Contender("stack", lambda: stage.together(count, stack, recipe))], 1)
    with torch.profiler.profile(activities=activity) as profile:
        stage.together(count, stack, recipe)
    at_work = sum(float(one.self_device_time_total) for one in profile.key_averages()) / 1e6
    return at_work / timing.median


def measured(name: str, stage: Stage, repeats: int) -> Json:
    """What a stage finds."""
    ways = list(contenders(stage))
    timings = measure([way for way, _ in ways], repeats)
    tokens = {way.name: count * stage.shape.steps * stage.shape.batch_tokens for way, count in ways}
    flops = 3.0 * stage.model().flops_per_token
    return {
        "stage": name,
        "machine": machine(),
        "rows": [_row(one, tokens[one.name], flops) for one in timings],
        "bytes": bytes_table(stage),
        "busy": busy(stage),
    }


def _row(timing: Timing, tokens: int, flops: float) -> Json:
    rate = timing.per_second(tokens)
    spread = timing.spread / timing.median
    return {"name": timing.name, "tokens_per_second": rate, "spread": spread, "mfu": rate * flops / PEAK}


def tables(found: Sequence[Json]) -> list[Table]:
    """Rates and bytes of all stages."""
    rows: list[tuple[Cell, ...]] = []
    for one in found:
        base = next(row for row in one["rows"] if row["name"].startswith("transformers"))
        best = {row["name"]: row for row in one["rows"]}.get("transformers compiled", base)
        rows += [
            (one["stage"], row["name"], row["tokens_per_second"] / 1e6,
             row["tokens_per_second"] / best["tokens_per_second"], 100 * row["spread"], 100 * row["mfu"])
            for row in one["rows"]
        ]  # fmt: skip
    promised = [(one["stage"], name, str(value)) for one in found for name, value in one["bytes"].items()]
    idle = [(one["stage"], one["busy"]) for one in found]
    return [
        Table(
            "Training",
            ("shape", "loop", "M tokens/s", "over compiled transformers", "spread %", "% of 715 TFLOP/s"),
            tuple(rows),
            (
                "One process. Goals: ratios 5, 2.3, 1.5 and 1.25 at 1M, 10M, 30M and 130M; 9 M/s at 1M in "
                "small batches.",
            ),
        ),
        Table("The same bytes", ("shape", "trained", "same"), tuple(promised)),
        Table("Device at work while a stack is trained", ("shape", "share"), tuple(idle), ("Goal: .9.",)),
    ]


def main(arguments: Sequence[str] | None = None, work: Path = WORK, pages: Path | None = None) -> None:
    """Measure what is missing, and write the tables of what is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", choices=(*SHAPES, *TOYS))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    asked = parser.parse_args(arguments)
    shapes = TOYS if asked.toy else SHAPES
    for name in [asked.stage] if asked.stage else shapes:
        file = work / f"pool-{name}.json"
        if not file.is_file():
            stage = Stage((shapes | TOYS)[name], asked.device)
            write_json(file, measured(name, stage, asked.repeats))
    files = [work / f"pool-{name}.json" for name in shapes]
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
    if found and not (asked.toy and pages is None):
        question = "How fast is a pool trained on a GPU, and does it give the same bytes twice?"
        write("gpu_pool", question, tables(found), command="make bench-gpu-pool", folder=pages or FOLDER)


if __name__ == "__main__":
    main()
