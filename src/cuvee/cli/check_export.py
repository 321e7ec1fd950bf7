"""``cuvee check-export``: what a trainer has really drawn, beside the decision."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cuvee.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cuvee.exporters.draws import Draws
    from cuvee.exporters.realised import Share, ShareComparison


def check_export(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A study, a folder of `cuvee fit`, a decision file, or a JSON file of shares.",
        ),
    ],
    samples: Annotated[
        Path,
        typer.Option(
            "--samples",
            metavar="ORDER",
            help="Samples in training order: CSV or JSON lines with the source of each sample and, if the "
            "trainer writes them, its tokens.",
        ),
    ],
    source_column: Annotated[
        str,
        typer.Option(
            "--source", metavar="COLUMN", help="Column of the source. Default: source, dataset, domain, ..."
        ),
    ] = "",
    token_column: Annotated[
        str,
        typer.Option(
            "--tokens", metavar="COLUMN", help="Column of the tokens. Default: tokens, num_tokens, ..."
        ),
    ] = "",
    path: Annotated[
        list[str] | None,
        typer.Option(
            "--path",
            metavar="SOURCE=NAME",
            help="Name of a source in ORDER, if it is neither its name nor its path.",
        ),
    ] = None,
    mixture: Annotated[
        str,
        typer.Option(
            "--mixture", metavar="NAME", help="Use another mixture of the decision, such as unimax."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Compare the samples that a trainer drew with the decision; exit code 1 if they differ beyond noise."""
    from cuvee.cli.export import paths_given
    from cuvee.cli.output import print_json
    from cuvee.exporters.decided import read_decided
    from cuvee.exporters.draws import read_draws
    from cuvee.exporters.realised import compared
    from cuvee.study.file.folder import CONFIG_NAME
    from cuvee.study.source_facts import facts_beside

    source = source.parent if source.name == CONFIG_NAME else source
    decided = read_decided(source, mixture)
    facts = facts_beside(source)
    called = {place: name for name, fact in facts.items() for place in fact.text}
    called |= {place: name for name, place in paths_given(path, decided.mixture.names).items()}
    draws = read_draws(samples, source_column, token_column)
    found = compared(decided.mixture, draws, called)
    notes = (*decided.notes, *_notes(draws, found))
    if as_json:
        print_json({**found.as_json(), "notes": list(notes)})
    else:
        print_comparison(found)
        for sentence in notes:
            print(f"note: {sentence}", file=sys.stderr)
    if not found.ok:
        raise typer.Exit(1)


def print_comparison(found: "ShareComparison") -> None:
    """A table of shares, and a line that says what differs."""
    from cuvee.cli.output import print_table
    from cuvee.quantities import tally

    print_table(
        f"Drawn: {found.samples:,} samples, {tally(found.tokens)} tokens",
        ["source", "asked", "drawn", "difference", "standard error", "samples", ""],
        [_row(share) for share in found.shares],
    )
    for sentence in _sentences(found):
        print(sentence)


def _row(share: "Share") -> list[str]:
    return [
        share.source,
        f"{share.asked:.2%}",
        f"{share.drawn:.2%}",
        f"{100 * (share.drawn - share.asked):+.2f} points",
        f"{100 * share.error:.2f}",
        f"{share.samples:,}",
        "differs" if share.differs else "",
    ]


def _sentences(found: "ShareComparison") -> "Iterable[str]":
    from cuvee.exporters.realised import BEYOND, PARTS

    if found.ok:
        yield f"Noise explains every difference (up to {BEYOND:.0f} standard errors)."
    for share in found.off:
        yield f"{share.source}: {share.drawn:.2%} of the tokens instead of {share.asked:.2%}, beyond noise."
    if found.off_in_part:
        part, share = found.off_in_part
        yield (
            f"The order is uneven: in part {part} of {PARTS}, {share.source} has {share.drawn:.2%} of the "
            f"tokens instead of {share.asked:.2%}."
        )


def _notes(draws: "Draws", found: "ShareComparison") -> list[str]:
    """What to know of the comparison."""
    notes = []
    if draws.token_column:
        notes.append(f"sources are read from {draws.source_column}, tokens from {draws.token_column}")
    else:
        notes.append(
            f"sources are read from {draws.source_column}; no column has tokens, so every sample counts as "
            "one of equal length"
        )
    if draws.passed_over:
        notes.append(f"{draws.passed_over:,} rows name no source and were passed over")
    if not found.ok:
        notes.append(
            "errors are those of independent draws; where ranks draw alike, count the samples of one rank"
        )
    return notes
