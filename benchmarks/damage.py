"""One bit of one file flipped in a study that is half-done: does the next command notice?

For every kind of file and every half-done study: so many flips at seeded places, each in a copy of its own,
the next command, and its answer beside that of the undamaged study. A flip is *silent* where the answer is
another and nothing is said; that must not be. ``python -m benchmarks.damage FLIPS`` takes another number of
flips.
"""

import os
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.damage_study import HalfDone, Listener, half_done
from benchmarks.harness import FOLDER, Cell, Table, write
from cuvee.errors import CuveeError
from cuvee.hashing import canonical_json
from cuvee.seal import damage, digests_of

WORK = FOLDER.parent / ".bench" / "damage"
FLIPS = 30
OUTCOMES = ("refused", "said", "same answer", "silent", "traceback")
_NOT_OURS = ("text/", "model/", "study.yaml")
"""Written by the user."""
_NOT_READ = (".html", ".md", ".lock", ".observed", "-shm", "law.json")
"""Written for people and other tools alone, or empty."""
_OF_DAMAGE = re.compile(r"damaged|not as cuvee wrote it|is empty \(|is trained again|passed over")
"""What a message says that is about damage; others differ where answers do."""
_IN_PLACE = ("store.sqlite", ".jsonl")
"""Files that commands change where they lie; all others may be shared between copies."""


def main() -> None:
    """Write the table."""
    flips = int(sys.argv[1]) if len(sys.argv) > 1 else FLIPS
    began = time.perf_counter()
    rows: list[tuple[Cell, ...]] = []
    silent: list[str] = []
    seen: set[str] = set()
    totals: Counter[str] = Counter()
    for study in half_done(WORK):
        said, answer = undamaged(study)
        for kind, files in kinds(study.folder).items():
            if kind in seen and not kind.startswith(study.own or ("/",)):
                continue
            seen.add(kind)
            found: Counter[str] = Counter()
            rng = np.random.default_rng([0, *kind.encode()])
            for number in range(flips):
                outcome = flipped(study, files[int(rng.integers(len(files)))], rng, said, answer)
                found[outcome] += 1
                if outcome in ("silent", "traceback"):
                    silent.append(f"{study.name}: {kind}, flip {number}: {outcome}")
            totals += found
            rows.append((study.name, kind, flips, *(found[outcome] for outcome in OUTCOMES)))
            print(rows[-1], flush=True)
    table = Table(
        "Flipped bits",
        ("half-done", "file", "flips", *OUTCOMES),
        (*rows, ("all", "", totals.total(), *(totals[outcome] for outcome in OUTCOMES))),
        (
            "*refused*: an error that names the file or the row and says what to do. *said*: the command "
            "says what it dropped or made again, or that the file was changed, and goes on. *same answer*: "
            "the bit decides nothing, or what it belonged to was made again from what is whole.",
            *silent,
        ),
    )
    cost = hashing_cost(WORK / "answered")
    write(
        "damage",
        f"One bit flipped in one file of a half-done study, {flips} times for each kind of file: what the "
        f"next command does. {time.perf_counter() - began:.0f} s in all.",
        [table, cost],
    )


def undamaged(study: HalfDone) -> tuple[frozenset[str], str]:
    """What the next command says and answers where nothing is damaged; twice, to be sure of both."""
    first, second = (_outcome(study, _copied(study, f"whole-{number}", None)) for number in range(2))
    if isinstance(first, Exception) or first != second:
        raise RuntimeError(f"{study.name}: the undamaged study does not answer alike twice: {first!r}")
    assert not isinstance(first, Exception)
    return first


def kinds(folder: Path) -> dict[str, list[Path]]:
    """Kind of file -> the files of that kind, relative to the folder."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or not path.stat().st_size or name.startswith(_NOT_OURS):
            continue
        if name.endswith(_NOT_READ):
            continue
        kind = re.sub(r"[0-9a-f]{16}", "KEY", name)
        found.setdefault(kind, []).append(path.relative_to(folder))
    return found


def flipped(study: HalfDone, file: Path, rng: np.random.Generator, said: frozenset[str], answer: str) -> str:
    """Flip one bit of a file in a copy, and see what the next command makes of it."""
    folder = _copied(study, f"flip-{next(_numbers)}", file)
    data = bytearray((folder / file).read_bytes())
    data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    (folder / file).write_bytes(data)
    found = _outcome(study, folder)
    shutil.rmtree(folder)
    if isinstance(found, CuveeError):
        return "refused"
    if isinstance(found, Exception):
        return "traceback"
    if any(_OF_DAMAGE.search(one) for one in found[0] - said):
        return "said"
    return "same answer" if found[1] == answer else "silent"


def _numbering() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


_numbers = _numbering()


def _outcome(study: HalfDone, folder: Path) -> tuple[frozenset[str], str] | Exception:
    """What the next command says and answers; or its error."""
    listener = Listener()
    try:
        answer = canonical_json(study.next(folder, listener))
    except Exception as error:
        return error
    return frozenset(one.replace(str(folder), "") for one in listener.said), answer.replace(str(folder), "")


def _copied(study: HalfDone, name: str, changed: Path | None) -> Path:
    """A copy of a folder under a name that was never used: what a process has read is kept by path."""
    place = WORK / "copies" / name
    shutil.rmtree(place, ignore_errors=True)

    def copy(source: str, target: str) -> None:
        own = changed is not None and Path(source) == study.folder / changed
        if own or any(part in Path(source).name for part in _IN_PLACE):
            shutil.copy2(source, target)
        else:
            os.link(source, target)

    return Path(shutil.copytree(study.folder, place, copy_function=copy))


def hashing_cost(folder: Path) -> Table:
    """What comparing takes beside reading, on one large file."""
    file = folder.parent / "large.bin"
    size = 1 << 28
    file.write_bytes(np.random.default_rng(0).bytes(size))
    digests = digests_of(file.parent, (file.name,))
    os.utime(file, (1, 1))  # one that was written just now is never taken from memory
    rows = []
    for name, work in (
        ("read", lambda: file.read_bytes()),
        ("compare with its digest", lambda: damage(file.parent, digests, (file.name,))),
        ("compare again in the same process", lambda: damage(file.parent, digests, (file.name,))),
    ):
        began = time.perf_counter()
        work()
        seconds = time.perf_counter() - began
        rows.append((name, size / 1e6, seconds))
    file.unlink()
    return Table("What it costs", ("work", "MB", "seconds"), tuple(rows))


if __name__ == "__main__":
    main()
