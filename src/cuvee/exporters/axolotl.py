"""axolotl: how many rows of each data set are read, and how often.

A data set stands there once for each whole reading, and once more with the first rows of what is left.
``weight`` would be shorter, and draws rows at random; but versions before 0.20 drop it without a word, and
train the natural mixture.
"""

import math

from cuvee.errors import ConfigError
from cuvee.exporters.interface import USUAL_FIELD, Export, Exporter, ExportRequest
from cuvee.exporters.quoting import yaml_text

MOST_READINGS = 100
"""Of one source in one epoch: each is an entry of the file, and is tokenised again."""


def _write(recipe: ExportRequest) -> Export:
    rows, unique = recipe.documents(), recipe.tokens()
    readings = _readings(recipe)
    # What every source is read in any case is left to epochs, so that entries stay few.
    epochs = max(1, math.floor(min(readings.values()) + 1e-9))
    lines = ["datasets:"]
    read = 0.0
    for name, often in readings.items():
        if often / epochs > MOST_READINGS:
            raise ConfigError(
                f"source {name!r} would be read {often:.0f} times, and stand there as often; cap its epochs, "
                "or give more --tokens"
            )
        kept = max(1, round(often / epochs * rows[name]))
        whole, rest = divmod(kept, rows[name])
        for split in ["train"] * whole + [f"train[:{rest}]"] * bool(rest):
            lines += _entry(recipe, name, split)
        read += unique[name] * min(1.0, kept / rows[name])
    lines.append(f"num_epochs: {epochs}")
    return Export("\n".join(lines) + "\n", _cannot(1.0 - read / sum(unique.values())))


def _readings(recipe: ExportRequest) -> dict[str, float]:
    """How often each source is read in the run; the densest once where the tokens of the run are unknown."""
    unique = recipe.tokens()
    density = {name: share / unique[name] for name, share in recipe.shares.items()}
    most = max(density.values())
    times = recipe.target_tokens if math.isfinite(recipe.target_tokens) else 1.0 / most
    return {name: value * times for name, value in density.items()}


def _entry(recipe: ExportRequest, name: str, split: str) -> list[str]:
    field = recipe.text_field(name)
    return [
        f"  - path: {yaml_text(recipe.path(name))}",
        f"    split: {yaml_text(split)}",
        "    type: completion",
        *([f"    field: {yaml_text(field)}"] if field != USUAL_FIELD else []),
    ]


def _cannot(never: float) -> tuple[str, ...]:
    return (
        "Of a source that is read in part the first rows are read, not random ones: shuffle its rows before.",
        f"Of all tokens of the sources, {never:.0%} are never read.",
        "Paths are files, or data sets of the hub: a folder that save_to_disk wrote would be read whole.",
        "Versions from 0.17 on read a part of a file so; older ones were not looked at.",
        "A source that is read again stands there again; dataset_exact_deduplication would undo that.",
    )


AXOLOTL = Exporter(
    name="axolotl",
    title="axolotl",
    version="0.21.0",
    read_from="axolotl/utils/schemas/datasets.py, axolotl/utils/data/sft.py, axolotl/utils/data/shared.py",
    documentation="https://docs.axolotl.ai/docs/config-reference.html",
    unit="rows kept",
    filename="datasets.yaml",
    write=_write,
    by_line=True,
)
