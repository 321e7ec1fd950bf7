"""``make bench-trust``: can the badge of a decision be refuted by training on?

Each study is random in its sources, target and budget. What it predicts, what it measures by its own fresh
trainings, and its verdict are set against three to five more fresh trainings of the pick, of equal and of
proportional shares, on text that the study has never seen. Studies used while the product was developed are
other ones.
"""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks import harness
from benchmarks.harness import Cell, Table
from benchmarks.trust_rows import EARLIER, EARLIER_PICK, row_of
from benchmarks.trust_study import DEMOS, NOISE, TrustStudy
from cuvee.decisions.check import EQUAL, PICK, PROPORTIONAL
from cuvee.progress import Progress, Silent
from cuvee.types import Json

REPORTED = tuple(range(17, 61))
"""Numbers of the studies that are reported."""
DEVELOPED_ON = (*range(17), *range(9000, 9030))
"""Numbers of the studies that calibrators, intervals and picks were chosen on."""
COMPARED = 10
"""The first so many are asked of the earlier version too."""
QUESTION = (
    "Is the gain of a decision what it says, and is its verdict right? Every study's pick, equal and "
    "proportional shares are trained 3 to 5 more times at fresh seeds and measured on text that the study "
    "has never seen."
)


@dataclass(frozen=True)
class Gain:
    """What a study said of its pick against one baseline, and the truth."""

    study: int
    baseline: str
    said: tuple[float, float, float]
    """Mean, low, high."""
    true: float
    error: float
    """Standard error of the truth."""

    @property
    def covered(self) -> bool:
        """The truth lies in the interval, both errors taken together."""
        middle, half = 0.5 * (self.said[1] + self.said[2]), 0.5 * (self.said[2] - self.said[1])
        return abs(self.true - middle) <= math.hypot(half, 1.96 * self.error)

    @property
    def widths_off(self) -> float:
        """By how many widths of the interval the truth lies from its middle."""
        return abs(self.true - 0.5 * (self.said[1] + self.said[2])) / (self.said[2] - self.said[1])


def main(
    reported: Sequence[int] = REPORTED,
    compared: int = COMPARED,
    noise: Sequence[int] = NOISE,
    demos: Sequence[int] = DEMOS,
    progress: Progress | None = None,
) -> None:
    """Answer what is missing, and write the tables of what there is."""
    listener = progress or Printed()
    rows = _rows(reported, listener, lambda number: number in reported[:compared])
    nothing = _rows(noise, listener, lambda number: False)
    demonstrations = _rows(demos, listener, lambda number: False)
    tables = [
        coverage(rows),
        verdicts(rows),
        regrets(rows),
        earlier(rows),
        small("Nothing to find: two sources cut from one text", nothing),
        small("The demonstration's text, other seeds", demonstrations),
        every(rows),
    ]
    harness.write("trust", QUESTION, [table for table in tables if table is not None])


def _rows(numbers: Sequence[int], progress: Progress, earlier_too: Callable[[int], bool]) -> list[Json]:
    rows = []
    for number in numbers:
        progress.message(f"study {number}")
        rows.append(row_of(TrustStudy(number), progress, earlier_too(number)))
    return rows


