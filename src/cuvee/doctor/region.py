"""Checks of what is asked: bounds, token counts and caps, beside what the runs know."""

import math
from collections.abc import Iterator

import numpy as np

from cuvee.doctor.finding import Finding, error, note, warning
from cuvee.doctor.subject import Subject
from cuvee.errors import CuveeError, InfeasibleRegion
from cuvee.mixture.distance import total_variation
from cuvee.quantities import agreeing, counted, not_percent
from cuvee.runs.formats.part import listed

FEW_EPOCHS = 4.0
"""Up to about so many readings a repeated text is worth nearly a fresh one (arXiv 2305.16264)."""
FAR = 0.1
"""Total variation at which a region is away from a run."""


def unknown_sources(subject: Subject) -> Iterator[Finding]:
    """Bounds or token counts of sources that are not in the table."""
    asked = subject.question
    for option, names in (("--floor", asked.minimum), ("--cap", asked.maximum), ("--tokens", asked.tokens)):
        absent = [name for name in names if name not in subject.runs.sources]
        if absent:
            yield error(
                f"{option} {listed(absent)}",
                f"The table has no such source; it has {listed(subject.runs.sources, 12)}.",
                "Write the name as in the table.",
            )


def bounds_in_percent(subject: Subject) -> Iterator[Finding]:
    """Bounds that are no share."""
    asked = subject.question
    for option, bounds in (("--floor", asked.minimum), ("--cap", asked.maximum)):
        for name, share in bounds.items():
            if not 0.0 <= share <= 1.0:
                yield error(
                    f"{option} {name}={share:g}",
                    "A share is from 0 to 1.",
                    f"{not_percent(share).capitalize()}.",
                )


def missing_token_counts(subject: Subject) -> Iterator[Finding]:
    """Token counts of some sources only."""
    asked = subject.question
    absent = [name for name in subject.runs.sources if name not in asked.tokens]
    empty = [name for name in subject.runs.sources if asked.tokens.get(name) == 0]
    if asked.tokens and absent:
        grave = error if math.isfinite(asked.max_epochs) else warning
        yield grave(
            f"--tokens {listed(absent)}",
            f"{len(absent)} of {counted(len(subject.runs.sources), 'source')} "
            f"{agreeing(len(absent), 'has no token count: its', 'have no token count: their')} epochs cannot"
            " be counted or capped.",
            "Give the tokens of every source.",
        )
    if empty:
        yield warning(f"--tokens {listed(empty)}", "It has no tokens.", "Hold it at zero with --cap.")


def infeasible_region(subject: Subject) -> Iterator[Finding]:
    """Conditions that no mixture meets."""
    try:
        subject.question.region(subject.runs.sources)
    except InfeasibleRegion as refused:
        yield error(
            "the mixtures asked for", f"No mixture is allowed: {refused}.", "Loosen one of these bounds."
        )
    except CuveeError:
        return  # unknown names and missing counts have their own checks


def far_region(subject: Subject) -> Iterator[Finding]:
    """A region in which no run lies."""
    region, runs = subject.region, subject.runs
    if region is None or ((region.lower <= 0.0).all() and (region.upper >= 1.0).all()):
        return
    away = np.array([total_variation(region.project(row).shares, row) for row in runs.shares])
    inside = int((away <= 1e-6).sum())
    if inside:
        return
    nearest = int(away.argmin())
    low, high = runs.shares.min(axis=0), runs.shares.max(axis=0)
    beyond = [
        name for i, name in enumerate(runs.sources) if region.lower[i] > high[i] or region.upper[i] < low[i]
    ]
    why = f" No run has so much or so little of {listed(beyond)} as must be." if beyond else ""
    grave = warning if away[nearest] > FAR or beyond else note
    yield grave(
        "the mixtures asked for",
        f"None of the {len(runs)} runs is among them; the nearest, {runs.keys[nearest]}, is"
        f" {away[nearest]:.1%} of all tokens away.{why} There a law only guesses.",
        "Loosen the bounds, or add runs within them.",
    )


def repetition(subject: Subject) -> Iterator[Finding]:
    """Sources that the mixture may repeat many times, without a cap."""
    asked, region = subject.question, subject.region
    known = [name for name in subject.runs.sources if asked.tokens.get(name, 0) > 0]
    if (
        region is None
        or not known
        or not math.isfinite(asked.target_tokens)
        or math.isfinite(asked.max_epochs)
    ):
        return
    upper = dict(zip(region.names, region.upper.tolist(), strict=True))
    epochs = {name: upper[name] * asked.target_tokens / asked.tokens[name] for name in known}
    many = [name for name in known if epochs[name] > FEW_EPOCHS]
    if many:
        counts = listed([f"{name} {epochs[name]:.3g}" for name in many], 6)
        yield warning(
            f"source {listed(many)}",
            f"The mixture may read it more than {FEW_EPOCHS:g} times; at most: {counts} epochs. The runs"
            " cannot warn of that unless they repeated it as often.",
            f"Say --max-epochs {FEW_EPOCHS:g}, or cap the source.",
        )


def unrepeated_runs(subject: Subject) -> Iterator[Finding]:
    """Sources that the target will repeat and the runs did not."""
    asked, runs = subject.question, subject.runs
    if not math.isfinite(asked.target_tokens) or not np.isfinite(runs.tokens).all():
        return
    names = []
    for index, name in enumerate(runs.sources):
        if tokens := asked.tokens.get(name, 0):
            then = float((runs.shares[:, index] * runs.tokens).max()) / tokens
            later = float(np.median(runs.shares[:, index])) * asked.target_tokens / tokens
            names += [name] if later > 1.0 >= then else []
    if names:
        yield note(
            f"source {listed(names)}",
            "The target run would read it more than once at the shares of the runs, and no run did: the runs"
            " show every source as if it were endless.",
            "Make the small runs on so small a part of each source that they repeat it as the target will.",
        )
