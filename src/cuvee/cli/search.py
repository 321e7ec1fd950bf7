"""``cuvee search``: one experiment after another, whichever tells most for its price."""

from typing import TYPE_CHECKING, Annotated

import typer

from cuvee.cli.names import METHODS, one_of
from cuvee.cli.options import HERE, AsJson, Study

if TYPE_CHECKING:
    from cuvee.decisions.search.decision import SearchDecision
    from cuvee.flows.search.outlook import SearchOutlook

_BEST = 12
"""Rows of the mixtures trained that are printed, the best first."""


def search(
    study: Study = HERE,
    budget: Annotated[
        float | None, typer.Option("--budget", metavar="FLOPS", help="Overrides `search.budget_flops`.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option("--method", metavar="NAME", help=f"Overrides `search.method`. {one_of(METHODS)}"),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print the available experiments and their prices, and exit.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Search for the best mixture with merges, short runs and long runs, within a budget of FLOPs."""
    from cuvee.cli.run import carry_out, look_ahead
    from cuvee.flows.search import flow
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.folder import StudyFolder

    folder, config = StudyFolder.of(study), StudyConfig.load(study)
    given = {"budget_flops": budget, "method": method}
    config = config.searching({name: value for name, value in given.items() if value is not None})

    if plan:
        look_ahead(config, folder, flow.outlook, _print_outlook, as_json)
    else:
        carry_out(config, folder, flow.run, as_json)


def _print_outlook(outlook: "SearchOutlook") -> None:
    from cuvee.cli.output import print_table, seconds, short
    from cuvee.quantities import flops

    print_table(
        "What can be asked for",
        ["kind", "parameters", "tokens", "FLOPs", "time of one", "at most"],
        [
            [
                _named(row.kind),
                short(row.parameters),
                short(row.tokens),
                flops(row.flops),
                seconds(row.seconds) if row.seconds == row.seconds else "-",
                short(row.affordable),
            ]
            for row in outlook.rows
        ],
    )
    print(outlook.statement)


def print_search(decision: "SearchDecision") -> None:
    """The headline, the mixture, what was asked for, and the best of what was trained."""
    from cuvee.cli.output import number, print_headline, print_table, short
    from cuvee.quantities import flops

    print_headline(decision.headline, decision.verdict)
    level = f"{decision.confidence:.0%} interval"
    print_table(
        f"Mixture for {short(decision.target_tokens)} tokens",
        ["source", "share", level, "epochs", ""],
        [
            [
                entry.source,
                f"{entry.share:.1%}",
                f"{entry.low:.1%} to {entry.high:.1%}",
                number(entry.epochs, 2),
                "at its cap" if entry.cap_hit else "",
            ]
            for entry in decision.mixture
        ],
    )
    print_table(
        "What was asked for",
        ["kind", "tokens", "made", "failed", "FLOPs", "slope", "bias", "noise", "ranks"],
        [
            [
                _named(row.kind),
                short(row.tokens),
                str(row.made),
                str(row.failed),
                flops(row.spent),
                number(row.slope, 2),
                number(row.bias, 3),
                number(row.noise, 4),
                number(row.rank, 2),
            ]
            for row in decision.fidelities
        ],
    )
    print_table(
        f"Trained on {short(decision.fidelities[-1].tokens)} tokens (target loss, nats per token)",
        ["experiment", "measured", "expected", level],
        [
            [
                row.name,
                number(row.measured, 4),
                number(row.expected.mean, 4),
                f"{row.expected.low:.4f} to {row.expected.high:.4f}",
            ]
            for row in decision.trained[:_BEST]
        ],
    )
    if len(decision.trained) > _BEST:
        print(f"and {len(decision.trained) - _BEST} more, all of them expected to be worse: see search.json")
    for warning in decision.warnings:
        print(f"warning: {warning}")


def _named(kind: str) -> str:
    return "frozen" if kind == "checkpoint" else kind
