"""Workers of parents of every sort: modules, scripts, interrupted ones and killed ones."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import cuvee

HERE = Path(__file__).parent
SOURCE = Path(cuvee.__file__).parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{SOURCE}{os.pathsep}{HERE}"}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

LOCAL_JOB = """
from cuvee.execution import LocalProcesses

def job(item, report):
    return item + 1

def main():
    print(sorted(LocalProcesses(2).map(job, [1, 2])))
"""
GUARDED = LOCAL_JOB + '\nif __name__ == "__main__":\n    main()\n'

SLEEPER = """
import functools, signal, sys, threading
import execution_jobs
from cuvee.execution import LocalProcesses

def main():
    job = functools.partial(getattr(execution_jobs, sys.argv[2]), sys.argv[1])
    list(LocalProcesses(2).map(job, [1, 2]))

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background ignore interrupts
    if sys.argv[3] == "main":
        main()
    else:
        thread = threading.Thread(target=main)
        thread.start()
        thread.join()
"""


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def python(*arguments: str, folder: Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder, env=ENVIRONMENT, input=text, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_a_script(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(GUARDED)
    done = python("script.py", folder=tmp_path)
    assert (done.stdout, done.stderr) == ("[(0, 2), (1, 3)]\n", "")


def test_a_module_and_a_package(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(GUARDED)
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "jobs.py").write_text(LOCAL_JOB)
    (package / "__main__.py").write_text("from package.jobs import main\nmain()\n")
    for name in ("module", "package"):
        done = python("-m", name, folder=tmp_path)
        assert (done.stdout, done.stderr) == ("[(0, 2), (1, 3)]\n", ""), name


def test_a_command(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(LOCAL_JOB)
    done = python("-c", "import jobs; jobs.main()", folder=tmp_path)
    assert (done.stdout, done.stderr) == ("[(0, 2), (1, 3)]\n", "")


def test_a_script_without_guard_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(LOCAL_JOB + "\nmain()\n")
    done = python("script.py", folder=tmp_path)
    assert done.returncode == 1
    assert 'must keep its work under `if __name__ == "__main__":`' in done.stderr


def test_a_program_piped_in_is_told_what_to_do(tmp_path: Path) -> None:
    done = python("-", folder=tmp_path, text=GUARDED)
    assert done.returncode == 1
    assert "not text piped into Python" in done.stderr


@contextmanager
def sleeper(folder: Path, job: str, thread: str) -> Iterator[tuple["subprocess.Popen[str]", list[int]]]:
    """A parent in its own process group, with two workers inside their jobs."""
    script = folder / "sleeper.py"
    script.write_text(SLEEPER)
    parent = subprocess.Popen(
        [sys.executable, str(script), str(folder), job, thread],
        env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while len(workers := [int(path.name.split("-")[2]) for path in folder.glob("pid-*")]) < 2:
            assert time.monotonic() < deadline
            assert parent.poll() is None
            time.sleep(0.02)
        yield parent, workers
    finally:
        for pid in (parent.pid, *workers):
            if running(pid):
                os.kill(pid, signal.SIGKILL)
        parent.communicate()


def wait_until_gone(workers: list[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(running(pid) for pid in workers):
        assert time.monotonic() < deadline, "workers outlived their parent"
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("job", "thread"), [("sleep", "main"), ("sleep", "other"), ("hold_interpreter", "main")]
)
def test_workers_die_with_a_killed_parent(tmp_path: Path, job: str, thread: str) -> None:
    with sleeper(tmp_path, job, thread) as (parent, workers):
        parent.kill()
        parent.wait()
        wait_until_gone(workers, seconds=3)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_interrupt_ends_all_with_one_traceback(tmp_path: Path) -> None:
    with sleeper(tmp_path, "sleep", "main") as (parent, workers):
        os.killpg(parent.pid, signal.SIGINT)
        _, errors = parent.communicate(timeout=20)
        assert errors.count("Traceback") == 1
        assert errors.rstrip().endswith("KeyboardInterrupt")
        wait_until_gone(workers, seconds=3)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_terminated_parent_takes_its_workers(tmp_path: Path) -> None:
    with sleeper(tmp_path, "sleep", "main") as (parent, workers):
        parent.terminate()
        parent.wait()
        wait_until_gone(workers, seconds=3)