class Printed(Silent):
    """Says what is at work."""

    def message(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def gains(rows: Sequence[Json], said: str) -> list[Gain]:
    """All gains ``said`` ("measured" or "predicted") that have an interval."""
    found = []
    for row in rows:
        for baseline, values in row[said].items():
            if values[1] is not None and not math.isnan(values[1]):
                losses = row["truth"]["losses"]
                true = float(np.mean(losses[PICK]) - np.mean(losses[baseline]))
                found.append(
                    Gain(row["study"], baseline, tuple(values), true, row["truth"]["error"][baseline])
                )
    return found


def binomial_interval(hits: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson (1934)."""
    from scipy.special import betaincinv

    tail = 0.5 * (1.0 - confidence)
    low = float(betaincinv(hits, count - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, count - hits, 1.0 - tail)) if hits < count else 1.0
    return low, high


def coverage(rows: Sequence[Json]) -> Table:
    """How often intervals of gains hold the truth."""
    lines: list[tuple[Cell, ...]] = []
    for said, name in (
        ("measured", "measured by the study's own check"),
        ("predicted", "predicted before it"),
    ):
        found = gains(rows, said)
        hits = sum(one.covered for one in found)
        low, high = binomial_interval(hits, len(found))
        off = [one.said[0] - one.true for one in found]
        lines.append(
            (
                name,
                len(found),
                hits,
                f"{hits / len(found):.3f} ({low:.3f} to {high:.3f})",
                max(one.widths_off for one in found),
                float(np.median([one.said[2] - one.said[1] for one in found])),
                float(np.mean(off)),
                float(np.std(off, ddof=1) / np.sqrt(len(off))),
            )
        )
    return Table(
        "Intervals of the gain: 95 %, over study and baseline",
        (
            "gain",
            "gains",
            "held",
            "share held (95 % binomial)",
            "farthest off, in widths",
            "median width",
            "mean error",
            "its standard error",
        ),
        tuple(lines),
        (
            "Nats per token of the target. Held: the mean of the fresh trainings lies in the interval, "
            "widened by its own error. Goals: the binomial interval contains 0.95, and no gain is off by "
            "more than two widths.",
        ),
    )


def verdicts(rows: Sequence[Json]) -> Table:
    """What verdicts are worth."""
    lines: list[tuple[Cell, ...]] = []
    for standing in ("confirmed", "not confirmed", "refuted", "not checked"):
        chosen = [row for row in rows if row["verdict"] == standing]
        beats = sum(all(_true(row, name) < 0 for name in (EQUAL, PROPORTIONAL)) for row in chosen)
        right = sum(
            all(_true(row, name) <= 2 * row["truth"]["error"][name] for name in (EQUAL, PROPORTIONAL))
            for row in chosen
        )
        lines.append((standing, len(chosen), len(chosen) / len(rows), right, beats))
    return Table(
        "Verdicts",
        (
            "verdict",
            "studies",
            "share",
            "pick not worse than a baseline by 2 standard errors",
            "pick truly below both baselines",
        ),
        tuple(lines),
        (
            "Goals: of confirmed picks 95 % in the fourth column, of refuted ones at most 25 % in the "
            "fifth, not confirmed and not checked together at most 40 % of the studies.",
        ),
    )


def _true(row: Json, baseline: str) -> float:
    losses = row["truth"]["losses"]
    return float(np.mean(losses[PICK]) - np.mean(losses[baseline]))


def regrets(rows: Sequence[Json]) -> Table:
    """What the pick costs against the best of all mixtures that were trained."""
    found = [(row["truth"]["regret"], max(0.01, 0.1 * row["truth"]["worst_less_best"])) for row in rows]
    inside = sum(regret <= limit for regret, limit in found)
    values = [regret for regret, _ in found]
    return Table(
        "Regret of the pick",
        (
            "studies",
            "within max(.01, 10 % of worst less best)",
            "share",
            "median",
            "90th percentile",
            "largest",
        ),
        (
            (
                len(found),
                inside,
                inside / len(found),
                float(np.median(values)),
                float(np.quantile(values, 0.9)),
                max(values),
            ),
        ),
        (
            "Nats per token against the best of the references, the pick and both baselines; the best is "
            "chosen on one half of the documents, the regret measured on the other. Goal: 90 %.",
        ),
    )


def earlier(rows: Sequence[Json]) -> Table | None:
    """The same studies under the version before."""
    asked = [row for row in rows if row["earlier"]]
    if not asked:
        return None
    lines: list[tuple[Cell, ...]] = []
    for row in asked:
        losses, said = row["truth"]["losses"], row["earlier"]
        even = np.mean(losses[EQUAL])
        lines.append(
            (
                row["study"],
                f"{said['predicted'][0]:+.4f}",
                "believed" if said["believed"] else "not believed",
                f"{np.mean(losses[EARLIER_PICK]) - even:+.4f}",
                f"{row['measured'].get(EQUAL, [math.nan])[0]:+.4f}",
                row["verdict"],
                f"{np.mean(losses[PICK]) - even:+.4f}",
                f"{row['truth']['error'][EQUAL]:.4f}",
                f"{said['seconds']:.0f}",
                f"{row['seconds']:.0f}",
            )
        )
    return Table(
        f"Beside {EARLIER}: the same studies, baselines, seeds and text",
        (
            "study",
            "predicted then",
            "badge then",
            "true of that pick",
            "measured now",
            "verdict now",
            "true of this pick",
            "its standard error",
            "seconds then",
            "now, checked",
        ),
        tuple(lines),
        (
            "Nats per token of the target against equal shares; both picks trained at the same fresh seeds. "
            "Seconds are those of the whole process then, and of the study with its check in a process that "
            "runs already now (some 3 seconds less).",
        ),
    )


def small(title: str, rows: Sequence[Json]) -> Table | None:
    """Verdicts of a small family of studies."""
    if not rows:
        return None
    standings = [row["verdict"] for row in rows]
    right = sum(_right(row) for row in rows)
    return Table(
        title,
        ("studies", "confirmed", "not confirmed", "refuted", "not checked", "verdict right"),
        (
            (
                len(rows),
                *(standings.count(s) for s in ("confirmed", "not confirmed", "refuted", "not checked")),
                right,
            ),
        ),
        ("Right: confirmed and not worse, refuted and not better, or left open, by two standard errors.",),
    )


def _right(row: Json) -> bool:
    errors = row["truth"]["error"]
    if row["verdict"] == "confirmed":
        return all(_true(row, name) <= 2 * errors[name] for name in (EQUAL, PROPORTIONAL))
    if row["verdict"] == "refuted":
        return any(_true(row, name) >= -2 * errors[name] for name in (EQUAL, PROPORTIONAL))
    return True


def every(rows: Sequence[Json]) -> Table:
    """All studies."""
    lines: list[tuple[Cell, ...]] = []
    for row in rows:
        settings, truth = row["settings"], row["truth"]
        lines.append(
            (
                row["study"],
                len(settings["pool"]),
                _kind(settings),
                row["verdict"],
                *(f"{_true(row, name):+.4f} ± {truth['error'][name]:.4f}" for name in (EQUAL, PROPORTIONAL)),
                *(_words(row["measured"].get(name)) for name in (EQUAL, PROPORTIONAL)),
                *(_words(row["predicted"].get(name)) for name in (EQUAL, PROPORTIONAL)),
                f"{truth['regret']:.4f}",
                f"{row['seconds']:.0f}",
            )
        )
    return Table(
        "Every study",
        (
            "study",
            "sources",
            "target",
            "verdict",
            "true, to equal",
            "true, to proportional",
            "measured, to equal",
            "to proportional",
            "predicted, to equal",
            "to proportional",
            "regret",
            "seconds",
        ),
        tuple(lines),
        (
            f"Studies {min(REPORTED)} to {max(REPORTED)} of `benchmarks/trust_study.py`; developed on "
            f"0 to 16 and 9000 to {max(DEVELOPED_ON)}. Seconds: the study with its check, two workers.",
        ),
    )


def _kind(settings: Json) -> str:
    weights = settings["target"]["weights"]
    if not weights:
        return "all alike"
    if len(weights) == 1 and next(iter(weights)) in settings["pool"]:
        return "one inside"
    return "outside" if not set(weights) & set(settings["pool"]) else "weighted"


def _words(values: Sequence[float] | None) -> str:
    if values is None or values[1] is None:
        return ""
    return f"{values[0]:+.4f} ({values[1]:+.4f} to {values[2]:+.4f})"


if __name__ == "__main__":
    main()
