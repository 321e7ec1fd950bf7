"""``cuvee acquire``: what to buy from which seller, from samples alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cuvee.cli.models_at_hand import Encoder, Judge, encoder_of, judge_of
from cuvee.cli.names import VALUERS, one_of
from cuvee.cli.options import AsJson, Target

if TYPE_CHECKING:
    from cuvee.flows.value.buying import Buying
    from cuvee.valuation.offers import Purchases


def acquire(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="A study.yaml, or its folder.")],
    offers: Annotated[
        Path, typer.Argument(metavar="OFFERS", help="A YAML file of offers; see docs/valuation.md.")
    ],
    target: Target,
    budget: Annotated[
        float, typer.Option("--budget", metavar="MONEY", help="To spend, in the unit of the prices.")
    ],
    method: Annotated[
        str, typer.Option("--method", metavar="NAME", help=f"What values samples. {one_of(VALUERS)}")
    ] = "dsir",
    encoder: Encoder = "",
    judge: Judge = "",
    as_json: AsJson = False,
) -> None:
    """Decide what to buy from which seller for a target, within a budget."""
    from cuvee.cli.output import print_json
    from cuvee.cli.progress_display import progress_display
    from cuvee.cli.run import forbid_the_hub
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.folder import StudyFolder

    folder, config = StudyFolder.of(study), StudyConfig.load(study)

    from cuvee.flows.value.buying import buy

    embedder, asked = encoder_of(encoder), judge_of(judge)
    name = target.removeprefix("evaluations.")
    forbid_the_hub(config)
    with folder.locked(), progress_display() as progress:
        found = buy(config, folder, offers, name, method, budget, progress, judge=asked, encoder=embedder)
    if as_json:
        print_json(found.as_json())
    else:
        printed(found)


def printed(found: "Buying") -> None:
    """On standard output."""
    from cuvee.cli.output import print_table
    from cuvee.quantities import plain, tally
    from cuvee.valuation.worth import CONFIDENCE

    bought = found.purchases
    print(_in_one_sentence(bought))
    print_table(
        f"For {found.target}, by {bought.method} ({bought.unit})",
        ["seller", "tokens", "price", "utility", f"{CONFIDENCE:.0%}", "why"],
        [
            [
                one.seller,
                tally(one.tokens),
                plain(one.price, 2),
                f"{one.utility:.4g}",
                f"{one.interval[0]:.4g} to {one.interval[1]:.4g}",
                one.why,
            ]
            for one in bought.rows
        ],
    )
    print_table(
        f"Within {bought.budget:g}",
        ["rule", "tokens", "price", "utility"],
        [
            [one.method, tally(one.tokens), plain(one.price, 2), f"{one.utility:.4g}"]
            for one in (bought, *found.baselines)
        ],
    )
    print(
        "utility: tokens times what their values are above the median of all samples; what one seller has "
        "beyond what the run reads counts less."
    )
    print(
        "verdict: not checked. Utilities are what values of samples say; no model was trained on a purchase."
    )


def _in_one_sentence(bought: "Purchases") -> str:
    """The largest purchase first."""
    from cuvee.quantities import plain, tally

    rows = sorted((one for one in bought.rows if one.tokens), key=lambda one: -one.price)
    if not rows:
        return f"Buy nothing: no offer is worth its price within {bought.budget:g}."
    parts = ", ".join(f"{tally(one.tokens)} tokens of {one.seller} for {plain(one.price, 2)}" for one in rows)
    return f"Buy {parts}: {plain(bought.price, 2)} of {bought.budget:g}."
