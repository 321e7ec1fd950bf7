"""``cuvee trace``: which documents support a claim."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cuvee.cli.models_at_hand import Encoder, Judge, encoder_of, judge_of
from cuvee.cli.options import AsJson

if TYPE_CHECKING:
    from cuvee.flows.value.tracing import TracedDocument, Tracing

_WIDTH = 90


def trace(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="A study.yaml, or its folder.")],
    claim: Annotated[str, typer.Argument(metavar="CLAIM", help="A sentence that documents may support.")],
    encoder: Encoder = "",
    judge: Judge = "",
    as_json: AsJson = False,
) -> None:
    """Find the documents of a study that support a claim, beside BM25."""
    from cuvee.cli.output import print_json
    from cuvee.cli.progress_display import progress_display
    from cuvee.cli.run import forbid_the_hub
    from cuvee.flows.value import tracing
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.folder import StudyFolder

    folder, config = StudyFolder.of(study), StudyConfig.load(study)
    embedder, asked = encoder_of(encoder), judge_of(judge)
    forbid_the_hub(config)
    with folder.locked(), progress_display() as progress:
        found = tracing.trace(config, folder, claim, progress, judge=asked, encoder=embedder)
    if as_json:
        print_json(found.as_json())
    else:
        _print(found)


def _print(found: "Tracing") -> None:
    from cuvee.cli.output import print_table

    what = "Voted to support it" if found.judged else "Near, by words and embeddings; no model read them"
    print_table(what, ["source", "score", "begins", "id"], [_row(one) for one in found.supports])
    print_table("Best by BM25", ["source", "score", "begins", "id"], [_row(one) for one in found.by_words])
    for note in found.notes:
        print(f"note: {note}")


def _row(one: "TracedDocument") -> list[str]:
    from cuvee.invisible import all_spelt_out

    return [one.source, f"{one.score:.3g}", all_spelt_out(" ".join(one.text.split())[:_WIDTH]), one.id]
