"""Evidence from the rows of trainings, by hand."""

import numpy as np

from cuvee.honesty.evidence import Evidence
from cuvee.mixture.mixture import Mixture
from cuvee.runs.run import Run, observations_of

SOURCES = ("a", "b")


def training(key: str, share: float, *losses: float) -> Run:
    mixture = Mixture(SOURCES, np.array([share, 1.0 - share]))
    metrics = {f"loss_{place}": loss for place, loss in enumerate(losses)}
    return Run(key, "trained", "reference", "equal_budget", mixture, 1000, 1000, 0, metrics)


def test_second_trainings_are_averaged_and_kept_as_replicates() -> None:
    runs = [
        training("first", 0.25, 3.0, 1.0),
        training("second", 0.5, 2.0, 2.0),
        training("third", 1.0, 1.0, 4.0),
        training("third again", 1.0, 3.0, 5.0),
        training("first again", 0.25, 4.0, 1.0),
    ]
    proxy = np.zeros((3, 2))
    evidence = Evidence.of(
        observations_of(runs), (0, 1, 2, 2, 0), {"merge": proxy}, {}, (0, -1), np.array([0.5, 0.5])
    )
    assert evidence.sources == SOURCES and evidence.evaluations == ("loss_0", "loss_1")
    assert evidence.shares.tolist() == [[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]]
    assert evidence.truth.tolist() == [[3.5, 1.0], [2.0, 2.0], [2.0, 4.5]]
    assert [place for place, _ in evidence.replicates] == [2, 0]
    assert evidence.replicates[0][1].tolist() == [[1.0, 4.0], [3.0, 5.0]]
    assert evidence.own.tolist() == [0, -1]
