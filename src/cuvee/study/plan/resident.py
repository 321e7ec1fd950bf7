"""What a process keeps of a study from one item to the next: what is dear to open, to send or to compile for.

Workers of a GPU stay for all stages of a command, so a stage begins where the one before has left the device.
A pool lies there once; another takes its place. What lies on disk is compared with its digests at each use
all the same.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.mixed import MixedProbabilities
from cuvee.execution.devices import PROCESSOR
from cuvee.execution.resident import Resident
from cuvee.merging.adapted import with_model
from cuvee.merging.pool import FlatPool
from cuvee.merging.statistics import Statistics
from cuvee.training.run import STACKS, ModelSpec

EVALUATOR, EVALUATOR_PART = "evaluator", "part of an evaluator"
POOL, PROBABILITIES = "pool", "probabilities"

KEPT = Resident({EVALUATOR: 4, EVALUATOR_PART: 2, POOL: 1, PROBABILITIES: 1})
"""Of this process."""


def resident_pool(path: Path, device: str, members: ModelSpec, statistics: tuple[Path, ...] = ()) -> FlatPool:
    """The pool in a folder, on a device; on the processor as it is mapped from disk. It takes the memory of
    the stacks that were trained in.

    Args:
        path: of the pool.
        device: where.
        members: what its rows are parameters of.
        statistics: folders of what a method of merging needs of its members.

    Raises:
        CheckpointError: it is damaged.
    """
    STACKS.drop()
    pool = with_model(FlatPool.open(path), members.build())
    if statistics:
        pool = pool.measured(Statistics.open(pool.roster, statistics))
    if device == PROCESSOR:
        return pool
    return KEPT.get(POOL, (path, device, statistics), partial(_copied, pool, device))


def resident_probabilities(path: Path, device: str) -> MixedProbabilities:
    """The probabilities of the members of a pool, of an ensemble in a folder, on a device.

    Raises:
        CheckpointError: they are damaged.
    """
    make = partial(MixedProbabilities.of, Ensemble.open(path), torch.device(device))
    return KEPT.get(PROBABILITIES, (path, device), make)


def _copied(pool: FlatPool, device: str) -> FlatPool:
    known = None if pool.statistics is None else pool.statistics.to(device)
    return replace(pool, bank=pool.bank.to(device, copy=True), statistics=known)
