"""``cuvee fit`` and ``cuvee optimise``: from a table of runs to a mixture that can be defended."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cuvee.cli.given import count_of
from cuvee.cli.names import DEFAULT_LAW, LAWS, one_of
from cuvee.cli.options import AsJson

if TYPE_CHECKING:
    from cuvee.decisions.fit.decision import LawDecision
    from cuvee.decisions.fit.result import LawRow, Sensitivity
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
Level = Annotated[float | None, typer.Option("--level", help="Level of all intervals. Default: 0.8.")]


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
    level: Level = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="COLUMN=VALUE", help="Use only these rows, such as split=train."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Output folder.")] = Path("fit"),
    as_json: AsJson = False,
) -> None:
    """Fit laws to a table of runs, validate them on held-out runs, and find the best mixture."""
    from cuvee.cli.given import pairs
    from cuvee.doctor.first_lines import first_lines
    from cuvee.doctor.subject import Subject
    from cuvee.laws.at_scale import OF_SCALE
    from cuvee.question.question import LAWS_COMPARED, Question
    from cuvee.question.runs import every_scale, one_scale

    question = _changed(Question(), context.params)
    subject = Subject.read(tables, pairs(where, "--where"), lower or (), higher or (), question)
    said = subject.all_runs, tables, lower or (), higher or ()
    # Laws of one scale have nothing to say of a table of several.
    several = law in OF_SCALE
    runs = every_scale(*said) if several else one_scale(*said, question.target_tokens)
    compared = () if several else LAWS_COMPARED
    _answer(runs, question, first_lines(runs, question, subject), compared, out, as_json)


def optimise(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder written by `cuvee fit`.")] = Path("fit"),
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
    level: Level = None,
    pareto: Annotated[
        list[str] | None,
        typer.Option("--pareto", metavar="METRIC", help="Give two metrics to compute their Pareto front."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Output folder. Default: the same folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Optimise the mixture again from an earlier fit, with other options. Options not given are kept, also
    caps, floors, guards and tokens of other sources and metrics."""
    from cuvee.doctor.first_lines import first_lines
    from cuvee.question.asked_runs import load
    from cuvee.question.question import LAWS_COMPARED

    runs, before = load(folder)
    question = _changed(before, context.params)
    compared = () if question.law else LAWS_COMPARED
    _answer(runs, question, first_lines(runs, question), compared, out or folder, as_json, folder)


def _changed(before: "Question", options: dict[str, Any]) -> "Question":
    """A question with the options that were given in place of what it had."""
    from dataclasses import replace

    from cuvee.cli import given
    from cuvee.errors import ConfigError

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
            command=f"cuvee optimise {out}",
            notes=runs.notes,
            warnings=warnings,
            compared=compared,
            kept=None if before is None else load_kept(before, runs, question),
            executor=LocalProcesses(),
            progress=progress,
        )
    save(out, runs, question, answer)
    page, *_ = write_reports(answer.decision, out)
    if as_json:
        print_json(answer.decision.as_json())
    else:
        print_fit(answer.decision, out, page)


def print_fit(decision: "LawDecision", out: Path, page: Path) -> None:
    """The answer on the terminal."""
    from cuvee.cli.output import number, print_headline, print_table
    from cuvee.decisions.fit.headline import scale_of_runs
    from cuvee.decisions.fit.precision import front_precisions, target_precision
    from cuvee.precision import Precision
    from cuvee.report.wording import main_shares

    exact = target_precision(decision)
    print_headline(decision.headline, decision.verdict)
    _print_mixture(decision)
    print_table(
        f"Target {scale_of_runs(decision)} (lower is better)",
        ["mixture", "predicted", f"{decision.confidence:.0%} interval", "measured", ""],
        [
            [
                one.name,
                exact.word(one.target.mean),
                exact.between(one.target.low, one.target.high),
                exact.word(one.measured) if one.measured == one.measured else "",
                one.note,
            ]
            for one in decision.candidates
        ],
    )
    print_table(
        "Laws on runs they had not seen: rank correlation, R2, mean error, coverage of intervals",
        ["law", "ranks", "R2", "error", "80%", "95%", ""],
        [
            [
                row.law,
                number(row.spearman),
                number(row.r_squared),
                exact.word(row.mean_absolute_error),
                f"{row.coverage_80:.0%}",
                f"{row.coverage_95:.0%}",
                ", ".join(_marks(row)),
            ]
            for row in decision.laws
        ],
    )
    if decision.front:
        print_table(
            "Pareto front: what the best value of one metric costs the other (fit.json has all shares)",
            ["mixture", *decision.front_metrics, "main shares"],
            [
                [
                    one.name,
                    *(own.word(x) for own, x in zip(front_precisions(decision), one.values, strict=True)),
                    main_shares(decision.sources, one.shares),
                ]
                for one in decision.front
            ],
        )
    if decision.next_runs:
        print_table(
            "Runs worth making (their mixtures stand in fit.json)",
            ["run", "gain", "what it tells"],
            [[run.name, Precision.alone(run.gain).word(run.gain), run.tells] for run in decision.next_runs],
        )
    for note in decision.notes:
        print(f"note: {note}")
    print(f"report: {page}, answer: {out / 'fit.json'}, again: cuvee optimise {out}")


def _marks(row: "LawRow") -> list[str]:
    """What is to be known of a law besides its numbers."""
    return [*(["chosen"] if row.chosen else []), *(["worse than the mean"] if row.failed else [])]


def _print_mixture(decision: "LawDecision") -> None:
    """Shares with what the target owes to each source; a column that says nothing is left out."""
    from cuvee.cli.output import number, print_table
    from cuvee.decisions.fit.precision import target_precision

    exact = target_precision(decision)
    read = any(entry.epochs == entry.epochs for entry in decision.mixture)
    unsure = any(not worth.matters for worth in decision.sensitivities)
    print_table(
        "Mixture" + ("; in parentheses: the runs do not agree on the direction" if unsure else ""),
        [
            "source",
            "share",
            f"{decision.confidence:.0%} interval",
            *(["epochs"] if read else []),
            "target without it",
            "",
        ],
        [
            [
                entry.source,
                f"{entry.share:.1%}",
                f"{entry.low:.1%} to {entry.high:.1%}",
                *([number(entry.epochs, 2) if entry.epochs == entry.epochs else ""] if read else []),
                _change(exact.signed(worth.without.mean), worth),
                "at its cap" if entry.cap_hit else "",
            ]
            for entry, worth in zip(decision.mixture, decision.sensitivities, strict=True)
        ],
    )


def _change(told: str, worth: "Sensitivity") -> str:
    """What leaving a source out changes; empty for the only one, in parentheses where runs disagree."""
    if worth.without.mean != worth.without.mean:
        return ""
    return told if worth.matters else f"({told})"
