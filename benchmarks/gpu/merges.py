"""How fast merges are scored, from one checkpoint a merge to a pass over all windows without Python.

    python -m benchmarks.gpu.merges                                all sizes and stages, what is there is kept
    python -m benchmarks.gpu.merges --size 30M --stage graph       one of them, under five minutes on a GPU
    python -m benchmarks.gpu.merges --device cpu --toy             toy sizes on the processor

Each stage writes a file of its own below the work folder, so a break loses one stage at most. The tables go
to the folder that ``OUT`` names, or beside the other benchmarks.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from benchmarks.gpu.busy import Busy
from benchmarks.gpu.merge_case import SHAPES, TOYS, MergeCase
from benchmarks.gpu.places import pages, work_of
from benchmarks.harness import Cell, Contender, Table, machine, measure, write
from cuvee.files import write_json
from cuvee.types import FloatArray, Json

QUESTION = (
    "How near does scoring merges come to the forward pass alone, and are its sums right and repeatable?"
)


def timed(case: MergeCase, run: Callable[[int], object], merges: int) -> Json:
    """Milliseconds a merge; the first round, which compiles and captures, is told apart."""
    began = time.perf_counter()
    run(merges)
    if case.device.type == "cuda":
        torch.cuda.synchronize()
    first, busy = time.perf_counter() - began, Busy()
    with busy.watching(case.device):
        [timing] = measure([Contender("merges", lambda: run(merges))], case.shape.repeats, warmups=0)
    return {
        "ms": 1000 * timing.median / merges,
        "spread": timing.spread / timing.median,
        "first_seconds": first,
        "busy": busy.share,
    }


def checked(case: MergeCase) -> Json:
    """Errors and bytes; a graph on the processor is a plain call."""
    weights = case.weights(case.shape.slow_merges + 2)
    nats = [case.nats(weights, capture=capture) for capture in (False, False, True, True)]
    alone = [case.nats(weights[-1:], capture=capture)[0] for capture in (False, True)]
    return {
        "error": case.error(capture=False),
        "error_graph": case.error(capture=True),
        "same_twice": _same(nats[0], nats[1]) and _same(nats[2], nats[3]),
        "same_alone": _same(alone[0], nats[0][-1]) and _same(alone[1], nats[2][-1]),
        "same_graph": _same(nats[0], nats[2]),
    }


def _same(one: FloatArray, other: FloatArray) -> bool:
    return bool(np.array_equal(one, other))


STAGES: Mapping[str, Callable[[MergeCase], Json]] = {
    "floor": lambda case: timed(case, case.forward, case.shape.merges),
    "floor graph": lambda case: timed(case, case.captured_forward, case.shape.merges),
    "device": lambda case: timed(case, case.scored, case.shape.merges),
    "graph": lambda case: timed(case, lambda count: case.scored(count, capture=True), case.shape.merges),
    "check": checked,
    "before": lambda case: timed(case, case.as_before, case.shape.slow_merges),
    "naive": lambda case: timed(case, case.naively, case.shape.slow_merges),
}
"""The dearest last."""
WAYS = {
    "naive": "merge, save, load, transformers",
    "before": "small batches, sent one by one",
    "device": "all on the device",
    "graph": "the same as one CUDA graph",
    "floor": "forward pass alone",
    "floor graph": "forward pass alone, as one graph",
}


def tables(found: Mapping[tuple[str, str], Json]) -> list[Table]:
    """What is there so far."""
    sizes = list(dict.fromkeys(size for size, _ in found))
    rows = [
        _row(way, found[size, stage], _floor(found, size))
        for size in sizes
        for stage, way in WAYS.items()
        if (size, stage) in found
    ]
    columns = ("parameters", "way", "ms a merge", "spread %", "merges / s", "over the floor")
    speed = Table("Scoring merges", (*columns, "first round, s", "busy", "device"), tuple(rows))
    checked = [found[size, "check"] for size in sizes if (size, "check") in found]
    checks: list[tuple[Cell, ...]] = [
        (
            one["size"],
            one["error"],
            one["error_graph"],
            *(_word(one[f"same_{x}"]) for x in ("twice", "alone", "graph")),
        )
        for one in checked
    ]
    columns = ("parameters", "error", "error, graph", "twice", "alone or in company", "with graph or without")
    note = (
        "Error: of nats per token, relative, against float32 on the processor. Then: are the bytes the same?"
    )
    return [speed, Table("Are the sums right?", columns, tuple(checks), (note,))]


def _row(way: str, one: Json, floor: float | None) -> tuple[Cell, ...]:
    ratio = one["ms"] / floor if floor else None
    numbers = one["ms"], 100 * one["spread"], 1000 / one["ms"], ratio, one["first_seconds"], one["busy"]
    return one["size"], way, *numbers, one["device"]


def _floor(found: Mapping[tuple[str, str], Json], size: str) -> float | None:
    """Milliseconds of the forward pass alone, the faster way."""
    known = [found[size, one]["ms"] for one in ("floor", "floor graph") if (size, one) in found]
    return min(known, default=None)


def _word(same: bool) -> str:
    return "same bytes" if same else "OTHER BYTES"


def main(
    sizes: Sequence[str],
    stages: Sequence[str],
    device: torch.device,
    compiled: bool,
    work: Path,
    folder: Path,
) -> None:
    """Make what is missing, and write the tables of all that is there."""
    shapes = SHAPES | TOYS
    for size in sizes:
        case = MergeCase(shapes[size], device, compiled)
        for stage in stages:
            file = _file(work, device, size, stage)
            if not file.is_file():
                described = {"size": size, "stage": stage, "shape": asdict(case.shape), "compiled": compiled}
                host = machine()
                name = host["accelerator"] if device.type == "cuda" else "processor"
                made = {"machine": host, "device": name}
                write_json(file, described | made | STAGES[stage](case))
            print(
                size,
                stage,
                {k: v for k, v in _read(file).items() if k not in ("shape", "size", "stage", "machine")},
            )
    there = {(size, stage): _file(work, device, size, stage) for size in shapes for stage in STAGES}
    found = {key: _read(file) for key, file in there.items() if file.is_file()}
    write(
        "gpu_merges",
        QUESTION,
        tables(found),
        command="make bench-gpu-merges",
        folder=folder,
        host=next(iter(found.values()), {}).get("machine"),
    )


def _file(work: Path, device: torch.device, size: str, stage: str) -> Path:
    return work / device.type / size / f"{stage.replace(' ', '-')}.json"


def _read(file: Path) -> Json:
    found: Json = json.loads(file.read_text(encoding="utf-8"))
    return found


def parse() -> tuple[list[str], list[str], torch.device, bool, Path, Path]:
    """What to do, from the command line, and where results and tables go."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--toy", action="store_true", help="toy sizes")
    parser.add_argument("--size", action="append", choices=[*SHAPES, *TOYS])
    parser.add_argument("--stage", action="append", choices=list(STAGES))
    parser.add_argument("--eager", action="store_true", help="do not compile")
    parser.add_argument("--work", type=Path, help="where results of stages are kept")
    given = parser.parse_args()
    toy = given.toy or given.device == "cpu"
    sizes, stages = given.size or list(TOYS if toy else SHAPES), given.stage or list(STAGES)
    device, compiled = torch.device(given.device), not given.eager
    return sizes, stages, device, compiled, work_of(given.work, toy) / "merges", pages(toy)


if __name__ == "__main__":
    main(*parse())
