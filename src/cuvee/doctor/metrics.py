"""Checks of the metrics: whether they are metrics, and whether shares can explain them."""

from collections.abc import Iterator

import numpy as np

from cuvee.doctor.finding import Finding, error, note, warning
from cuvee.doctor.subject import Subject
from cuvee.laws.interface import own_sources
from cuvee.precision import Precision
from cuvee.quantities import agreeing, counted
from cuvee.runs.formats.part import listed
from cuvee.runs.formats.purpose import TRAINING, no_target
from cuvee.types import FloatArray

FAR = 8.0
"""Robust standard deviations at which one value stands apart."""
FEWEST = 20
"""Values of a metric from which one can be said to stand apart."""
ONE_IN = 8
"""At most one in so many runs is taken for an accident."""
FEWEST_OF_COUNTER = 5
DIVERGED = 4.0
"""Robust standard deviations by which a diverged run is worse, in the median of its metrics."""
UNEXPLAINED = 0.01
"""Chance that shuffled values fit as well, from which on a metric does not look like one of mixtures."""


def constant_metrics(subject: Subject) -> Iterator[Finding]:
    """Metrics that are the same in all runs."""
    constant = [name for name, values in _columns(subject) if len(values) > 1 and np.ptp(values) == 0.0]
    if constant and len(subject.runs) > 1:
        grave = error if len(constant) == len(subject.runs.metrics) else warning
        yield grave(
            f"metric {listed(constant)}",
            "It has one value in all runs: nothing can be learnt from it.",
            "Leave it out; look whether its evaluation ran on the right checkpoint.",
        )


def missing_values(subject: Subject) -> Iterator[Finding]:
    """Metrics that not all runs have."""
    total = len(subject.runs)
    gaps = [(name, len(values)) for name, values in _columns(subject) if 0 < len(values) < total]
    if gaps:
        counts = listed([f"{name} {count}" for name, count in gaps], 6)
        yield warning(
            f"metric {listed([name for name, _ in gaps])}",
            f"Not measured in all {total} runs; measured in: {counts}. If a value is missing because a run"
            " went badly, what is left looks better than it is.",
            "Measure the rest, or leave the metric out of the target.",
        )


def never_measured(subject: Subject) -> Iterator[Finding]:
    """Metrics without any value, or no metric at all."""
    if not subject.runs.metrics:
        yield error(subject.title, "There is no metric.", "Add columns m:<metric> or a file of metrics.")
    empty = [name for name, values in _columns(subject) if not len(values)]
    if empty:
        grave = error if len(empty) == len(subject.runs.metrics) else warning
        yield grave(
            f"metric {listed(empty)}", "It has no value at this scale.", "Leave it out, or measure it."
        )


def diverged_runs(subject: Subject) -> Iterator[Finding]:
    """Runs that are far worse than the others in most metrics."""
    far = _robust_scores(subject)
    typical = np.array([np.nanmedian(row) if np.isfinite(row).any() else 0.0 for row in far])
    bad = np.flatnonzero(typical > DIVERGED)
    # Many such runs are another kind of run, and no accident.
    if 0 < bad.size <= len(subject.runs) // ONE_IN:
        least = float(typical[bad].min())
        yield warning(
            f"run {listed([subject.runs.keys[i] for i in bad])}",
            f"It is worse than the others by {Precision.alone(least).word(least)} robust standard deviations"
            " or more in half of its metrics, as a run that diverged.",
            "Look at its training curve, and leave it out if it diverged: one such run can turn a law.",
        )


