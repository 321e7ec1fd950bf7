"""``cuvee fit`` and ``cuvee optimise``: from a table of runs to a mixture that can be defended (floor 9)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cuvee.cli.names import DEFAULT_LAW, LAWS, one_of
from cuvee.cli.options import AsJson

if TYPE_CHECKING:
    from cuvee.study.fit import Answer
    from cuvee.study.fit_folder import Runs
    from cuvee.study.law_decision import LawDecision, LawRow
    from cuvee.study.question import Question

Tables = Annotated[
    list[Path],
    typer.Argument(
        metavar="TABLE...",
        help="Files of runs: mixtures and metrics, together or apart. The format is recognised.",
        show_default=False,
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target", metavar="METRIC[=WEIGHT]", help="What to improve; default all metrics, equally."
    ),
]
Lower = Annotated[
    list[str] | None,
    typer.Option("--lower", metavar="METRIC", help="Better when lower: a metric, 'quiz*', or all."),
]
Higher = Annotated[
    list[str] | None, typer.Option("--higher", metavar="METRIC", help="Better when higher, see --lower.")
]
Guards = Annotated[
    list[str] | None,
    typer.Option(
        "--guard", metavar="METRIC=SLACK", help="No worse than the baseline on METRIC by more than SLACK."
    ),
]
Aims = Annotated[
    str | None,
    typer.Option("--aim", metavar="mean|worst", help="Lower the mean, or the worst rise over the baseline."),
]
BaselineName = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="NAME",
        help="A run's name, uniform, proportional or unimax; default proportional where --tokens are given.",
    ),
]
Caps = Annotated[
    list[str] | None, typer.Option("--cap", metavar="SOURCE=SHARE", help="Largest share of a source.")
]
Floors = Annotated[
    list[str] | None, typer.Option("--floor", metavar="SOURCE=SHARE", help="Smallest share of a source.")
]
Tokens = Annotated[
    list[str] | None,
    typer.Option("--tokens", metavar="SOURCE=COUNT", help="Unique tokens of a source, such as web=2e9."),
]
TargetTokens = Annotated[
    float | None, typer.Option("--target-tokens", help="Tokens of the run that the mixture is for.")
]
TargetParams = Annotated[
    float | None,
    typer.Option("--target-params", help="Parameters of that run, for a law of several scales."),
]
MaxEpochs = Annotated[float | None, typer.Option("--max-epochs", help="How often a source may be read.")]
Prior = Annotated[
    float | None,
    typer.Option("--prior", help="Pull towards the baseline, in units of the target for each nat of KL."),
]
LawName = Annotated[
    str | None,
    typer.Option(
        "--law",
        metavar="NAME",
        help=f"The law that is minimised; default {DEFAULT_LAW}, unless another does clearly better on "
        f"left-out runs. {one_of(LAWS)}",
    ),
]
Level = Annotated[float | None, typer.Option("--level", help="Of all intervals; 0.8 where not given.")]


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
    out: Annotated[Path, typer.Option("--out", help="Folder for the answer.")] = Path("fit"),
    as_json: AsJson = False,
) -> None:
    """Fit laws to a table of runs, judge them on runs left out, and give the best mixture."""
    from cuvee.cli.given import pairs
    from cuvee.laws.at_scale import OF_SCALE
    from cuvee.study.doctor.first_lines import first_lines
    from cuvee.study.doctor.subject import Subject
    from cuvee.study.fit import LAWS_COMPARED
    from cuvee.study.fit_folder import every_scale, one_scale
    from cuvee.study.question import Question

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
    folder: Annotated[Path, typer.Argument(help="The folder that `cuvee fit` wrote.")] = Path("fit"),
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
        typer.Option(
            "--pareto", metavar="METRIC", help="Twice: what the best value of one metric costs the other."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the answer; default the same.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask the runs of an earlier fit again, with other options; what is not named stays, also caps, floors,
    guards and tokens of other sources and metrics."""
    from cuvee.study.doctor.first_lines import first_lines
    from cuvee.study.fit import LAWS_COMPARED
    from cuvee.study.fit_folder import load

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
    from cuvee.report.reports import write_fit_report
    from cuvee.study.fit import decide
    from cuvee.study.fit_folder import checked_directions, load_kept, save

    question = checked_directions(runs, question)
    with progress_display() as progress:
        answer: Answer = decide(
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
    page = write_fit_report(answer.decision, out)
    if as_json:
        print_json(answer.decision.as_json())
    else:
        print_fit(answer.decision, out, page)


def print_fit(decision: "LawDecision", out: Path, page: Path) -> None:
    """The answer on the terminal."""
    from cuvee.cli.output import number, print_headline, print_table
    from cuvee.report.wording import main_shares
    from cuvee.study.law_headline import scale_of_runs

    size = decision.pick.target.mean
    print_headline(decision.headline, decision.verdict)
    _print_mixture(decision)
    print_table(
        f"Target {scale_of_runs(decision)} (lower is better)",
        ["mixture", "predicted", f"{decision.level:.0%} interval", "measured", ""],
        [
            [
                one.name,
                _amount(one.target.mean, size),
                f"{_amount(one.target.low, size)} to {_amount(one.target.high, size)}",
                _amount(one.measured, size) if one.measured == one.measured else "",
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
                _amount(row.mean_absolute_error, size),
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
                    *(_amount(value, value) for value in one.values),
                    main_shares(decision.sources, one.shares),
                ]
                for one in decision.front
            ],
        )
    if decision.next_runs:
        print_table(
            "Runs worth making (their mixtures stand in fit.json)",
            ["run", "gain", "what it tells"],
            [[run.name, f"{run.gain:.2g}", run.tells] for run in decision.next_runs],
        )
    for note in decision.notes:
        print(f"note: {note}")
    print(f"report: {page}, answer: {out / 'fit.json'}, again: cuvee optimise {out}")


def _marks(row: "LawRow") -> list[str]:
    """What is to be known of a law besides its numbers."""
    return [*(["chosen"] if row.chosen else []), *(["worse than the mean"] if row.failed else [])]


def _print_mixture(decision: "LawDecision") -> None:
    """Shares with what the target owes to each source; a column that says nothing is left out."""
    from cuvee.cli.output import print_table

    read = any(entry.epochs == entry.epochs for entry in decision.mixture)
    unsure = any(not worth.matters for worth in decision.sensitivities)
    print_table(
        "Mixture" + ("; in parentheses: the runs do not agree on the direction" if unsure else ""),
        [
            "source",
            "share",
            f"{decision.level:.0%} interval",
            *(["epochs"] if read else []),
            "target without it",
            "",
        ],
        [
            [
                entry.source,
                f"{entry.share:.1%}",
                f"{entry.low:.1%} to {entry.high:.1%}",
                *([_known(entry.epochs, 2)] if read else []),
                _signed(worth.without.mean, worth.matters, decision.pick.target.mean),
                "at its cap" if entry.cap_hit else "",
            ]
            for entry, worth in zip(decision.mixture, decision.sensitivities, strict=True)
        ],
    )


def _known(value: float, digits: int) -> str:
    from cuvee.cli.output import number

    return number(value, digits) if value == value else ""


def _signed(value: float, sure: bool, target: float) -> str:
    """A change with four digits below the size of the target, whatever its unit."""
    if value != value:
        return ""
    size = abs(target) or 1.0
    told = f"{value:+.4f}" if 1e-2 <= size < 1e4 else f"{size * round(value / size, 4):+.4g}"
    return told if sure else f"({told})"


def _amount(value: float, size: float) -> str:
    """A value of a metric of this size, in the signs of a terminal."""
    from cuvee.quantities import MINUS
    from cuvee.report.wording import amount

    return amount(value, size).replace(MINUS, "-")
