"""A program and all that it starts end together, however the one that waits for it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cuvee.execution.process_group import run_group

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX process groups")

FAMILY = 'sleep 300 & echo $! > "$1.part"; mv "$1.part" "$1"; wait'
"""A shell that starts a child, says its number, and waits."""
WAITING = """
import os, signal, sys
from pathlib import Path
from cuvee.execution.process_group import run_group

# A shell that runs tests behind its back has its programs ignore interrupts, and what they start with them.
signal.signal(signal.SIGINT, signal.default_int_handler)
run_group(["/bin/sh", "-c", sys.argv[1], "family", sys.argv[2]], Path(), dict(os.environ))
"""


def child_of(file: Path) -> int:
    deadline = time.monotonic() + 30
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return int(file.read_text())


def gone(process: int) -> bool:
    """Whether a process ends within some seconds; one that nobody has asked for its status has ended."""
    state, deadline = Path(f"/proc/{process}/stat"), time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
            if state.is_file() and ") Z " in state.read_text():
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


def test_the_status_of_a_program(tmp_path: Path) -> None:
    assert run_group(["/bin/sh", "-c", "exit 3"], tmp_path, {}) == 3
    assert run_group(["/bin/sh", "-c", "kill -9 $$"], tmp_path, {}) == -signal.SIGKILL
    assert run_group(["/bin/sh", "-c", 'echo "$WHO $PWD" > said'], tmp_path, {"WHO": "me"}) == 0
    assert (tmp_path / "said").read_text() == f"me {tmp_path}\n"


def test_a_program_whose_time_is_over_ends_with_its_children(tmp_path: Path) -> None:
    said = tmp_path / "child"
    assert run_group(["/bin/sh", "-c", FAMILY, "family", str(said)], tmp_path, os.environ, 0.5) is None
    assert gone(child_of(said))


def test_what_a_program_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    said = tmp_path / "child"
    left = FAMILY.replace("; wait", "")
    assert run_group(["/bin/sh", "-c", left, "family", str(said)], tmp_path, os.environ) == 0
    assert gone(child_of(said))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_program_ends_with_the_process_that_waits_for_it(tmp_path: Path, number: int) -> None:
    said = tmp_path / "child"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WAITING, FAMILY, str(said)]
    waiting = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    child = child_of(said)
    waiting.send_signal(number)
    waiting.wait(timeout=30)
    assert gone(child)
