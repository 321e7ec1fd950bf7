"""The table of trackers: the name in a study file, and the class in the one file that imports its library."""

from collections.abc import Mapping

from cuvee.tracking.interface import Open
from cuvee.tracking.tensorboard import TensorBoard
from cuvee.tracking.trackio import Trackio
from cuvee.tracking.wandb import WeightsAndBiases

TRACKERS: Mapping[str, Open] = {
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": WeightsAndBiases,
}
