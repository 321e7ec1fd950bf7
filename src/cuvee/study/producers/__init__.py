"""Producers: the ways in which a study makes observations, one file each."""

from cuvee.study.producers.commanded import CommandedRuns
from cuvee.study.producers.descended import Descents, WeightDescent
from cuvee.study.producers.ensembled import Ensembles
from cuvee.study.producers.frozen import FrozenTrainings
from cuvee.study.producers.merged import Merges
from cuvee.study.producers.producer import Producer, Results, Spent
from cuvee.study.producers.snapshot import Snapshot, Snapshots
from cuvee.study.producers.trained import Trainings
from cuvee.study.producers.weighted import Weighted

__all__ = [
    "CommandedRuns",
    "Descents",
    "Ensembles",
    "FrozenTrainings",
    "Merges",
    "Producer",
    "Results",
    "Snapshot",
    "Snapshots",
    "Spent",
    "Trainings",
    "WeightDescent",
    "Weighted",
]
