"""``cuvee init``: look at a folder of data and write a commented ``study.yaml`` for it (floor 9)."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cuvee.cli.options import AsJson


def init(
    folder: Annotated[
        Path, typer.Argument(help="A folder of data: each sub-folder, or each file, becomes a source.")
    ] = Path(),
    as_json: AsJson = False,
) -> None:
    """Write a study.yaml for a folder of data, with every key explained."""
    from cuvee.cli.output import print_json, print_table, short
    from cuvee.errors import ConfigError
    from cuvee.files import write_text
    from cuvee.study.config import StudyConfig
    from cuvee.study.folder import CONFIG_NAME
    from cuvee.study.inspection import inspect
    from cuvee.study.template import commented_study

    path = folder / CONFIG_NAME
    if path.exists():
        raise ConfigError(f"{path}: is there already; edit it, or remove it first")
    found = inspect(folder)
    sources: dict[str, Any] = {
        source.name: source.path
        if source.text_field == "text"
        else {"paths": [source.path], "text_field": source.text_field}
        for source in found
    }
    name = folder.absolute().name or "study"
    text = commented_study(
        {"schema": 1, "name": name, "sources": sources}, {source.name: source.note for source in found}
    )
    write_text(path, text)
    StudyConfig.load(path)

    if as_json:
        described = [
            {
                "name": source.name,
                "path": source.path,
                "files": source.files,
                "bytes": source.bytes,
                "documents_sampled": source.documents_sampled,
                "text_field": source.text_field,
            }
            for source in found
        ]
        print_json({"study": str(path), "sources": described})
        return
    print_table(
        "Sources",
        ["source", "files", "bytes", "documents sampled", "text field"],
        [[s.name, str(s.files), short(s.bytes), str(s.documents_sampled), s.text_field] for s in found],
    )
    print(f"study: {path}")
    print(f"next: look through it, then `cuvee run {path}`")
