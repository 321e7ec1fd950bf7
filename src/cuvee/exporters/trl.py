"""TRL: the fraction of the final mixture that each data set fills, in rows."""

import math
from pathlib import PurePath

from cuvee.errors import ConfigError
from cuvee.exporters.interface import USUAL_FIELD, Export, Exporter, ExportRequest, number
from cuvee.exporters.quoting import yaml_text
from cuvee.exporters.rounding import significant

KINDS = {".json": "json", ".jsonl": "json", ".parquet": "parquet", ".txt": "text", ".csv": "csv"}
"""What loads a file of that ending; anything else is a folder or a data set of the hub."""


def _write(recipe: ExportRequest) -> Export:
    fractions, field = recipe.document_shares(), _field(recipe)
    lines = ["datasets:"]
    for name, fraction in fractions.items():
        lines += _place(recipe.path(name))
        lines += [
            "    split: train",
            f"    columns: [{yaml_text(field)}]",
            f"    fraction: {number(fraction)}",
        ]
    if field != USUAL_FIELD:
        lines.append(f"dataset_text_field: {yaml_text(field)}")
    if recipe.sequence_length:
        lines.append(f"max_length: {recipe.sequence_length}")
    tokens = _tokens(recipe, fractions)
    if math.isfinite(recipe.target_tokens):
        lines.append(f"num_train_epochs: {number(significant(recipe.target_tokens / tokens))}")
    return Export("\n".join(lines) + "\n", _cannot(1.0 - tokens / sum(recipe.tokens().values())))


def _field(recipe: ExportRequest) -> str:
    """The one column of the text.

    Raises:
        ConfigError: sources call it differently, and rows of all but one would be empty.
    """
    fields = {name: recipe.text_field(name) for name in recipe.shares}
    first, *others = fields
    for other in others:
        if fields[other] != fields[first]:
            raise ConfigError(
                f"TRL reads the text of all sources from one column, and {first!r} has it in "
                f"{fields[first]!r}, {other!r} in {fields[other]!r}; write one of them anew and "
                f"say --path {other}=PATH"
            )
    return fields[first]


def _place(path: str) -> list[str]:
    kind = next((KINDS[end] for end in PurePath(path).suffixes if end in KINDS), "")
    if not kind:
        return [f"  - path: {yaml_text(path)}"]
    return [f"  - path: {kind}", f"    data_files: {yaml_text(path)}"]


def _tokens(recipe: ExportRequest, fractions: dict[str, float]) -> float:
    """Tokens of one epoch: as many rows as the densest source allows."""
    rows, unique = recipe.documents(), recipe.tokens()
    most = min(rows[name] / fraction for name, fraction in fractions.items())
    return math.fsum(most * part * unique[name] / rows[name] for name, part in fractions.items())


def _cannot(never: float) -> tuple[str, ...]:
    return (
        "No row is repeated within an epoch: the source that is short for its share ends it, and "
        f"{never:.0%} of all tokens are never read.",
        "Of a source that is read in part the first rows are read, not random ones: shuffle its rows before.",
        "Fractions are set for all data sets or none, and do not go with streaming.",
        "Token shares hold by the mean lengths given, and only if no row is cut at max_length (by default "
        "1024 tokens); packing_strategy wrapped keeps long rows whole.",
    )


TRL = Exporter(
    name="trl",
    title="TRL",
    version="1.16.0",
    read_from="trl/scripts/utils.py",
    documentation="https://huggingface.co/docs/trl/script_utils",
    unit="documents",
    filename="datasets.yaml",
    write=_write,
    by_line=True,
)
