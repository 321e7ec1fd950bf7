"""Whether anything is slower on a processor than at the commit before the work on GPUs began.

The earlier cuvee and the present one are processes of their own, of one thread each. They are asked in turn
to do the same work on the same tokens, and each says how much processor time its turn took. The tables are
written after each piece of work, so that what breaks off leaves what it has.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.before_checkout import BEFORE, EARLIER, NOW, ROOT, Worker, sources, worker
from benchmarks.before_study import COMMANDS, Commands
from benchmarks.harness import FOLDER, Cell, Contender, Table, Timing, measure, write
from cuvee.models.llama import KERNELS
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
    kernels: int = 0
    """Version of what computes (``models/llama.py``); before there was but one."""

    @property
    def title(self) -> str:
        """For a row of the table."""
        how = f"{self.dtype}, {'compiled' if self.compiled else 'eager'}"
        how += ", as new studies" if self.kernels else ""
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
        return cls((*_compiled(), *_others()), repeats=5, study_repeats=2)


def _compiled() -> Iterator[Work]:
    """The same bytes as before, and what a study does that begins now."""
    million = 1_000_000
    for parameters, steps in ((million, 8), (3 * million, 4), (10 * million, 2)):
        for kernels in (0, KERNELS):
            for length in (128, 256):
                yield Work("training", parameters, steps, "bfloat16", True, length, kernels=kernels)
    for kernels in (0, KERNELS):
        for windows, merges in ((16, 12), (64, 4)):
            yield Work("merges", million, merges, "bfloat16", True, windows=windows, kernels=kernels)


def _others() -> Iterator[Work]:
    million = 1_000_000
    yield Work("ensemble", million, 10_000, "bfloat16", False, windows=64)
    yield Work("training", million, 6, "bfloat16", False)
    yield Work("merges", million, 8, "bfloat16", False, windows=16)
    yield Work("merges", million, 6, "float32", True, windows=16)
    yield Work("training", million, 3, "float32", False)
    for length in (128, 256):
        for parameters, steps in ((million, 3), (3 * million, 2), (10 * million, 1)):
            yield Work("training", parameters, steps, "float32", True, length)


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


@dataclass
class Found:
    """What was measured so far."""

    amounts: Amounts
    commands: Commands
    folder: Path
    rows: list[tuple[Cell, ...]] = field(default_factory=list)
    study: list[tuple[Cell, ...]] = field(default_factory=list)
    timings: dict[str, list[Timing]] = field(default_factory=dict)

    def compare(self, turns: Turns, work: Work) -> None:
        """Measure a piece of work in both."""
        found = turns.compared(work, self.amounts.repeats)
        self.rows.append((work.title, *found.cells, "yes" if turns.same_bytes else "no"))
        self.timings[work.title] = [found.before, found.now]
        self.write()

    def command(self, title: str) -> None:
        """Measure a command on the small study."""
        before, now = self.commands.timed(title, self.amounts.study_repeats)
        wall = [float(np.median(self.commands.wall[f"{title} {version}"])) for version in (BEFORE, NOW)]
        self.study.append((f"`cuvee {title}`", *Compared(before, now).cells, *wall))
        self.timings[f"cuvee {title}"] = [before, now]
        self.write()

    def write(self) -> None:
        """Both files, with all that there is."""
        write(
            "before",
            f"Is anything slower on a processor than at commit {EARLIER}, before the work on GPUs?",
            [self._works(), *([self._commands()] if self.study else [])],
            timings=self.timings,
            folder=self.folder,
        )

    def _works(self) -> Table:
        return Table(
            "The same work, one thread",
            ("work", "before, CPU-s", "now, CPU-s", "now / before", "spread %", "same bytes"),
            tuple(self.rows),
            (
                f"Before is commit {EARLIER}. {self.amounts.repeats} rounds after one that compiles; in each "
                "both have a turn, side by side, and by turns the first. The ratio is the median over rounds "
                "of their ratios, its spread half the distance of their quartiles. Seconds are of the "
                "processor, as the processes themselves say: others used the machine at the same time. The "
                "processes are new for each row, with the environment that their version gives to workers. "
                "What differs between two processes of the same code, up to 5 % for ensembles, is not in the "
                "spread.",
                f"Training: AdamW, clip 1, {BATCH_TOKENS} tokens a step, vocabulary 4096. Merges and the "
                "ensemble: eight members. Bytes differ in rows of new studies, which compute by another "
                "version, and where batches of evaluation windows have another size than before.",
            ),
        )

    def _commands(self) -> Table:
        models = {version: self.commands.models(version) for version in (BEFORE, NOW)}
        return Table(
            "A whole small study",
            (
                "command", "before, CPU-s", "now, CPU-s", "now / before", "spread %", "before, wall s",
                "now, wall s",
            ),
            tuple(self.study),
            (
                "One study file and one text: four sources, a model of 100,000 parameters, 32 positions, "
                f"float32, eager, one worker; {self.amounts.study_repeats} rounds. Seconds are of all "
                f"processes. The work is not the same: {models[BEFORE]} models were trained before and "
                f"{models[NOW]} now, where the pick is checked; evaluations and intervals are others.",
            ),
        )  # fmt: skip


def main(amounts: Amounts | None = None, work: Path = WORK, folder: Path = FOLDER) -> None:
    """Measure all and write the tables."""
    amounts = amounts or Amounts.whole()
    places = sources(work)
    found = Found(amounts, Commands(places, work), folder)
    for one in amounts.works:
        # Earlier work decides how much memory glibc keeps, so all begin as a study's workers do.
        with worker(places[BEFORE]) as earlier, worker(places[NOW]) as present:
            found.compare(Turns({BEFORE: earlier, NOW: present}), one)
    for title in COMMANDS:
        found.command(title)


if __name__ == "__main__":
    main()
