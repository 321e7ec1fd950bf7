"""What all benchmarks share: interleaved timing, a description of the machine, and the two files written.

A benchmark is a module ``benchmarks/TOPIC.py`` with a ``main()``; ``make bench-TOPIC`` runs it. It
writes ``results/TOPIC.json`` (all numbers, to be read by programs and by later comparisons) and
``TOPIC.md`` (the table, to be read by people). No host name and no path of the machine enters them.
"""

import gc
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from cuvee.files import write_json, write_text
from cuvee.types import Json

FOLDER = Path(__file__).parent
_WRITTEN_HERE = (":(exclude)*.md", ":(exclude)results")
PACKAGES = ("torch", "transformers", "numpy", "scipy", "pyarrow")

Cell = str | int | float | None


@dataclass(frozen=True)
class Contender:
    """One way of doing the work."""

    name: str
    run: Callable[[], object]
    """Does the work once, and returns when it is done."""


@dataclass(frozen=True)
class Timing:
    """The repeats of one contender."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Seconds, the median over repeats."""
        return float(np.median(self.seconds))

    @property
    def spread(self) -> float:
        """Seconds, half the distance between the quartiles: half of all repeats lie in median ± spread."""
        low, high = np.quantile(self.seconds, [0.25, 0.75])
        return float(high - low) / 2

    def per_second(self, amount: float) -> float:
        """``amount`` of work a second, at the median."""
        return amount / self.median

    def as_json(self) -> Json:
        """All repeats with their summary, in seconds."""
        return {
            "name": self.name,
            "seconds": list(self.seconds),
            "median": self.median,
            "spread": self.spread,
        }


def measure(
    contenders: Sequence[Contender],
    repeats: int = 5,
    warmups: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Timing]:
    """Time all contenders in turn, ``repeats`` times.

    A slow minute of the machine then falls on all of them. Each round begins with another one, so
    that nobody always runs on a cache that the same neighbour has left. The collector of garbage is
    off while the clock runs.

    Args:
        contenders: with different names.
        repeats: timed rounds, at least one.
        warmups: rounds before the first timed one (compilation, page cache, worker start).
        clock: seconds; ``time.process_time`` where only the processor counts.

    Returns:
        One timing a contender, in the order given.
    """
    names = [contender.name for contender in contenders]
    if repeats < 1 or len(set(names)) != len(names):
        raise ValueError(f"measure: needs repeats >= 1 and different names, got {repeats} and {names}")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for contender in list(contenders) * warmups:
        _timed(contender, clock)
    gc.collect()
    for turn in range(repeats):
        shift = turn % max(1, len(contenders))
        for contender in [*contenders[shift:], *contenders[:shift]]:
            seconds[contender.name].append(_timed(contender, clock))
    return [Timing(name, tuple(seconds[name])) for name in names]


@dataclass(frozen=True)
class Table:
    """What a benchmark found: rows of cells under named columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = field(default=())
    """Sentences under the table: what was held equal, and what the figures do not say."""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"table {self.title!r}: {len(self.columns)} columns, but a row {row!r}")

    def markdown(self) -> str:
        """The table as GitHub draws it: numbers with three significant digits, to the right."""
        right = [
            all(isinstance(row[i], int | float | None) for row in self.rows) for i in range(len(self.columns))
        ]
        lines = [
            f"## {self.title}",
            "",
            _line(self.columns),
            _line(["---:" if number else "---" for number in right]),
        ]
        lines += [_line([_cell(cell) for cell in row]) for row in self.rows]
        for note in self.notes:
            lines += ["", note]
        return "\n".join(lines) + "\n"

    def as_json(self) -> Json:
        """Title, columns, rows at full precision, notes."""
        return {
            "title": self.title,
            "columns": list(self.columns),
            "rows": [list(row) for row in self.rows],
            "notes": list(self.notes),
        }


def machine() -> Json:
    """The machine and the software: what somebody needs to judge whether figures can be compared."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found: Json = {
        "processor": _processor(),
        "cores": usable,
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "load_per_core": round(os.getloadavg()[0] / (usable or 1), 2),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "accelerator": _accelerator(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "commit": _commit(),
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def write(
    topic: str,
    question: str,
    tables: Sequence[Table],
    *,
    command: str | None = None,
    timings: Mapping[str, Sequence[Timing]] | None = None,
    folder: Path = FOLDER,
    host: Json | None = None,
) -> None:
    """Replace ``results/TOPIC.json`` and ``TOPIC.md``.

    Args:
        topic: the name of the benchmark's module.
        question: what is asked, in a sentence or two; the head of the page.
        tables: what was found.
        command: the command line that makes these files again; ``make bench-TOPIC`` if not given.
        timings: all repeats, by the name of what was timed, for the JSON file.
        folder: where to write; tests give their own.
        host: ``machine()`` as it was where all was measured; this one by default.
    """
    command = command or f"make bench-{topic}"
    host = host or machine()
    write_json(
        folder / "results" / f"{topic}.json",
        {
            "topic": topic,
            "question": question,
            "command": command,
            "machine": host,
            "tables": [table.as_json() for table in tables],
            "timings": {
                name: [timing.as_json() for timing in group] for name, group in (timings or {}).items()
            },
        },
    )
    facts = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in host.items() if value is not None
    )
    head = f"# {topic.replace('_', ' ').capitalize()}\n\n{question}\n\nMade by `{command}` on: {facts}.\n"
    write_text(folder / f"{topic}.md", "\n".join([head, *(table.markdown() for table in tables)]))


def _timed(contender: Contender, clock: Callable[[], float]) -> float:
    collecting = gc.isenabled()
    gc.disable()
    try:
        begin = clock()
        contender.run()
        _synchronise()
        return clock() - begin
    finally:
        if collecting:
            gc.enable()


def _synchronise() -> None:
    """Wait for an accelerator, if one is in use: its kernels run on after the call has returned."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _accelerator() -> str | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name())


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """The commit, with ``+`` where files that ``write`` does not make differ; None outside a git checkout."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", *_WRITTEN_HERE)
        return commit + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=FOLDER, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) else cell.replace("|", "\\|")
