"""``cuvee fit`` and ``cuvee optimise``: from a table of runs to a mixture that can be defended."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cuvee.cli.given import count_of
from cuvee.cli.names import DEFAULT_LAW, LAWS, one_of
from cuvee.cli.options import AsJson

if TYPE_CHECKING:
    from cuvee.flows.fit.flow import FitResult
    from cuvee.question.question import Question
    from cuvee.question.runs import Runs

Tables = Annotated[
    list[Path],
    typer.Argument(
        metavar="TABLE...",
        help="Tables of runs: mixtures and metrics, in one file or several. The format is detected.",
        show_default=False,
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="METRIC[=WEIGHT]",
        help="Metric to improve. Default: all metrics, equally weighted.",
    ),
]
Lower = Annotated[
    list[str] | None,
    typer.Option(
        "--lower",
        metavar="METRIC",
        help="Metrics that are better when lower: a name, a pattern such as 'quiz*', or all.",
    ),
]
Higher = Annotated[
    list[str] | None,
    typer.Option("--higher", metavar="METRIC", help="Metrics that are better when higher; see --lower."),
]
Guards = Annotated[
    list[str] | None,
    typer.Option(
        "--guard",
        metavar="METRIC=SLACK",
        help="Constraint: METRIC may be worse than the baseline by at most SLACK.",
    ),
]
Aims = Annotated[
    str | None,
    typer.Option(
        "--aim",
        metavar="mean|worst",
        help="Objective: the weighted mean, or the worst change against the baseline.",
    ),
]
BaselineName = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="NAME",
        help="Baseline: a run's name, uniform, proportional or unimax. Default: "
        "proportional if --tokens are given.",
    ),
]
Caps = Annotated[
    list[str] | None, typer.Option("--cap", metavar="SOURCE=SHARE", help="Maximum share of a source.")
]
Floors = Annotated[
    list[str] | None, typer.Option("--floor", metavar="SOURCE=SHARE", help="Minimum share of a source.")
]
Tokens = Annotated[
    list[str] | None,
    typer.Option("--tokens", metavar="SOURCE=COUNT", help="Unique tokens of a source, such as web=2e9."),
]
TargetTokens = Annotated[
    float | None,
    typer.Option(
        "--target-tokens",
        metavar="COUNT",
        parser=count_of("tokens"),
        help="Training tokens of the target run, such as 25e9 or 25B.",
    ),
]
TargetParams = Annotated[
    float | None,
    typer.Option(
        "--target-params",
        metavar="COUNT",
        parser=count_of("params"),
        help="Model parameters of the target run, for laws of several scales.",
    ),
]
MaxEpochs = Annotated[float | None, typer.Option("--max-epochs", help="Maximum epochs of a source.")]
Prior = Annotated[
    float | None,
    typer.Option(
        "--prior", help="Penalty on the KL divergence from the baseline, in units of the target per nat."
    ),
]
LawName = Annotated[
    str | None,
    typer.Option(
        "--law",
        metavar="NAME",
        help=f"Law to minimise. Default: {DEFAULT_LAW}, unless another predicts clearly better on "
        f"left-out runs. {one_of(LAWS)}",
    ),
]
Transport = Annotated[
    Path | None,
    typer.Option(
        "--transport",
        metavar="FILE",
        help="Distances of mixtures to a target, the transport.json of `cuvee value --method projektor`: "
        "the law projektor stands beside the others.",
        show_default=False,
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option("--without", metavar="RUN", help="Leave out this run, such as one that diverged."),
]
Level = Annotated[float | None, typer.Option("--level", help="Level of all intervals. Default: 0.8.")]


_AGAIN = "optimise"
"""Folder of what is asked again, in one where another command answered."""


def fit(
    context: typer.Context,
    tables: Tables,
    target: Targets = None,
    lower: Lower = None,
    higher: Higher = None,
    guard: Guards = None,
    aim: Aims = None,
    baseline: BaselineName = None,
    cap: Caps = None,
    floor: Floors = None,
    tokens: Tokens = None,
    target_tokens: TargetTokens = None,
    target_params: TargetParams = None,
    max_epochs: MaxEpochs = None,
    prior: Prior = None,
    law: LawName = None,
    transport: Transport = None,
    level: Level = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="COLUMN=VALUE", help="Use only these rows, such as split=train."),
    ] = None,
    without: Without = None,
    out: Annotated[Path, typer.Option("--out", help="Output folder.")] = Path("fit"),
    as_json: AsJson = False,
) -> None:
    """Fit laws to a table of runs, validate them on held-out runs, and find the best mixture."""
    from cuvee.cli.given import pairs
    from cuvee.doctor.first_lines import first_lines
    from cuvee.doctor.subject import Subject
    from cuvee.laws.at_scale import OF_SCALE
    from cuvee.question.question import Question
    from cuvee.question.runs import every_scale, one_scale

    question = _changed(Question(), context.params)
    rows = pairs(where, "--where")
    subject = Subject.read(tables, rows, lower or (), higher or (), question, without=without or ())
    said = subject.all_runs, tables, lower or (), higher or ()
    # Laws of one scale have nothing to say of a table of several.
    several = law in OF_SCALE
    runs = every_scale(*said) if several else one_scale(*said, question.target_tokens)
    compared = () if several else question.laws_compared
    _answer(runs, question, first_lines(runs, question, subject), compared, out, as_json)


def optimise(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(help="Folder written by `cuvee fit`, or `swarm` in a study.")
    ] = Path("fit"),
    target: Targets = None,
    guard: Guards = None,
    aim: Aims = None,
    baseline: BaselineName = None,
    cap: Caps = None,
    floor: Floors = None,
    tokens: Tokens = None,
    target_tokens: TargetTokens = None,
    target_params: TargetParams = None,
    max_epochs: MaxEpochs = None,
    prior: Prior = None,
    law: LawName = None,
    transport: Transport = None,
    level: Level = None,
    pareto: Annotated[
        list[str] | None,
        typer.Option("--pareto", metavar="METRIC", help="Give two metrics to compute their Pareto front."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Output folder. Default: the same folder, or `optimise` in it where another command "
            "answered there.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Optimise the mixture again from an earlier fit, with other options. Options not given are kept, also
    caps, floors, guards and tokens of other sources and metrics."""
    from cuvee.doctor.first_lines import first_lines
    from cuvee.question.asked_runs import load
    from cuvee.study.file.folder import owner_of

    runs, before = load(folder)
    question = _changed(before, context.params)
    compared = () if question.law else question.laws_compared
    out = out or (folder / _AGAIN if owner_of(folder) else folder)
    _answer(runs, question, first_lines(runs, question), compared, out, as_json, folder)


