"""The smallest flow that trains, is killed, goes on and renders a page: what a new flow takes.

`make bench-house` counts its lines and lists what it has from the package.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cuvee.errors import SchemaError
from cuvee.execution.local import InProcess
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from tests.house.smallest_flow.decision import TrialDecision
from tests.house.smallest_flow.flow import SEEDS, run
from tests.study.tiny_study import hashes, write_study

FILES = ("trial.json", "trial.html")
PROGRAM = """
import sys
from pathlib import Path
from cuvee.execution.local import InProcess
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from tests.house.smallest_flow.flow import run
folder = StudyFolder.of(Path(sys.argv[1]))
run(StudyConfig.load(folder.root), folder, executor=InProcess())
"""


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyFolder, TrialDecision]:
    folder = write_study(tmp_path_factory.mktemp("trial"))
    return folder, run(StudyConfig.load(folder.root), folder, executor=InProcess())


def test_the_mixture_of_the_lowest_loss_is_taken(answered: tuple[StudyFolder, TrialDecision]) -> None:
    _, decision = answered
    first, second = decision.trials
    assert {first.name, second.name} == {"uniform", "proportional"}
    assert first.loss < second.loss
    assert len(first.losses) == SEEDS
    assert tuple(entry.share for entry in decision.mixture) == first.shares
    assert decision.verdict.standing == "not checked"


def test_the_decision_is_read_back_and_no_other(answered: tuple[StudyFolder, TrialDecision]) -> None:
    folder, decision = answered
    document = json.loads((folder.root / "trial.json").read_text())
    assert TrialDecision.from_json(document) == decision
    with pytest.raises(SchemaError, match="schema 9"):
        TrialDecision.from_json(document | {"schema": 9})


def test_the_page_shows_the_mixture_and_its_standing(answered: tuple[StudyFolder, TrialDecision]) -> None:
    folder, decision = answered
    page = (folder.root / "trial.html").read_text(encoding="utf-8")
    assert "Not checked" in page
    assert decision.headline[0] in page
    for trial in decision.trials:
        assert f"{trial.loss:.4f}" in page


def test_killed_in_the_middle_it_ends_at_the_same_bytes(
    answered: tuple[StudyFolder, TrialDecision], tmp_path: Path
) -> None:
    whole, _ = answered
    folder = write_study(tmp_path)
    assert _killed(folder, folder.checkpoints)
    assert not any((folder.root / name).exists() for name in FILES)
    run(StudyConfig.load(folder.root), folder, executor=InProcess())
    for name in FILES:
        assert (folder.root / name).read_bytes() == (whole.root / name).read_bytes()
    assert hashes(folder.checkpoints) == hashes(whole.checkpoints)


def _killed(folder: StudyFolder, begun: Path) -> bool:
    """Run the flow in a process of its own, and kill it once a model is trained; whether it was killed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder.root)], env=environment)
    deadline = time.monotonic() + 240
    while process.poll() is None and time.monotonic() < deadline:
        if any(begun.glob("[!.]*")):
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.01)
    return process.wait() == -signal.SIGKILL
