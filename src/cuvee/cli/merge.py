"""``cuvee merge``: the merge of a mixture as a model folder."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cuvee.cli.options import AsJson, Study

if TYPE_CHECKING:
    from cuvee.mixture.mixture import Mixture


def merge(
    study: Study,
    output: Annotated[
        Path, typer.Option("--output", metavar="DIR", help="Folder for the model: new, or empty.")
    ],
    mixture: Annotated[
        Path | None,
        typer.Option(
            "--mixture",
            metavar="FILE",
            help="A decision file, or a JSON file of shares. Default: the decision of the study.",
        ),
    ] = None,
    shares: Annotated[
        str,
        typer.Option("--shares", metavar="SOURCE=SHARE,...", help="The mixture itself, as web=.7,code=.3."),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Write the merge of a mixture as a model folder of transformers, without training anything."""
    from cuvee.cli.output import print_json
    from cuvee.cli.progress_display import progress_display
    from cuvee.decisions.shares import parts_in_words
    from cuvee.quantities import quantity
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.folder import StudyFolder
    from cuvee.study.merged_model import check_output, over_pool, write_merged
    from cuvee.study.opening import opened
    from cuvee.study.plan.numerics import Numerics
    from cuvee.study.pooling import refuse_without_branches

    folder = StudyFolder.of(study)
    config = StudyConfig.load(study)
    asked, notes = _asked(folder.root, mixture, shares)
    check_output(output)
    over_pool(asked, config.pool_sources)
    Numerics.written(folder)  # a device that is not here is refused before the store is opened
    refuse_without_branches(folder, "a merge needs a trained pool")
    with (
        folder.locked(),
        progress_display() as progress,
        opened(config, folder, progress, looking=True) as runner,
    ):
        merged = write_merged(runner, asked, output)
    for sentence in notes:
        print(f"note: {sentence}", file=sys.stderr)
    if as_json:
        print_json({**merged.as_json(), "notes": list(notes)})
        return
    parts = ", ".join(parts_in_words(sorted(merged.mixture.as_dict().items(), key=lambda part: -part[1])))
    print(
        f"{output}: a model of {quantity(merged.parameters)} parameters, "
        f"merged by the method {merged.method} for {parts}"
    )


def _asked(root: Path, file: Path | None, shares: str) -> "tuple[Mixture, tuple[str, ...]]":
    """The mixture that is meant, and what to know of it: its verdict first.

    Raises:
        ConfigError: it is said twice, or cannot be read.
        MixtureError: shares that are no mixture.
    """
    from cuvee.cli.given import numbers
    from cuvee.errors import ConfigError
    from cuvee.exporters.decided import UNNAMED_RUN, read_decided
    from cuvee.mixture.mixture import Mixture
    from cuvee.study.answers import stale_note

    if file is not None and shares:
        raise ConfigError("--mixture and --shares both say what to merge; give one of them")
    if shares:
        return Mixture.of(numbers(shares.split(","), "--shares")), ()
    decided = read_decided(root if file is None else file)
    known = [one for one in decided.notes if one != UNNAMED_RUN]  # a merge has no length
    return decided.mixture, (*known, *(stale_note(decided.path) if decided.path else ()))
