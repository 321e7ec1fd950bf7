"""The example of the documents with LitGPT, where that is installed."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from cuvee.execution.local import InProcess
from cuvee.flows.swarm import flow
from cuvee.study.file.config import StudyConfig
from tests.flows.swarm.swarm_study import swarm_study
from tests.study.tiny_study import LANGUAGES, Listener

EXAMPLE = Path(__file__).parents[3] / "docs" / "train_litgpt.py"


@pytest.mark.slow
def test_the_example_trains_each_mixture_with_litgpt(tmp_path: Path) -> None:
    pytest.importorskip("litgpt")
    arguments = "{mixture} --output {output} --tokens {tokens} --seed {seed} --tokenizer {tokenizer}"
    command = (
        f"env TORCH_COMPILE_DISABLE=1 '{sys.executable}' train_litgpt.py --text text --mixture {arguments}"
    )
    folder = swarm_study(tmp_path, command=command, count=3, tokens=80 * 64 * 16)
    shutil.copyfile(EXAMPLE, tmp_path / "train_litgpt.py")
    found = flow.run(StudyConfig.load(tmp_path), folder, Listener(), InProcess())
    assert found.statement == "3 of 3 runs are done."
    assert found.observations.metrics == tuple(f"loss_{name}" for name in LANGUAGES)
    assert (found.observations.values < np.log(300) - 1.0).all()
