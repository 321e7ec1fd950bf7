"""Levanter and Marin: named data sets and their training weights (floor 3)."""

import math

from cuvee.exporters.interface import Export, Exporter, Recipe, number, repeats
from cuvee.exporters.quoting import yaml_text


def _write(recipe: Recipe) -> Export:
    lines = ["data:", "  configs:"]
    for name in recipe.shares:
        lines += [f"    {yaml_text(name)}:", f"      train_urls: [{yaml_text(recipe.path(name))}]"]
    lines.append("  train_weights:")
    lines += [f"    {yaml_text(name)}: {number(share)}" for name, share in recipe.shares.items()]
    if math.isfinite(recipe.target_tokens):
        # Proxies of this run set experiment_budget to their own tokens, and repeat as it will.
        lines.append(f"  target_budget: {round(recipe.target_tokens)}")
    return Export("\n".join(lines) + "\n", repeats(recipe))


LEVANTER = Exporter(
    name="levanter",
    title="Levanter, Marin",
    version="1.2",
    documentation="https://levanter.readthedocs.io/en/latest/reference/Configuration/",
    unit="samples",
    filename="data.yaml",
    write=_write,
)
