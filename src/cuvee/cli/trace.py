"""``cuvee trace``: which documents support a claim."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cuvee.cli.models_at_hand import Encoder, Judge, encoder_of, judge_of
from cuvee.cli.options import AsJson

if TYPE_CHECKING:
    from cuvee.flows.value.tracing import TracedDocument, Tracing

_WIDTH = 68
"""Characters of the beginning of a document: with the indent a line of most terminals."""


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
        printed(found)


def printed(found: "Tracing") -> None:
    """On standard output."""
    print(f"claim: {_on_one_line(found.claim)}")
    if found.judged:
        _print_documents("Voted to support it, by mean vote (0 to 1)", found.supports)
    else:
        _print_documents(
            "Near it, by fused ranks of words and embeddings; no model read them", found.supports
        )
    _print_documents("Best by BM25, with its score", found.by_words)
    for note in found.notes:
        print(f"note: {note}")


def _print_documents(title: str, documents: Sequence["TracedDocument"]) -> None:
    """Two lines a document, so that its id stands on one line and can be searched for."""
    print(f"\n{title}:" if documents else f"\n{title}: none")
    for one in documents:
        print(f"{one.score:8.3g}  {_on_one_line(one.id)}\n{'':10}{_on_one_line(one.text)[:_WIDTH]}")


def _on_one_line(text: str) -> str:
    from cuvee.invisible import all_spelt_out

    return all_spelt_out(" ".join(text.split()))
