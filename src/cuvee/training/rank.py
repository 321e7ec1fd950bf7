"""One of the processes that share a training; ``torchrun.py`` starts it.

python -m cuvee.training.rank FOLDER PARENT
"""

import json
import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

from cuvee.errors import CuveeError
from cuvee.execution.orphans import end_with
from cuvee.execution.work_time import WorkTime
from cuvee.faults import fault_of
from cuvee.models.hugging_face import HuggingFaceModel
from cuvee.models.interface import CausalModel
from cuvee.training.flat_optimizer import StepOptimizer
from cuvee.training.fsdp_optimizer import FsdpOptimizer
from cuvee.training.launched import Exchange, SharedWork
from cuvee.training.loop import train
from cuvee.training.ranks import Ranks, joined
from cuvee.training.sharded_optimizer import ShardedOptimizer
from cuvee.training.state import TrainingState

_OF_ALL = ("updates", "step", "tail_steps")


def main(folder: str, parent: str) -> None:
    """Take part in the training that lies in a folder; leaves with 1 and an error there if it fails."""
    end_with(int(parent))
    exchange = Exchange(Path(folder))
    try:
        work: SharedWork = pickle.loads(exchange.work.read_bytes())
        with joined(work.device) as ranks:
            _take_part(work, exchange, ranks)
    except Exception as error:
        known = error if isinstance(error, CuveeError) else fault_of(error, f"training {work.key}")
        exchange.error(int(os.environ["RANK"])).write_bytes(pickle.dumps(known or traceback.format_exc()))
        sys.exit(1)


def _take_part(work: SharedWork, exchange: Exchange, ranks: Ranks) -> None:
    model = _model(work, ranks.device)
    state = _begun(work, model, ranks)
    clock = WorkTime.begin(work.device)
    optimizer = _optimizer(model, state, work, ranks)
    began = time.perf_counter()
    state = train(
        model,
        state,
        work.batches(),
        work.recipe,
        key=work.key,
        state_file=work.state_file,
        evaluate=work.evaluate,
        evaluate_every=work.evaluate_every,
        until=work.until,
        report=_reporting(exchange) if ranks.first else lambda tokens, note: None,
        shared=optimizer,
    )
    wall = time.perf_counter() - began
    seconds = float(ranks.total(torch.tensor(clock.seconds, device=ranks.device)))
    if ranks.first:
        state.save(exchange.state, work.key)
        exchange.seconds.write_text(json.dumps([seconds, wall]))


def _model(work: SharedWork, device: torch.device) -> CausalModel:
    """A model of transformers in the machine's memory, from where its layers are spread; a native one on the
    device, where it has no parameters of its own."""
    found = work.model("cpu")
    return found if isinstance(found, HuggingFaceModel) else work.model(str(device))


def _begun(work: SharedWork, model: CausalModel, ranks: Ranks) -> TrainingState:
    """The state to begin with: whole in the first process, without vectors in the others."""
    state = TrainingState.fresh(torch.empty(0))
    if ranks.first:
        saved = TrainingState.load(work.state_file, work.key) if work.state_file is not None else None
        state = saved or work.begin(model)
    for name, value in ranks.said({name: getattr(state, name) for name in _OF_ALL}).items():
        setattr(state, name, value)
    return state


def _optimizer(model: CausalModel, state: TrainingState, work: SharedWork, ranks: Ranks) -> StepOptimizer:
    if isinstance(model, HuggingFaceModel):
        return FsdpOptimizer(model, state, work.recipe, ranks)
    return ShardedOptimizer(model.layout, state, work.recipe, ranks)


def _reporting(exchange: Exchange) -> Callable[[float, str], None]:
    def report(tokens: float, note: str) -> None:
        with exchange.progress.open("a") as file:
            file.write(json.dumps([tokens, note]) + "\n")

    return report


if __name__ == "__main__":
    main(*sys.argv[1:])
