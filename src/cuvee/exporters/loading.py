"""Loading: lines of Python that load the text of a source with datasets, a document a row."""

from cuvee.exporters.interface import USUAL_FIELD, ExportRequest
from cuvee.exporters.quoting import python_text

FIRST_IMPORTS = ("from glob import escape", "from pathlib import Path, PurePath")
"""What the lines of ``loader`` need from the standard library."""

_LOADER = """

FILES = {".json": "json", ".jsonl": "json", ".parquet": "parquet", ".txt": "text", ".md": "text"}


def kind(path):
    return next((FILES[end] for end in PurePath(path).suffixes if end in FILES), None)


def load(path, streaming):
    inside = sorted(map(str, Path(path).rglob("*"))) if Path(path).is_dir() else []
    if len({kind(file) for file in inside if not file.endswith(".md")} - {None}) > 1:
        raise ValueError(f"{path} holds files of several kinds; put each kind into a folder of its own")
    # Files are patterns there: a[1].jsonl would be a1.jsonl.
    plain = [escape(file) for file in inside if kind(file) == "text"]
    files = plain or (escape(path) if Path(path).is_file() else path)
    if kind(path) == "text" or plain and all(kind(file) in ("text", None) for file in inside):
        # A row a file: by default every line would be one.
        rows = load_dataset(
            "text", data_files=files, sample_by="document", split="train", streaming=streaming
        )
    elif kind(path) and not inside:
        rows = load_dataset(kind(path), data_files=files, split="train", streaming=streaming)
    else:
        rows = load_dataset(path, split="train", streaming=streaming)"""


def loader() -> list[str]:
    """A function ``load(path, streaming)`` whose rows have one column, ``text``."""
    usual = python_text(USUAL_FIELD)
    return [
        *_LOADER.split("\n"),
        f"    field = FIELDS.get(path, {usual})",
        "    rows = rows.select_columns([field])",
        f"    return rows if field == {usual} else rows.rename_column(field, {usual})",
    ]


def fields(recipe: ExportRequest) -> list[str]:
    """A table ``FIELDS``: columns of the text, of sources where it is not called ``text``."""
    named = {name: recipe.text_field(name) for name in recipe.shares}
    entries = [
        f"    {python_text(recipe.path(name))}: {python_text(field)},"
        for name, field in named.items()
        if field != USUAL_FIELD
    ]
    return ["FIELDS = {", *entries, "}"] if entries else ["FIELDS = {}"]
