"""``cuvee export``: a mixture in the format of a trainer."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cuvee.cli.given import count_of
from cuvee.cli.names import TRAINERS, one_of
from cuvee.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cuvee.exporters.decided import Decided
    from cuvee.exporters.interface import SourceFacts


def export(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="PATH",
            help="A study, a folder of `cuvee fit`, a decision file, or a JSON file of shares.",
        ),
    ] = None,
    to: Annotated[
        str, typer.Option("--to", metavar="TRAINER", help=f"{one_of(TRAINERS)} --list says more of each.")
    ] = "",
    path: Annotated[
        list[str] | None,
        typer.Option(
            "--path",
            metavar="SOURCE=PATH",
            help="Data path of a source in the exported file. Default: its path in the study, or its name.",
        ),
    ] = None,
    tokens: Annotated[
        list[str] | None,
        typer.Option(
            "--tokens", metavar="SOURCE=COUNT", help="Unique tokens of a source. Default: those of the study."
        ),
    ] = None,
    documents: Annotated[
        list[str] | None,
        typer.Option(
            "--documents",
            metavar="SOURCE=COUNT",
            help="Documents of a source, such as web=1e6. Default: those of the study.",
        ),
    ] = None,
    target_tokens: Annotated[
        float | None,
        typer.Option(
            "--target-tokens",
            metavar="COUNT",
            parser=count_of("tokens"),
            help="Training tokens of the run, such as 25B.",
        ),
    ] = None,
    sequence_length: Annotated[int, typer.Option("--sequence-length", help="Tokens per sample.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Random seed, for trainers that sample.")] = 0,
    mixture: Annotated[
        str,
        typer.Option(
            "--mixture", metavar="NAME", help="Use another mixture of the decision, such as unimax."
        ),
    ] = "",
    out: Annotated[Path | None, typer.Option("--out", help="Output file. Default: standard output.")] = None,
    list_trainers: Annotated[bool, typer.Option("--list", help="List all trainers and exit.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a mixture in the format of a trainer, with a note on what the format cannot express."""
    from cuvee.cli.given import counts
    from cuvee.cli.output import print_json
    from cuvee.errors import ConfigError
    from cuvee.exporters.decided import UNNAMED_RUN, read_decided
    from cuvee.exporters.interface import ExportRequest
    from cuvee.exporters.registry import exporter_named
    from cuvee.files import write_text
    from cuvee.study.answers import stale_note
    from cuvee.study.file.folder import CONFIG_NAME
    from cuvee.study.source_facts import facts_beside

    if list_trainers:
        print_trainers(as_json)
        return
    if source is None or not to:
        raise ConfigError("say what to export and where to: cuvee export PATH --to TRAINER (see --list)")
    exporter = exporter_named(to)
    source = source.parent if source.name == CONFIG_NAME else source
    decided = read_decided(source, mixture)
    known = [one for one in decided.notes if target_tokens is None or one != UNNAMED_RUN]
    notes = (*known, *(stale_note(decided.path) if decided.path else ()))
    facts = _facts(
        decided,
        facts_beside(source),
        counts(tokens, "--tokens"),
        counts(documents, "--documents"),
        paths_given(path, decided.mixture.names),
    )
    run = decided.target_tokens if target_tokens is None else target_tokens
    written = exporter.export(ExportRequest(decided.mixture, facts, run, sequence_length, seed))
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text(out, written.text)
    if as_json:
        print_json(
            {
                "trainer": exporter.name,
                "unit": exporter.unit,
                "filename": exporter.filename,
                "text": written.text,
                "cannot": list(written.cannot),
                "notes": list(notes),
            }
        )
        return
    if out is None:
        print(written.text, end="")
    for sentence in (*notes, *written.cannot):
        print(f"note: {sentence}", file=sys.stderr)


def _facts(
    decided: "Decided",
    study: "Mapping[str, SourceFacts]",
    tokens: dict[str, int],
    documents: dict[str, int],
    paths: dict[str, str],
) -> "dict[str, SourceFacts]":
    """What is known of each source: as given, else as decided for, else as the study has it."""
    from dataclasses import replace

    from cuvee.exporters.interface import SourceFacts

    facts = {}
    for name in {**dict.fromkeys(decided.mixture.names), **tokens, **documents}:
        fact = study.get(name, SourceFacts())
        fact = fact.of_tokens(tokens.get(name, decided.tokens.get(name, fact.tokens)))
        fact = replace(fact, path=paths.get(name, ""))
        if name in documents:
            fact = replace(fact, documents=documents[name], by_study=False)
        facts[name] = fact
    return facts


def paths_given(given: list[str] | None, names: tuple[str, ...]) -> dict[str, str]:
    """``SOURCE=PATH``; a path may hold equals signs (``day=01``), so that the source's name divides.

    Raises:
        ConfigError: no source of the mixture stands in front, or one stands there twice.
    """
    from cuvee.errors import ConfigError

    result: dict[str, str] = {}
    for text in given or ():
        fitting = [name for name in names if text.startswith(f"{name}=") and text != f"{name}="]
        if not fitting:
            raise ConfigError(f"--path {text}: say SOURCE=PATH; the sources are: {', '.join(names)}")
        name = max(fitting, key=len)
        if name in result:
            raise ConfigError(f"--path {text}: {name!r} was given before")
        result[name] = text.removeprefix(f"{name}=")
    return result


def print_trainers(as_json: bool) -> None:
    """All trainers and what a weight counts there."""
    from cuvee.cli.output import print_json, print_table
    from cuvee.exporters.registry import EXPORTERS

    if as_json:
        keys = ("name", "title", "version", "read_from", "documentation", "unit", "tokens", "filename")
        print_json({"trainers": [{key: getattr(one, key) for key in keys} for one in EXPORTERS.values()]})
        return
    print_table(
        "Trainers",
        ["name", "trainer", "version", "a weight counts", "file"],
        [[one.name, one.title, one.version, one.unit, one.filename] for one in EXPORTERS.values()],
    )