def _changed(before: "Question", options: dict[str, Any]) -> "Question":
    """A question with the options that were given in place of what it had."""
    from dataclasses import replace

    from cuvee.cli import given
    from cuvee.errors import ConfigError
    from cuvee.laws.transport_planes import TransportPlanes

    if options["aim"] not in (None, "mean", "worst"):
        raise ConfigError(f"--aim {options['aim']}: say mean or worst")
    lists: dict[str, Any] = {
        "weights": given.weights(options["target"], "--target"),
        "guards": given.numbers(options["guard"], "--guard"),
        "maximum": given.numbers(options["cap"], "--cap"),
        "minimum": given.numbers(options["floor"], "--floor"),
        "tokens": given.counts(options["tokens"], "--tokens"),
        "front": tuple(options.get("pareto") or ()),
    }
    single: dict[str, Any] = {
        "prior_strength": options["prior"],
        "transport": options["transport"] and TransportPlanes.read(options["transport"]),
        **{
            name: options[name]
            for name in ("aim", "baseline", "target_tokens", "target_params", "max_epochs", "law", "level")
        },
    }
    named = {name: value for name, value in lists.items() if value}
    # Each of these is of one source: what was said of the others stays.
    named |= {
        name: {**getattr(before, name), **named[name]}
        for name in ("maximum", "minimum", "tokens", "guards")
        if name in named
    }
    return replace(before, **named, **{name: value for name, value in single.items() if value is not None})


def _answer(
    runs: "Runs",
    question: "Question",
    warnings: tuple[str, ...],
    compared: tuple[str, ...],
    out: Path,
    as_json: bool,
    before: Path | None = None,
) -> None:
    from cuvee.cli.output import print_json
    from cuvee.errors import ConfigError
    from cuvee.study.file.folder import owner_of

    if owner := owner_of(out):
        raise ConfigError(
            f"--out {out}: the answer of `cuvee {owner}` has its place there; name another folder"
        )
    answer, page = answered(runs, question, warnings, compared, out, f"cuvee optimise {out}", before)
    if as_json:
        print_json(answer.decision.as_json())
    else:
        show_answer(answer, page, out)


def answered(
    runs: "Runs",
    question: "Question",
    warnings: tuple[str, ...],
    compared: tuple[str, ...],
    out: Path,
    command: str,
    before: Path | None = None,
) -> "tuple[FitResult, Path]":
    """Ask, and write the answer with its page into a folder.

    Args:
        runs: all of them count.
        question: about them.
        warnings: that the answer begins with.
        compared: laws beside the one that is minimised.
        out: the folder.
        command: that asks again.
        before: the folder of an earlier answer of the same runs, whose fits are kept.
    """
    from cuvee.cli.progress_display import progress_display
    from cuvee.execution.local import LocalProcesses
    from cuvee.flows.fit.flow import decide
    from cuvee.flows.fit.folder import load_kept, save
    from cuvee.question.runs import checked_directions
    from cuvee.report.reports import write_reports

    question = checked_directions(runs, question)
    with progress_display() as progress:
        answer: FitResult = decide(
            runs.observations,
            question,
            table=runs.name,
            command=command,
            notes=runs.notes,
            warnings=warnings,
            compared=compared,
            kept=None if before is None else load_kept(before, runs, question),
            executor=LocalProcesses(),
            progress=progress,
        )
    save(out, runs, question, answer)
    page, *_ = write_reports(answer.decision, out)
    return answer, page


def show_answer(answer: "FitResult", page: Path, out: Path) -> None:
    """Print an answer, and where it lies."""
    from cuvee.cli.output import show
    from cuvee.report.reports import printout_of

    show(printout_of(answer.decision))
    print(f"report: {page}, answer: {out / 'fit.json'}, again: cuvee optimise {out}")
