"""``make bench-fuzz``: whole commands on damaged input, in process and seeded: no traceback.

What a traceback is: an exception that the command line did not turn into words. Jobs of `fit` and `optimise`
run in this process, so that one core tries thousands. About 20 minutes.
"""

import random
import shutil
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

from typer.testing import CliRunner

from benchmarks import harness
from benchmarks.fuzz_inputs import damaged, tables, texts
from benchmarks.harness import Cell, Table
from cuvee.cli.app import app
from cuvee.cli.names import TRAINERS
from cuvee.execution.local import InProcess

SEED = 2026
"""Of the inputs that are reported; others were tried while commands were mended."""
QUESTION = (
    "Does any damaged file end a command in anything but an answer or words? Each input is a whole file, or "
    "several, with one to eight accidents in it."
)


Maker = Callable[[Path, random.Random], Sequence[str]]


@dataclass(frozen=True)
class Kind:
    """Commands that are tried so many times."""

    name: str
    count: int
    make: Maker
    """Writes the input into an empty folder, and gives the command line."""


@dataclass(frozen=True)
class Outcome:
    """What became of one kind."""

    kind: str
    exits: Counter[int]
    tracebacks: tuple[str, ...]
    """The last line of each, with the place."""


def kinds(fitted: Path, scale: float = 1.0) -> list[Kind]:
    """All of them; ``scale`` shrinks their counts for tests."""
    makers: tuple[tuple[str, int, Maker], ...] = (
        ("doctor", 12_000, _doctor),
        ("init", 8_000, _init),
        ("fit", 2_000, _fit),
        ("optimise", 2_000, partial(_optimise, fitted=fitted)),
        ("export", 2_000, partial(_export, fitted=fitted)),
    )
    return [Kind(name, max(1, round(scale * count)), make) for name, count, make in makers]


def _write(folder: Path, rng: random.Random) -> list[str]:
    """Tables of one tool, one of them damaged."""
    files = dict(rng.choice(list(tables().values())))
    hurt = rng.choice(list(files))
    files[hurt] = damaged(hurt, files[hurt], rng)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [str(folder / name) for name in files]


def _doctor(folder: Path, rng: random.Random) -> list[str]:
    return ["doctor", *_write(folder, rng), *rng.choice([[], ["--json"], ["--cap", "web=0.5"]])]


def _init(folder: Path, rng: random.Random) -> list[str]:
    suffix, content = rng.choice(texts())
    (folder / "data").mkdir()
    (folder / "data" / f"a{suffix}").write_bytes(damaged(suffix, content, rng))
    return ["init", str(folder / "data"), "--out", str(folder / "study")]


def _fit(folder: Path, rng: random.Random) -> list[str]:
    return ["fit", *_write(folder, rng), "--law", "linear", "--out", str(folder / "out")]


def _optimise(folder: Path, rng: random.Random, fitted: Path) -> list[str]:
    copy = Path(shutil.copytree(fitted, folder / "fit"))
    hurt = rng.choice(sorted(path for path in copy.iterdir() if path.suffix != ".html"))
    hurt.write_bytes(damaged(hurt.name, hurt.read_bytes(), rng))
    return ["optimise", str(copy), *rng.choice([[], ["--cap", "web=0.5"], ["--floor", "code=0.1"]])]


def _export(folder: Path, rng: random.Random, fitted: Path) -> list[str]:
    simple = {
        "shares.json": b'{"web": 0.5, "code": 0.3, "books": 0.2}',
        "fit.json": (fitted / "fit.json").read_bytes(),
    }
    name = rng.choice(list(simple))
    (folder / name).write_bytes(damaged(name, simple[name], rng))
    known = [f"--tokens={one}=1e6" for one in ("web", "code", "books")]
    return ["export", str(folder / name), "--to", rng.choice(TRAINERS), *rng.choice([[], known])]


def outcome(kind: Kind, seed: int) -> Outcome:
    """Try one kind."""
    rng, exits, found = random.Random(f"{seed} {kind.name}"), Counter[int](), []
    runner = CliRunner()
    for number in range(kind.count):
        with tempfile.TemporaryDirectory() as folder:
            command = kind.make(Path(folder), rng)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = runner.invoke(app, command)
        exits[result.exit_code] += 1
        error = result.exception
        if error is not None and not isinstance(error, SystemExit):
            found.append(f"{kind.name} {number}: {_last(error)}")
            print(found[-1], file=sys.stderr, flush=True)
    return Outcome(kind.name, exits, tuple(found))


def _last(error: BaseException) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {str(error)[:100]} ({Path(place.filename).name}:{place.lineno})"


@contextmanager
def in_process() -> Iterator[Path]:
    """Jobs run here; gives the folder of a fit that others are damaged copies of."""
    with (
        mock.patch("cuvee.execution.local.LocalProcesses", return_value=InProcess()),
        tempfile.TemporaryDirectory() as folder,
    ):
        table = Path(folder) / "runs.csv"
        table.write_bytes(tables()["tidy"]["runs.csv"])
        out = Path(folder) / "fit"
        made = CliRunner().invoke(app, ["fit", str(table), "--law", "linear", "--out", str(out)])
        if made.exit_code:
            raise RuntimeError(made.output)
        yield out


def table(outcomes: Sequence[Outcome]) -> Table:
    """A row for each kind, and all together."""
    rows: list[tuple[Cell, ...]] = []
    for one in outcomes:
        total, answered, broken = one.exits.total(), one.exits[0], len(one.tracebacks)
        rows.append((one.kind, total, answered, total - answered - broken, broken))
    rows.append(("all", *(sum(row[place] for row in rows) for place in range(1, 5))))  # type: ignore[misc]
    return Table(
        "Damaged input",
        ("command", "inputs", "answered", "refused or found fault with", "tracebacks"),
        tuple(rows),
        (f"Seed {SEED}. Goal: no traceback.", *(f"- {text}" for one in outcomes for text in one.tracebacks)),
    )


def main(scale: float = 1.0, seed: int = SEED) -> list[Outcome]:
    """Try everything and write the table."""
    with in_process() as fitted:
        outcomes = [outcome(kind, seed) for kind in kinds(fitted, scale)]
    if scale == 1.0:
        harness.write("fuzz", QUESTION, [table(outcomes)])
    return outcomes


if __name__ == "__main__":
    main()
