"""Signals that ask for an end: the command ends in order and says that it can go on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import cuvee

ROOT = Path(__file__).parents[2]
PATH = os.pathsep.join([str(Path(cuvee.__file__).parents[1]), str(ROOT)])

WAITING = """
import sys, time
from pathlib import Path
import cuvee.study.file.config
from cuvee.cli.app import main

def load(path):
    try:
        print("at work", file=sys.stderr, flush=True)
        time.sleep(60)
    finally:
        Path("tidied").touch()

cuvee.study.file.config.StudyConfig.load = load
sys.argv = ["cuvee", "status", "."]
main()
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


def sent(folder: Path, number: int, program: str = WAITING) -> tuple[int, str]:
    """Send a signal to a command at work; its exit code and what it said after."""
    (folder / "study.yaml").touch()
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": PATH},
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "at work\n"
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    return process.returncode, said


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_command_that_is_asked_to_end_says_that_it_goes_on(tmp_path: Path, name: str) -> None:
    number = signal.Signals[name]
    assert sent(tmp_path, number) == (
        128 + number,
        f"stopped by {name}; the same command goes on from here\n",
    )
    assert (tmp_path / "tidied").exists()


def test_also_where_a_library_makes_a_plain_interrupt_of_it(tmp_path: Path) -> None:
    """Ray does, while it waits in C++."""
    program = WAITING.replace(
        "    finally:",
        "    except KeyboardInterrupt:\n        raise KeyboardInterrupt from None\n    finally:",
    )
    code, said = sent(tmp_path, signal.SIGTERM, program)
    assert code == 128 + signal.SIGTERM
    assert said == "stopped by SIGTERM; the same command goes on from here\n"


def test_nohup_stays_in_force(tmp_path: Path) -> None:
    ignored = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    quick = WAITING.replace("time.sleep(60)", "time.sleep(0.3); raise KeyboardInterrupt")
    said = "interrupted; the same command goes on from here\n"
    assert sent(tmp_path, signal.SIGHUP, ignored + quick) == (130, said)
