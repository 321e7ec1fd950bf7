"""axolotl: the part of each data set's rows that is kept (floor 3)."""

import math

from cuvee.exporters.interface import Export, Exporter, Recipe, number
from cuvee.exporters.quoting import yaml_text
from cuvee.exporters.rounding import significant


def _write(recipe: Recipe) -> Export:
    # Rows kept are in proportion to share over unique tokens; the largest part is all of them.
    unique = recipe.tokens()
    density = {name: share / unique[name] for name, share in recipe.shares.items()}
    most = max(density.values())
    kept = {name: significant(value / most) for name, value in density.items()}
    lines = ["datasets:"]
    for name, part in kept.items():
        lines += [
            f"  - path: {yaml_text(recipe.path(name))}",
            "    type: completion",
            f"    weight: {number(part)}",
        ]
    tokens = math.fsum(part * unique[name] for name, part in kept.items())
    if math.isfinite(recipe.target_tokens):
        lines.append(f"num_epochs: {number(significant(recipe.target_tokens / tokens))}")
    whole = sum(unique.values())
    return Export(
        "\n".join(lines) + "\n",
        (
            "A weight drops rows and cannot repeat them: all sources are read equally often, and "
            f"{1.0 - tokens / whole:.0%} of their tokens are never read.",
            "Which rows are kept is decided once, not for each epoch.",
        ),
    )


AXOLOTL = Exporter(
    name="axolotl",
    title="axolotl",
    version="0.13",
    documentation="https://docs.axolotl.ai/docs/config-reference.html",
    unit="rows kept",
    filename="datasets.yaml",
    write=_write,
)
