"""Training one model on one mixture: frozen recipes, one loop, runs that are done once.

``execute(TrainingRun(...))`` carries a run out unless it is done and goes on where it was killed;
``train`` is the loop behind it, on any batches.
"""

from cuvee.training.loop import Batches, train
from cuvee.training.recipe import Recipe
from cuvee.training.run import ModelSpec, Start, TrainedModel, TrainingRun, execute, read_snapshots
from cuvee.training.state import TrainingState

__all__ = [
    "Batches",
    "ModelSpec",
    "Recipe",
    "Start",
    "TrainedModel",
    "TrainingRun",
    "TrainingState",
    "execute",
    "read_snapshots",
    "train",
]
