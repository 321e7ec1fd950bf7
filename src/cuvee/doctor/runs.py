"""Checks of the runs: how many, how often the same, how alike."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from cuvee.decisions.fit.verdict import FEWEST_TO_JUDGE
from cuvee.doctor.finding import Finding, error, note, warning
from cuvee.doctor.subject import Subject
from cuvee.laws.registry import LAWS
from cuvee.quantities import agreeing, counted
from cuvee.question.question import LAW, LAWS_COMPARED
from cuvee.runs.formats.counts import SMALL
from cuvee.runs.formats.marks import SIZE_COLUMNS
from cuvee.runs.formats.part import COUNT_FACTS, listed
from cuvee.runs.formats.purpose import SETTING, no_target
from cuvee.types import FloatArray

FEWEST_FOR_FIT = 3
HARDLY_MORE = 1.2
"""Spread over mixtures, in units of the noise of one run, that is taken for noise."""
_TOKENIZER_WORDS = ("tokenizer", "tokeniser", "vocab")
_SPLITS = ("split", "subset", "fold")


def one_run(subject: Subject) -> Iterator[Finding]:
    """Too few runs for any law."""
    count = len(subject.runs)
    if count < FEWEST_FOR_FIT:
        yield error(
            subject.title,
            f"There {'is one run' if count == 1 else f'are {count} runs'} of one scale; a law that can be"
            f" checked needs {FEWEST_FOR_FIT}.",
            f"Add runs of other mixtures; {subject_size(subject)} are a beginning.",
        )


def all_equal(subject: Subject) -> Iterator[Finding]:
    """All runs have the same mixture."""
    if len(subject.runs) > 1 and np.ptp(subject.runs.shares, axis=0).max() < 1e-9:
        yield error(
            subject.title,
            f"All {len(subject.runs)} runs have the same mixture: nothing can be learnt about shares.",
            "Add runs of other mixtures.",
        )


def fewer_runs_than_sources(subject: Subject) -> Iterator[Finding]:
    """Not even a straight line in each share is determined."""
    mixtures, sources = _mixtures(subject), len(subject.runs.sources)
    if len(subject.runs) >= FEWEST_FOR_FIT and 1 < mixtures < sources:
        yield warning(
            subject.title,
            f"There are {mixtures} different mixtures for {sources} sources: even a linear law is not"
            " determined by them, and what it says of single sources comes from its prior.",
            f"Add runs, at least {subject_size(subject)}, or lay sources together.",
        )


def fewer_runs_than_parameters(subject: Subject) -> Iterator[Finding]:
    """A law has more numbers to fit than there are runs with the metric that was measured least."""
    sources, runs = len(subject.runs.sources), subject.runs
    measured = int(np.isfinite(runs.values).sum(axis=0).min()) if runs.metrics else 0
    needs = {name: law.parameters(sources) for name, law in LAWS.items()}
    short = {name: need for name, need in needs.items() if need > measured}
    if not short or measured < FEWEST_FOR_FIT:
        return
    listing = listed([f"{name} {need}" for name, need in short.items()], 8)
    chosen = subject.question.law or LAW
    grave = warning if chosen in short else note
    yield grave(
        subject.title,
        f"{measured} runs are fewer than the numbers that these laws fit for a metric: {listing}.",
        "What the runs leave open comes from the prior of the law or stays arbitrary. Add runs, or choose a"
        f" law by its score on left-out runs among {', '.join(LAWS_COMPARED)}.",
    )


def few_for_held_out(subject: Subject) -> Iterator[Finding]:
    """Too few runs to tell a good law from a bad one."""
    count = _mixtures(subject)
    if FEWEST_FOR_FIT <= count < FEWEST_TO_JUDGE:
        yield warning(
            subject.title,
            f"{count} different mixtures are too few to judge laws on runs left out: ranks of so few agree by"
            " chance.",
            f"Have at least {FEWEST_TO_JUDGE}, and believe wide intervals more than a good score.",
        )


def few_complete_runs(subject: Subject) -> Iterator[Finding]:
    """Few runs have every metric, as a target over all of them needs."""
    measured = np.isfinite(subject.runs.values)
    complete = int(measured.all(axis=1).sum())
    if measured.shape[1] > 1 and complete < FEWEST_FOR_FIT <= len(subject.runs):
        yield warning(
            subject.title,
            f"{complete} of {counted(len(subject.runs), 'run')} {agreeing(complete, 'has', 'have')} all "
            f"{measured.shape[1]} metrics, so that a target"
            " over all of them cannot be fitted.",
            "Choose metrics that were measured together with `cuvee fit --target`.",
        )


def duplicates(subject: Subject) -> Iterator[Finding]:
    """Rows that agree in the mixture and in every metric."""
    copies = []
    for rows in subject.repeated:
        values = np.nan_to_num(subject.runs.values[rows], nan=np.inf)
        _, first = np.unique(values, axis=0, return_index=True)
        copies += [subject.runs.keys[row] for i, row in enumerate(rows.tolist()) if i not in first]
    if copies and subject.runs.metrics:
        yield warning(
            subject.title,
            f"{counted(len(copies), 'row')} {agreeing(len(copies), 'repeats', 'repeat')} another row in "
            "mixture and in "
            f"every metric: {listed(copies)}. Counted"
            " twice, a run makes noise look smaller than it is.",
            "Keep one of each; true repetitions differ in their last digits.",
        )


def replicates(subject: Subject) -> Iterator[Finding]:
    """Runs of one mixture, whose differences are the noise of one run."""
    noise = _noise(subject)
    known = [i for i in range(len(noise)) if noise[i] > 0]
    if known:
        listing = listed([f"{subject.runs.metrics[i]} {noise[i]:.2g}" for i in known], 4)
        yield note(
            subject.title,
            f"{sum(map(len, subject.repeated))} runs share their mixture with another run. By their"
            f" differences the standard deviation of one run is: {listing}.",
            "Nothing: no law can predict single runs better than this.",
        )


def within_noise(subject: Subject) -> Iterator[Finding]:
    """Metrics in which other mixtures differ no more than repetitions of one."""
    noise = _noise(subject)
    repetitions = sum(map(len, subject.repeated)) - len(subject.repeated)
    if repetitions < FEWEST_FOR_FIT or _mixtures(subject) < FEWEST_FOR_FIT:
        return
    known = [column[np.isfinite(column)] for column in subject.runs.values.T]
    spread = np.array([values.std() if len(values) else np.nan for values in known])
    small = np.flatnonzero((noise > 0) & (spread < HARDLY_MORE * noise))
    if small.size:
        names = [subject.runs.metrics[i] for i in small]
        yield warning(
            f"metric {listed(names)}",
            "Runs of other mixtures differ hardly more than repetitions of one mixture: the mixture is not"
            " what moves this metric.",
            "Leave it out of the target, measure it on more text, or make longer runs.",
        )


def several_scales(subject: Subject) -> Iterator[Finding]:
    """Runs of several sizes or lengths in one table."""
    if sentence := subject.scales.sentence(subject.scale, subject.question.target_tokens):
        yield warning(
            subject.title,
            f"{sentence} Size moves losses more than mixture does.",
            "Choose another with --where, such as params=..., tokens=..., size=... or step=..., or name the"
            " tokens of your run with --target-tokens.",
        )


def evaluation_points(subject: Subject) -> Iterator[Finding]:
    """The same run several times, at different steps."""
    if subject.scales.curves:
        yield note(
            subject.title,
            f"{len(subject.all_runs)} rows are of fewer runs at several points. Rows of one run share its"
            f" luck, so that each counts once: {len(subject.runs)} runs.",
            "Nothing, if that is what was meant; choose one point with --where step=... or tokens=...",
        )


def tiny_counts(subject: Subject) -> Iterator[Finding]:
    """Parameters or tokens that no model has: counts in millions or billions."""
    for name in COUNT_FACTS:
        values = getattr(subject.all_runs.observations, name)
        tiny = values[(values > 0.0) & (values < SMALL)]
        if tiny.size:
            yield warning(
                f"column {name}",
                f"{counted(tiny.size, 'run')} {agreeing(tiny.size, 'has', 'have')} {tiny.min():g} to "
                f"{tiny.max():g} {name}, as if the unit were a"
                " million or a billion. They are read as they stand.",
                "Write the counts, or 60M and 1.4B.",
            )


def several_tokenizers(subject: Subject) -> Iterator[Finding]:
    """Losses per token of different tokenizers."""
    for name, column in subject.all_runs.labels.items():
        values = sorted({value for value in column if value})
        if any(word in name.lower() for word in _TOKENIZER_WORDS) and len(values) > 1:
            yield warning(
                f"column {name}",
                f"The runs use several: {listed(values)}. Losses per token of different tokenizers cannot be"
                " compared, and shares in tokens mean other texts.",
                f"Choose one with --where {name}=..., or measure bits per byte.",
            )


def differing_settings(subject: Subject) -> Iterator[Finding]:
    """Learning rates, batch sizes and the like that are not the same in the runs that are compared."""
    for name, column in subject.one_scale.labels.items():
        values = sorted({value for value in column if value})
        if len(values) > 1 and no_target(name) == SETTING and name.lower() not in SIZE_COLUMNS:
            yield warning(
                f"column {name}",
                f"The runs differ in it: {listed(values)}. What it does to them is taken for noise, or for"
                " what shares do.",
                f"Choose one with --where {name}=..., if it is no decoration.",
            )


def several_splits(subject: Subject) -> Iterator[Finding]:
    """Rows for fitting and rows for testing in one table."""
    for name in _SPLITS:
        values = sorted({value for value in subject.all_runs.labels.get(name, ()) if value})
        if len(values) > 1:
            yield note(
                f"column {name}",
                f"The rows are divided into {listed(values)}; `cuvee fit` uses all that are given to it.",
                f"Say --where {name}={values[-1]} to keep the others for a test of your own.",
            )


def mixed_estimands(subject: Subject) -> Iterator[Finding]:
    """Rows that stand for different things, or came to be differently."""
    runs = subject.runs
    for column, values in (("estimand", set(runs.estimand)), ("kind", set(runs.kind))):
        if len(values) > 1:
            yield warning(
                f"column {column}",
                f"The rows differ in it: {listed(sorted(values))}. A law fitted to all of them explains that"
                " difference by shares.",
                f"Choose one with --where {column}=...",
            )


def subject_size(subject: Subject) -> str:
    """How many runs are a good beginning, in words."""
    return f"{max(FEWEST_TO_JUDGE, 2 * len(subject.runs.sources))} runs"


def _mixtures(subject: Subject) -> int:
    ordered = subject.runs.shares[np.lexsort(subject.runs.shares.T[::-1])]
    return 1 + sum(bool(np.abs(a - b).max() > 1e-9) for a, b in pairwise(ordered))


def _noise(subject: Subject) -> FloatArray:
    """Standard deviation [E] within groups of repeated mixtures, pooled; NaN where there are none."""
    values = subject.runs.values
    squares, freedom = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for rows in subject.repeated:
        known = np.isfinite(values[rows])
        count = known.sum(axis=0)
        mean = np.where(known, values[rows], 0.0).sum(axis=0) / np.maximum(count, 1)
        squares += (np.where(known, values[rows] - mean, 0.0) ** 2).sum(axis=0)
        freedom += np.maximum(count - 1, 0)
    result: FloatArray = np.sqrt(
        np.divide(squares, freedom, out=np.full_like(squares, np.nan), where=freedom > 0)
    )
    return result
