"""What `cuvee value` refuses before it begins, and what it says of methods and proxies that say the same."""

from pathlib import Path

import pytest

from cuvee.errors import ConfigError
from cuvee.execution.local import InProcess
from cuvee.flows.value import flow
from cuvee.flows.value.question import ValueQuestion
from cuvee.quantities import flops
from cuvee.study.file.config import StudyConfig
from tests.study.tiny_study import Listener, change_study, texts, write_study, write_texts


def test_a_share_of_less_than_a_batch_is_refused_before_anything_is_valued(tmp_path: Path) -> None:
    folder, listener = write_study(tmp_path), Listener()
    question = ValueQuestion("ka", ("in_run",), retrain=0.001)
    with pytest.raises(ConfigError, match="less than a batch"):
        flow.run(StudyConfig.load(folder.root), folder, question, listener, InProcess())
    assert not any(title.startswith(("training the seed", "valuing")) for title in listener.stages)


@pytest.mark.slow
def test_what_says_the_same_is_shown_once_or_named(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    write_texts(tmp_path / "wanted.jsonl", texts("ka", documents=20, seed=3))
    change_study(folder, evaluations={"wanted": {"paths": "wanted.jsonl"}})
    question = ValueQuestion("wanted", ("gotd", "lava"), sources=True, retrain=0.25, seeds=2)
    listener = Listener()
    answer = flow.run(StudyConfig.load(folder.root), folder, question, listener, InProcess())
    (price,) = (one for one in listener.said if "trainings of each" in one)
    assert answer.retraining is not None
    assert price.startswith(f"{len(answer.retraining.arms)} selections, 2 trainings of each on ")
    assert f": {flops(answer.retraining.flops)} FLOPs" in price
    assert "lava has the very values of gotd: here they are one method, not two." in answer.warnings
    # A learning curve is of the held-out part of a source, and this target is none.
    assert [game.by for game in answer.games] == ["merge", "ensemble"]
