"""Checks of directions and units: whether lower is better, and whether metrics can be added."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from cuvee.doctor.finding import Finding, error, note, warning
from cuvee.doctor.subject import Subject
from cuvee.laws.interface import own_sources
from cuvee.quantities import agreeing, counted
from cuvee.question.default_target import is_perplexity
from cuvee.question.said_directions import meant_by
from cuvee.runs.formats.direction import named_direction
from cuvee.runs.formats.part import listed
from cuvee.runs.formats.purpose import no_target
from cuvee.runs.formats.tidy import BY_DEFINITION
from cuvee.types import FloatArray

BITS = frozenset({"bpb", "bpc", "bits"})
NATS = frozenset({"loss", "nll", "nats", "ce"})
WIDE = 100.0
"""Largest value over smallest from which on one metric may hold two units."""
DOMINANT = 0.9
"""Share of the variance of an equal target that one metric may have."""
_BITS_PER_NAT = 1.0 / np.log(2.0)


def said_of_unknown_metrics(subject: Subject) -> Iterator[Finding]:
    """A direction of a metric that is not there, or two directions of one."""
    both = sorted(set(subject.lower) & set(subject.higher))
    absent = [name for name in (*subject.lower, *subject.higher) if not meant_by(name, subject.table_metrics)]
    asked = subject.question
    named = [n for n in (*asked.weights, *asked.guards, *asked.front) if n not in subject.table_metrics]
    if named and not subject.metrics:
        yield error(
            f"metric {listed(named)}",
            f"It is asked of, but the table has no such metric; it has {listed(subject.table_metrics, 8)}.",
            "Write the name as in the table.",
        )
    if both:
        yield error(
            f"metric {listed(both)}", "It is said to be better when lower and when higher.", "Say one."
        )
    if absent:
        yield error(
            f"metric {listed(absent)}",
            f"A direction is said of it, but the table has no such metric; it has"
            f" {listed(subject.table_metrics, 8)}.",
            "Write the name as in the table, a pattern such as 'quiz*', or all.",
        )


def unknown_directions(subject: Subject) -> Iterator[Finding]:
    """Metrics of unknown direction: whether lower is better stands nowhere."""
    asked = [name for name in subject.target if name not in subject.directions]
    others = [n for n in subject.runs.metrics if n not in subject.directions and n not in subject.target]
    others = [name for name in others if not no_target(name, subject.named_texts)]
    if asked:
        grave = error if len(asked) == len(subject.target) else warning
        yield grave(
            f"metric {listed(asked)}",
            f"It is unknown whether {len(asked)} of {counted(len(subject.target), 'metric')} of the target "
            f"{agreeing(len(asked), 'is', 'are')} better"
            " lower or higher, and `cuvee fit` will not guess.",
            f"Say --lower {asked[0]!r} or --higher {asked[0]!r} (or a pattern, or all), or choose others with"
            " --target.",
        )
    elif others and not subject.question.weights:
        yield note(
            f"metric {listed(others)}",
            "It is unknown whether lower is better, and no target names it.",
            f"Say --lower {others[0]!r} or --higher {others[0]!r} before it is named as a target.",
        )


def contradicted_names(subject: Subject) -> Iterator[Finding]:
    """Metrics whose name says the opposite of their direction."""
    for name, way in subject.directions.items():
        known = named_direction(name)
        if known and known.direction != way:
            why = "as you said" if name in subject.said else subject.all_runs.reasons[name]
            yield warning(
                f"metric {name}",
                f"It counts as better when {way} ({why}),"
                f" but {known.reason}, which is better when {known.direction}.",
                f"Look which is right, and say --{known.direction} {name!r} if it is the name.",
            )


def contradicted_by_data(subject: Subject) -> Iterator[Finding]:
    """Metrics that get worse the more there is of their own source."""
    from scipy.stats import spearmanr

    wrong = []
    for index, source in enumerate(own_sources(subject.runs.metrics, subject.runs.sources).tolist()):
        cost = subject.costs[:, index]
        known = np.isfinite(cost)
        share = subject.runs.shares[known, source]
        if source < 0 or known.sum() < 10 or np.ptp(share) == 0 or np.ptp(cost[known]) == 0:
            continue
        name = subject.runs.metrics[index]
        if name in subject.directions and float(spearmanr(share, cost[known]).statistic) > 0.3:
            wrong.append(name)
    if wrong:
        yield warning(
            f"metric {listed(wrong)}",
            "It gets worse the more there is of the source that it is named after. Either its direction is"
            " the other one, or it was joined to the wrong runs.",
            "Look at its unit; an accuracy needs --higher.",
        )


def assumed_losses(subject: Subject) -> Iterator[Finding]:
    """Metrics that count as losses since nothing says what they are."""
    assumed = [
        name
        for name in subject.directions
        if subject.all_runs.reasons.get(name) == BY_DEFINITION.reason and name not in subject.said
    ]
    if assumed:
        yield warning(
            f"metric {listed(assumed)}",
            f"{'It counts as a loss' if len(assumed) == 1 else 'They count as losses'} since columns m: are"
            " losses by definition; no name says so.",
            f"Say --lower {assumed[0]!r} or --higher {assumed[0]!r}, or --lower all.",
        )


def mixed_directions(subject: Subject) -> Iterator[Finding]:
    """Metrics to lower and metrics to raise in one target."""
    ways = {w: [n for n in subject.target if subject.directions.get(n) == w] for w in ("lower", "higher")}
    if all(ways.values()):
        grave = note if subject.question.weights else warning
        yield grave(
            subject.title,
            f"The target adds metrics of two kinds: better when lower: {listed(ways['lower'])}; better when"
            f" higher: {listed(ways['higher'])}. One point of accuracy counts as one nat of loss.",
            "Choose metrics and weights with --target, or make some of them guards.",
        )


def wide_metrics(subject: Subject) -> Iterator[Finding]:
    """Metrics whose values span orders of magnitude, or form two groups in the ratio of two units."""
    for name, values in _values(subject):
        if len(values) < 4 or values.min() <= 0.0:
            continue
        if subject.directions.get(name) != "higher" and values.max() > WIDE * values.min():
            yield warning(
                f"metric {name}",
                f"Its values go from {values.min():.3g} to {values.max():.3g}: two units in one column, or"
                " runs that diverged.",
                "Use one unit; take the logarithm of perplexities.",
            )
        elif unit := _two_units(values):
            yield warning(
                f"metric {name}",
                f"Its values form two groups in the ratio of {unit}.",
                "Look which rows are in which unit, and use one.",
            )


def perplexities_beside_losses(subject: Subject) -> Iterator[Finding]:
    """Perplexities and losses in one target."""
    first = [name for name in subject.target if is_perplexity(name)]
    second = [name for name in subject.target if _words(name) & (NATS | BITS) and name not in first]
    if subject.question.weights and first and second:
        yield warning(
            f"metric {listed(first)}",
            f"These are perplexities, beside losses: {listed(second)}. Added up they do not weigh alike.",
            "Weigh them with --target, or leave --target out: then perplexities enter by their logarithm.",
        )
    elif subject.default.logarithms and not subject.question.weights:
        yield note(
            f"metric {listed(subject.default.logarithms)}",
            "Perplexities enter the target by their logarithm, so that they can be added up.",
            "Nothing; name metrics with --target to have them as they are.",
        )


def bits_beside_nats(subject: Subject) -> Iterator[Finding]:
    """Bits and nats in one target."""
    yield from _beside(subject, BITS, NATS, "bits", "losses, mostly in nats", "convert to one unit")


def percent_beside_fractions(subject: Subject) -> Iterator[Finding]:
    """Accuracies in percent beside accuracies from 0 to 1."""
    fractions, percents, both = [], [], []
    for name, values in _values(subject):
        if subject.directions.get(name) != "higher" or not len(values) or values.min() < 0.0:
            continue
        if name not in subject.target:
            continue
        most = float(values.max())
        if most > 1.5 and (values < 1.0).any() and not (values < 1.0).all() and np.median(values) > 5.0:
            both.append(name)
        elif 0.0 < most <= 1.0:
            fractions.append(name)
        elif 1.5 < most <= 100.0:
            percents.append(name)
    if both:
        yield warning(f"metric {listed(both)}", "Some values are up to 1, others up to 100.", "Use one unit.")
    if fractions and percents:
        yield warning(
            f"metric {listed(percents)}",
            f"It is in percent, while {listed(fractions)} {'is' if len(fractions) == 1 else 'are'} from 0 to"
            " 1: in an equal target percentages count a hundred times as much.",
            "Divide percentages by 100, or weigh metrics with --target.",
        )


def impossible_values(subject: Subject) -> Iterator[Finding]:
    """Losses below zero, perplexities below one, accuracies above a hundred."""
    for name, values in _values(subject):
        named, low, high = named_direction(name), values.min(initial=np.inf), values.max(initial=-np.inf)
        wrong = ""
        if is_perplexity(name) and low < 1.0:
            wrong = f"a perplexity of {low:.9g} is below 1"
        elif named and named.direction == "lower" and low < 0.0:
            wrong = f"a loss of {low:.3g} is below 0"
        elif named and named.direction == "higher" and (low < 0.0 or high > 100.0):
            wrong = f"an accuracy of {low if low < 0.0 else high:.9g} is not from 0 to 100"
        if wrong:
            yield warning(
                f"metric {name}",
                f"Not what its name says: {wrong}.",
                "Look what the column holds; a difference to a baseline is better named so.",
            )


def dominant_metric(subject: Subject) -> Iterator[Finding]:
    """One metric decides an equal target by its scale."""
    known = {name: values[np.isfinite(values)] for name, values in subject.weighed.items()}
    largest = max((float(np.abs(values).max()) for values in known.values() if values.size), default=0.0)
    if largest == 0.0:
        return
    spread = {name: float((values / largest).var()) for name, values in known.items() if values.size}
    total = sum(spread.values())
    if len(spread) < 2 or not total > 0.0:
        return
    name = max(spread, key=lambda one: spread[one])
    if spread[name] / total > DOMINANT:
        yield warning(
            f"metric {name}",
            f"It has {spread[name] / total:.0%} of the variance of the {len(spread)} metrics of the target,"
            " which is decided by it nearly alone.",
            "Weigh metrics with --target, or bring them to one unit.",
        )


def _beside(
    subject: Subject, one: frozenset[str], other: frozenset[str], ones: str, others: str, remedy: str
) -> Iterator[Finding]:
    first = [name for name in subject.target if _words(name) & one]
    second = [name for name in subject.target if _words(name) & other and name not in first]
    if first and second:
        yield warning(
            f"metric {listed(first)}",
            f"These are {ones}, beside {others}: {listed(second)}. Added up they do not weigh alike.",
            f"In a target over both, {remedy}, or weigh them with --target.",
        )


def _two_units(values: FloatArray) -> str:
    """The ratio of two groups of values, if it is one of units; else nothing."""
    logs = np.sort(np.log(values))
    gaps = np.array([b - a for a, b in pairwise(logs)])
    cut = int(gaps.argmax()) + 1
    low, high = logs[:cut], logs[cut:]
    if min(len(low), len(high)) < max(2, len(logs) // 10) or gaps.max() < 2.0 * max(
        np.ptp(low), np.ptp(high)
    ):
        return ""
    ratio = float(np.exp(np.median(high) - np.median(low)))
    if abs(ratio / _BITS_PER_NAT - 1.0) < 0.03:
        return "bits to nats (1.44)"
    return "percentages to fractions (100)" if abs(ratio / 100.0 - 1.0) < 0.05 else ""


def _values(subject: Subject) -> Iterator[tuple[str, FloatArray]]:
    for name, column in zip(subject.runs.metrics, subject.runs.values.T, strict=True):
        yield name, column[np.isfinite(column)]


def _words(name: str) -> set[str]:
    words: Sequence[str] = re.findall("[a-z]+[0-9]*[a-z]*", name.lower())
    return set(words)
