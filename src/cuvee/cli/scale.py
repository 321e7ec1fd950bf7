"""``cuvee scale``: the best mixture at a scale that cannot be tried out."""

from typing import TYPE_CHECKING, Annotated

import typer

from cuvee.cli.options import HERE, AsJson, Study

if TYPE_CHECKING:
    from cuvee.decisions.scale.decision import ScaleDecision


def scale(
    study: Study = HERE,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print runs, FLOPs and time of every scale, and exit.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Optimise the mixture at several small scales and extrapolate it to the target run."""
    from cuvee.cli.run import carry_out, look_ahead, print_outlook
    from cuvee.flows.scale import flow
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.folder import StudyFolder

    folder, config = StudyFolder.of(study), StudyConfig.load(study)

    if plan:
        look_ahead(config, folder, flow.outlook, print_outlook, as_json)
    else:
        carry_out(config, folder, flow.run, as_json)


def print_scale(decision: "ScaleDecision") -> None:
    """The headline, the mixture, and what was trained above the rungs."""
    from cuvee.cli.output import number, print_headline, print_table, short

    print_headline(decision.headline, decision.verdict)
    level = f"{decision.confidence:.0%} interval"
    print_table(
        f"Mixture for {short(decision.target_tokens)} tokens",
        ["source", "share", level, "epochs", *(f"best at {short(row.tokens)}" for row in decision.rungs)],
        [
            [
                entry.source,
                f"{entry.share:.1%}",
                _range(entry.low, entry.high),
                number(entry.epochs, 2),
                *(f"{row.optimum[place].mean:.1%}" for row in decision.rungs),
            ]
            for place, entry in enumerate(decision.mixture)
        ],
    )
    if decision.checks:
        print_table(
            f"Trained on {short(decision.check_tokens)} tokens (target loss, nats per token)",
            ["mixture", "loss", level, "foretold", "times faster than uniform"],
            [
                [
                    row.name,
                    number(row.loss.mean, 4),
                    f"{row.loss.low:.4f} to {row.loss.high:.4f}",
                    number(row.foretold.mean, 4),
                    number(row.speedup["uniform"].mean, 2) if "uniform" in row.speedup else "-",
                ]
                for row in decision.checks
            ],
        )
    for warning in decision.warnings:
        print(f"warning: {warning}")


def _range(low: float, high: float) -> str:
    return f"{low:.1%} to {high:.1%}" if low == low and high == high else "-"
