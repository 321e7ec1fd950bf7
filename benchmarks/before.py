"""Whether anything is slower on a processor than at the commit before the work on GPUs began.

The earlier cuvee and the present one are processes of their own, of one thread each. They are asked in turn
to do the same work on the same tokens, and each says how much processor time its turn took.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.before_checkout import BEFORE, EARLIER, NOW, ROOT, Worker, sources, worker
from benchmarks.before_study import COMMANDS, Commands
from benchmarks.harness import FOLDER, Cell, Contender, Table, Timing, measure, write
from cuvee.types import FloatArray

WORK = ROOT / ".bench" / "before"
BATCH_TOKENS = 2048


@dataclass(frozen=True)
class Work:
    """A piece of work that both can do; ``before_worker.py`` knows each kind."""

    kind: str
    parameters: int
    amount: int
    """Steps, merges or mixtures a turn."""
    dtype: str
    compiled: bool
    length: int = 128
    windows: int = 0
    """Evaluation windows of that length; 0 where nothing is scored."""
    batch_tokens: int = BATCH_TOKENS

    @property
    def title(self) -> str:
        """For a row of the table."""
        how = f"{self.dtype}, {'compiled' if self.compiled else 'eager'}"
        scored = f", {self.windows * self.length:,} tokens" if self.windows else ""
        return f"{self.kind}, {self.parameters / 1e6:g}M, {self.length} positions{scored}, {how}"


@dataclass(frozen=True)
class Amounts:
    """How much is measured."""

    works: tuple[Work, ...]
    repeats: int
    study_repeats: int

    @classmethod
    def whole(cls) -> "Amounts":
        """What ``make bench-before`` measures."""
        return cls((*_trainings(), *_merges(), *_ensembles()), repeats=7, study_repeats=3)


def _trainings() -> Iterator[Work]:
    million = 1_000_000
    for length in (128, 256):
        for parameters, steps in ((million, 12), (3 * million, 6), (10 * million, 3)):
            yield Work("training", parameters, steps, "bfloat16", True, length)
        for parameters, steps in ((million, 6), (3 * million, 3), (10 * million, 1)):
            yield Work("training", parameters, steps, "float32", True, length)
    for dtype in ("bfloat16", "float32"):
        yield Work("training", million, 6, dtype, False)


def _merges() -> Iterator[Work]:
    for windows, merges in ((16, 24), (64, 8)):
        for dtype, compiled in (("bfloat16", True), ("bfloat16", False), ("float32", True)):
            yield Work("merges", 1_000_000, merges, dtype, compiled, windows=windows)


def _ensembles() -> Iterator[Work]:
    yield Work("ensemble", 1_000_000, 10_000, "bfloat16", False, windows=64)


@dataclass(frozen=True)
class Compared:
    """Both, by rounds; a round's two turns lie side by side, so its ratio knows little of the machine."""

    before: Timing
    now: Timing

    @property
    def ratios(self) -> FloatArray:
        """Seconds now over seconds before, of every round."""
        return np.asarray(np.divide(self.now.seconds, self.before.seconds))

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Both medians, the median of the ratios, and its spread in per cent."""
        low, ratio, high = (float(value) for value in np.quantile(self.ratios, (0.25, 0.5, 0.75)))
        return self.before.median, self.now.median, ratio, 50 * (high - low) / ratio


@dataclass
class Turns:
    """Two workers as contenders. Its clock goes on by what they say they spent, and stands still else."""

    workers: Mapping[str, Worker]
    spent: float = 0.0
    digests: dict[str, set[str]] = field(default_factory=dict)
    """Of what came out of the last work, by worker."""

    def compared(self, work: Work, repeats: int) -> Compared:
        """Time a work in both."""
        self.digests = {name: set() for name in self.workers}
        contenders = [Contender(name, partial(self._turn, name, work)) for name in (BEFORE, NOW)]
        return Compared(*measure(contenders, repeats, warmups=1, clock=lambda: self.spent))

    @property
    def same_bytes(self) -> bool:
        """All turns of the last work, in both, gave the same bytes."""
        return len(set.union(*self.digests.values())) == 1

    def _turn(self, name: str, work: Work) -> None:
        seconds, digest = self.workers[name].turn(asdict(work))
        self.spent += seconds
        self.digests[name].add(digest)


Named = dict[str, list[Timing]]


def work_table(amounts: Amounts, places: Mapping[str, Path]) -> tuple[Table, Named]:
    """All pieces of work."""
    rows: list[tuple[Cell, ...]] = []
    timings: Named = {}
    with ExitStack() as stack:
        turns = Turns({name: stack.enter_context(worker(place)) for name, place in places.items()})
        for work in amounts.works:
            found = turns.compared(work, amounts.repeats)
            rows.append((work.title, *found.cells, "yes" if turns.same_bytes else "no"))
            timings[work.title] = [found.before, found.now]
    table = Table(
        "The same work, one thread",
        ("work", "before, CPU-s", "now, CPU-s", "now / before", "spread %", "same bytes"),
        tuple(rows),
        (
            f"Before is commit {EARLIER}. {amounts.repeats} rounds after one that compiles; in each both "
            "have a turn, side by side, and by turns the first. The ratio is the median over rounds of their "
            "ratios, its spread half the distance of their quartiles. Seconds are of the processor, as the "
            "processes themselves say: others used the machine at the same time. Training: AdamW, clip 1, "
            f"{BATCH_TOKENS} tokens a step, vocabulary 4096. Merges and the ensemble: eight members. Where "
            "bytes differ, batches of evaluation windows have another size than before.",
        ),
    )
    return table, timings


def study_table(amounts: Amounts, commands: Commands) -> tuple[Table, Named]:
    """The command line on a small study."""
    rows: list[tuple[Cell, ...]] = []
    timings: Named = {}
    for title in COMMANDS:
        before, now = commands.timed(title, amounts.study_repeats)
        wall = [float(np.median(commands.wall[f"{title} {version}"])) for version in (BEFORE, NOW)]
        rows.append((f"`cuvee {title}`", *Compared(before, now).cells, *wall))
        timings[f"cuvee {title}"] = [before, now]
    table = Table(
        "A whole small study",
        (
            "command", "before, CPU-s", "now, CPU-s", "now / before", "spread %", "before, wall s",
            "now, wall s",
        ),
        tuple(rows),
        (
            "One study file and one text: four sources, a model of 100,000 parameters, 32 positions, "
            f"float32, eager, one worker; {amounts.study_repeats} rounds. Seconds are of all processes. "
            f"The work is not the same: {commands.models(BEFORE)} models were trained before and "
            f"{commands.models(NOW)} now, where the pick is checked; evaluations and intervals are others.",
        ),
    )  # fmt: skip
    return table, timings


def main(amounts: Amounts | None = None, work: Path = WORK, folder: Path = FOLDER) -> None:
    """Measure all and write the tables."""
    amounts = amounts or Amounts.whole()
    places = sources(work)
    works, timings = work_table(amounts, places)
    study, study_timings = study_table(amounts, Commands(places, work))
    write(
        "before",
        f"Is anything slower on a processor than at commit {EARLIER}, before the work on GPUs?",
        [works, study],
        timings=timings | study_timings,
        folder=folder,
    )


if __name__ == "__main__":
    main()