def outlying_values(subject: Subject) -> Iterator[Finding]:
    """Single values that stand far from all others."""
    far = np.abs(np.nan_to_num(_robust_scores(subject)))
    for index, name in enumerate(subject.runs.metrics):
        rows = np.flatnonzero(far[:, index] > FAR)
        # Many values far from the rest are a shape, such as that of runs without a source, and no accident.
        measured = int(np.isfinite(subject.runs.values[:, index]).sum())
        if measured >= FEWEST and 0 < rows.size <= max(1, measured // 50):
            values, middle = subject.runs.values[:, index], float(np.nanmedian(subject.runs.values[:, index]))
            others = np.delete(values, rows)
            exact = Precision.of([middle], spread=float(np.nanmax(others) - np.nanmin(others)))
            places = [f"{subject.runs.keys[i]} ({exact.word(float(values[i]))})" for i in rows]
            yield warning(
                f"metric {name}",
                f"Far from all other runs (median {exact.word(middle)}): {listed(places, 4)}.",
                "Look at these runs; a slip in a cell or a run that broke off is better left empty.",
            )


def unexplained_metrics(subject: Subject) -> Iterator[Finding]:
    """Metrics that shuffled values would fit as well, as after a join by position."""
    unexplained = [
        name
        for index, name in enumerate(subject.runs.metrics)
        if _chance(subject.runs.shares, subject.runs.values[:, index]) > UNEXPLAINED
    ]
    if unexplained:
        every = "No metric has" if len(unexplained) == len(subject.runs.metrics) else "It has no"
        yield warning(
            f"metric {listed(unexplained)}",
            f"{every} linear relation to the shares that chance would not give as well. Metrics that were"
            " joined to the wrong runs look like this, and so does noise.",
            "Compare a few rows with the logs of their runs.",
        )


def copied_metrics(subject: Subject) -> Iterator[Finding]:
    """Two metrics with the same values in all runs."""
    first: dict[bytes, str] = {}
    for name, column in zip(subject.runs.metrics, subject.runs.values.T, strict=True):
        values = column[np.isfinite(column)]
        if len(values) < 3 or np.ptp(values) == 0.0:
            continue
        other = first.setdefault(np.ascontiguousarray(column).tobytes(), name)
        if other != name:
            yield warning(
                f"metric {name}",
                f"It has the values of {other} in all runs: one was copied, or a cache answered for it.",
                "Leave one of them out, or it counts twice; measure again the one that is wrong.",
            )


def metrics_like_shares(subject: Subject) -> Iterator[Finding]:
    """Columns of shares among the metrics."""
    runs = subject.runs
    alike = []
    for name, column in zip(runs.metrics, runs.values.T, strict=True):
        if np.isfinite(column).all() and np.ptp(column) > 0.0:
            same = np.abs(runs.shares - column[:, np.newaxis]).max(axis=0) < 1e-6
            same |= np.abs(100.0 * runs.shares - column[:, np.newaxis]).max(axis=0) < 1e-4
            alike += [name] if same.any() else []
    whole = len(runs.metrics) > 1 and len(runs) > 1 and np.isfinite(runs.values).all()
    if whole and runs.values.min() >= 0.0 and np.abs(runs.values.sum(axis=1) - 1.0).max() < 0.02:
        alike = list(runs.metrics)
    if alike:
        yield warning(
            f"metric {listed(alike)}",
            "It looks like shares, not like something that was measured: it equals the shares of a source, or"
            " all metrics of a run sum to one.",
            "Call columns of shares w:<source>, or leave this one out.",
        )


def metrics_like_ids(subject: Subject) -> Iterator[Finding]:
    """Counters, steps, times and rates among the metrics."""
    alike = []
    for name, values in _columns(subject):
        counter = len(values) >= FEWEST_OF_COUNTER and np.array_equal(
            np.diff(values), np.ones(len(values) - 1)
        )
        why = no_target(name, subject.named_texts)
        if why not in ("", TRAINING):
            alike.append(f"{name} ({why})")
        elif counter:
            alike.append(f"{name} (it counts the rows)")
    if alike:
        yield warning(
            f"metric {listed(alike)}",
            "It is no measure of a mixture. It is left out of the target where none is named.",
            "Choose metrics with --target, or take the column out.",
        )


def training_losses(subject: Subject) -> Iterator[Finding]:
    """Losses on the stream that a run is trained on."""
    alike = [name for name in subject.runs.metrics if no_target(name) == TRAINING]
    if alike:
        yield warning(
            f"metric {listed(alike)}",
            "It is measured on the run's own training stream, which the mixture itself changes: it falls by"
            " choosing easy text. It is left out of the target where none is named.",
            "Take the losses on held-out text.",
        )


def left_out_of_target(subject: Subject) -> Iterator[Finding]:
    """Metrics that are no part of the default target."""
    if (sentence := subject.default.sentence()) and not subject.question.weights:
        yield warning(subject.title, sentence, "Nothing, if the others are what matters.")


def no_metric_left(subject: Subject) -> Iterator[Finding]:
    """A default target without any metric."""
    if subject.runs.metrics and not subject.target:
        yield error(subject.title, "No metric is left for the target.", "Add one, or name one with --target.")


def own_domain(subject: Subject) -> Iterator[Finding]:
    """Metrics on held-out text of a source that is trained on."""
    own = own_sources(subject.runs.metrics, subject.runs.sources)
    pairs = [f"{subject.runs.metrics[i]} ({subject.runs.sources[s]})" for i, s in enumerate(own) if s >= 0]
    if pairs:
        yield note(
            f"metric {listed(pairs, 4)}",
            f"{len(pairs)} of {counted(len(own), 'metric')} {agreeing(len(pairs), 'is', 'are')} measured "
            "on text of a source, as their names say. Each"
            " asks for more of its own source, and improves by near copies of its training text too.",
            "Weigh them by what the model is for, and keep the held-out text free of copies.",
        )


def _columns(subject: Subject) -> Iterator[tuple[str, FloatArray]]:
    """Each metric with the values that were measured."""
    for name, column in zip(subject.runs.metrics, subject.runs.values.T, strict=True):
        yield name, column[np.isfinite(column)]


def _robust_scores(subject: Subject) -> FloatArray:
    """How far each cost [R, E] is above the median, in robust standard deviations; NaN where not measured."""
    result = np.full(subject.costs.shape, np.nan)
    for index, column in enumerate(subject.costs.T):
        known = np.isfinite(column)
        values = column[known]
        if not values.size:
            continue
        centre = np.median(values)
        # Costs have a long upper side: runs without a source. Its own width is the measure there.
        for side in (values > centre, values <= centre):
            width = 1.4826 * float(np.median(np.abs(values[side] - centre))) if side.any() else 0.0
            if width > 0.0:
                place = np.flatnonzero(known)[side]
                result[place, index] = (values[side] - centre) / width
    return result


def _chance(shares: FloatArray, column: FloatArray) -> float:
    """Probability of so good a linear fit of values without any relation to the shares; 0 if too few."""
    from scipy.stats import f

    known = np.isfinite(column)
    values = column[known]
    if len(values) < 3 or np.ptp(values) == 0.0:
        return 0.0
    fitted, _, rank, _ = np.linalg.lstsq(shares[known], values, rcond=None)
    freedom = len(values) - int(rank)
    if freedom < 10 or rank < 2:
        return 0.0
    left = float(((values - shares[known] @ fitted) ** 2).sum())
    explained = float(((values - values.mean()) ** 2).sum()) - left
    if left <= 0.0:
        return 0.0
    return float(f.sf(explained / (int(rank) - 1) / (left / freedom), int(rank) - 1, freedom))
