"""The table of producers. A new one is a file and a row; its row is tested by being here."""

from collections.abc import Mapping
from typing import Any

from cuvee.study.producers.descended import Descents
from cuvee.study.producers.ensembled import Ensembles
from cuvee.study.producers.frozen import FrozenTrainings
from cuvee.study.producers.merged import Merges
from cuvee.study.producers.producer import Producer
from cuvee.study.producers.snapshot import Snapshots
from cuvee.study.producers.trained import Trainings

PRODUCERS: Mapping[str, type[Producer[Any]]] = {
    "trained": Trainings,
    "frozen": FrozenTrainings,
    "snapshot": Snapshots,
    "merged": Merges,
    "ensembled": Ensembles,
    "descended": Descents,
}
"""By what their observations are."""
