"""A study whose trainings are shared by two processes: planned, trained and measured as by one."""

from pathlib import Path
from typing import Any

import pytest

from cuvee.errors import ConfigError
from cuvee.runs.metric_names import NATS
from cuvee.runs.roles import SEED
from cuvee.study.file.config import StudyConfig
from cuvee.study.opening import opened
from cuvee.study.plan.job import PaceTask, pace
from cuvee.study.plan.planned import Planned
from cuvee.study.pooling import planned_seed
from cuvee.study.producers.trained import Trainings
from tests.study.tiny_study import LANGUAGES, SEED_DATA, settings, write_study

QUICK: dict[str, Any] = {"evaluation_tokens": 64, "branch_training": SEED_DATA | {"tokens": 10 * 256}}


def test_branches_and_references_follow_the_seed(tmp_path: Path) -> None:
    said = settings(seed_training=SEED_DATA | {"tokens": 1024, "processes": 2})
    config = StudyConfig.parse(said, tmp_path)
    assert config.branch_training.processes == config.reference_training.processes == config.processes == 2
    plain = StudyConfig.parse(settings(seed_training=SEED_DATA | {"tokens": 1024}), tmp_path)
    same = StudyConfig.parse(settings(seed_training=SEED_DATA | {"tokens": 1024, "processes": 1}), tmp_path)
    assert plain.digest == same.digest != config.digest


def losses(root: Path, processes: int) -> list[list[float]]:
    """Of a seed at its end and on its way, and seconds of a step."""
    changes = {**QUICK, "seed_training": SEED_DATA | {"tokens": 4 * 256, "processes": processes}}
    folder = write_study(root, **changes)
    with opened(StudyConfig.load(folder.root), folder) as runner:
        [one] = planned_seed(runner.plan)
        seed = Planned(one.run, SEED, one.mixture, measured_along=2)
        row = runner.observe(Trainings(runner.plan, "training the seed model"), [seed])
        [run] = runner.store.runs(role=SEED)
        along = [list(values.values()) for _, values in run.details["along"]]
        assert len(along) == 2 and len(along[0]) == len(LANGUAGES)
        if processes > 1:
            assert 0 < pace(PaceTask(one.run.model, one.run.recipe), lambda amount, note: None) < 10
        return [[float(one) for one in row.values_of(NATS)[0]], *along]


@pytest.mark.slow
def test_two_processes_measure_what_one_does(tmp_path: Path) -> None:
    for alone, shared in zip(losses(tmp_path / "1", 1), losses(tmp_path / "2", 2), strict=True):
        assert shared == pytest.approx(alone, abs=1e-4)


def test_processes_that_do_not_divide_a_batch_are_refused(tmp_path: Path) -> None:
    changes = {**QUICK, "seed_training": SEED_DATA | {"tokens": 4 * 256, "processes": 3}}
    folder = write_study(tmp_path, **changes)
    with (
        pytest.raises(ConfigError, match=r"accumulation 1 times processes 3 must divide the 8 sequences"),
        opened(StudyConfig.load(folder.root), folder) as runner,
    ):
        planned_seed(runner.plan)
