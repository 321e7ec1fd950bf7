"""``cuvee init``: look at a folder of data and write a commented ``study.yaml`` for it.

The study gets a folder of its own beside the data: what is made from text does not lie among text.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cuvee.cli.options import AsJson, EffortName, EffortOption

if TYPE_CHECKING:
    from cuvee.study.start.inspection import FoundSource, Inspection


def init(
    folder: Annotated[
        Path, typer.Argument(help="Data folder: each sub-folder, or each file, becomes a source.")
    ] = Path(),
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="STUDY", help="Folder of the study. Default: FOLDER.cuvee beside the data."
        ),
    ] = None,
    effort: EffortName = EffortOption.small,
    as_json: AsJson = False,
) -> None:
    """Write a study.yaml for a folder of data, with every key explained."""
    from cuvee.cli.output import print_json, print_table
    from cuvee.files import write_text
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.folder import CONFIG_NAME
    from cuvee.study.start.inspection import inspect

    path = _study_folder(folder, out) / CONFIG_NAME
    found = inspect(folder)
    write_text(path, _study(folder, path.parent, found, effort.value))
    StudyConfig.load(path)

    if as_json:
        sources = [vars(source) for source in found]
        print_json({"study": str(path), "sources": sources, "passed_over": found.passed_over})
        return
    print_table("Sources", *_table(found))
    for line in _remarks(found):
        print(line)
    print(f"study: {path}")
    todo = "fill in `tokenizer.folder`" if _lacks_tokenizer(found) else "look through it"
    print(f"next: {todo}, then `cuvee run {path.parent}`")


def _study_folder(data: Path, out: Path | None) -> Path:
    """Where the study shall lie.

    Raises:
        ConfigError: a study lies there, or among the data.
    """
    from cuvee.errors import ConfigError
    from cuvee.study.file.folder import CONFIG_NAME, beside

    folder = beside(data) if out is None else out
    for place in (folder, *([data] if out is None else [])):
        if (place / CONFIG_NAME).exists():
            raise ConfigError(
                f"{place / CONFIG_NAME}: is there already; edit it, remove it first, or name another folder "
                "with `--out`"
            )
    return folder


def _table(found: "Inspection") -> tuple[list[str], list[list[str]]]:
    """Columns and rows; what only text has is left out where there is none."""
    columns = ["source", "files", "text", "documents sampled", "text field"]
    rows = [
        [one.name, str(one.files), one.size, *(("", "") if one.only_tokens else _sampled(one))]
        for one in found
    ]
    if all(one.only_tokens for one in found):
        return ["source", "files", "tokens"], [row[:3] for row in rows]
    return columns, rows


def _sampled(source: "FoundSource") -> tuple[str, str]:
    return str(source.documents_sampled), source.text_field


def _lacks_tokenizer(found: "Inspection") -> bool:
    return found.tokenizer is None and any(source.formats for source in found)


def _remarks(found: "Inspection") -> list[str]:
    """What was passed over, joined or cut, a line each."""
    inside = [f"{source.name}: {remark}" for source in found for remark in source.remarks]
    return inside + [f"no source: {what}" for what in found.passed_over] + _tokenizer_remark(found)


def _tokenizer_remark(found: "Inspection") -> list[str]:
    """What to do where sources hold tokens and their tokenizer is not among the data."""
    if not _lacks_tokenizer(found):
        return []
    return [
        f"{', '.join(source.name for source in found if source.formats)}: the tokenizer that made the tokens",
        "is not here; name its folder in `tokenizer.folder` of the study file",
    ]


def _study(data: Path, folder: Path, found: "Inspection", effort: str) -> str:
    """The text of ``study.yaml``, with paths that lead from its folder to the data."""
    from cuvee.study.file.settings import TO_FILL_IN
    from cuvee.study.file.template import commented_study

    way = Path(os.path.relpath(data.resolve(), folder.resolve()))
    sources = {source.name: _settings(source, str(way / source.path)) for source in found}
    name = data.absolute().name or "study"
    given: dict[str, Any] = {"schema": 1, "name": name, "effort": effort, "sources": sources}
    if any(source.formats for source in found):
        place = TO_FILL_IN if found.tokenizer is None else str(way / found.tokenizer)
        given["tokenizer"] = {"folder": place}
    return commented_study(given, {source.name: source.note for source in found})


def _settings(source: "FoundSource", path: str) -> Any:
    """What the study file says of a source: its path, and what is not the default."""
    settings: dict[str, Any] = {}
    if source.text_field != "text":
        settings["text_field"] = source.text_field
    if source.chunk_characters is not None:
        settings["chunk_characters"] = source.chunk_characters
    return {"paths": [path], **settings} if settings else path
