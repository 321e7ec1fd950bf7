"""``cuvee doctor``: what is wrong with a table of runs, before compute is spent on it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cuvee.cli.fit import (
    Caps,
    Floors,
    Guards,
    Higher,
    Lower,
    MaxEpochs,
    Tables,
    Targets,
    TargetTokens,
    Tokens,
    Without,
)
from cuvee.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cuvee.doctor.finding import Diagnosis

FIT = Path("fit")
"""Where `cuvee fit` puts its answer; one that lies there is compared with the table."""


def doctor(
    tables: Tables,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="COLUMN=VALUE", help="Check only these rows, such as split=train."),
    ] = None,
    without: Without = None,
    target: Targets = None,
    guard: Guards = None,
    lower: Lower = None,
    higher: Higher = None,
    cap: Caps = None,
    floor: Floors = None,
    tokens: Tokens = None,
    target_tokens: TargetTokens = None,
    max_epochs: MaxEpochs = None,
    as_json: AsJson = False,
) -> None:
    """Check a table of runs for known problems; exit code 1 if one is serious."""
    import math

    from cuvee.cli import given
    from cuvee.cli.output import print_json, show
    from cuvee.doctor.diagnosis import diagnose
    from cuvee.question.question import Question

    question = Question(
        weights=given.weights(target, "--target"),
        guards=given.numbers(guard, "--guard"),
        maximum=given.numbers(cap, "--cap"),
        minimum=given.numbers(floor, "--floor"),
        tokens=given.counts(tokens, "--tokens"),
        target_tokens=math.nan if target_tokens is None else target_tokens,
        max_epochs=math.nan if max_epochs is None else max_epochs,
    )
    rows = given.pairs(where, "--where")
    found = diagnose(tables, rows, lower or (), higher or (), question, FIT, without or ())
    if as_json:
        print_json(found.as_json())
    else:
        show(tuple(_printout(found)))
    if not found.ok:
        raise typer.Exit(1)


def _printout(diagnosis: "Diagnosis") -> "Iterator[str]":
    """The findings by severity, a paragraph each, and a line on all."""
    import textwrap

    from cuvee.doctor.finding import SEVERITIES

    for severity in SEVERITIES:
        for finding in diagnosis.of(severity):
            yield f"{severity}: {finding.where} [{finding.check}]"
            for sentence in (finding.what, finding.remedy):
                yield textwrap.fill(sentence, 100, initial_indent="  ", subsequent_indent="  ")
            yield ""
    yield diagnosis.summary
