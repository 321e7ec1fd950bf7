"""GPT-NeoX: paths and weights, matched by position (floor 3)."""

import json

from cuvee.exporters.interface import Export, Exporter, Recipe, repeats


def _write(recipe: Recipe) -> Export:
    document = {
        "train-data-paths": [recipe.path(name) for name in recipe.shares],
        "train-data-weights": list(recipe.shares.values()),
    }
    return Export(json.dumps(document, indent=2, ensure_ascii=False) + "\n", repeats(recipe))


GPT_NEOX = Exporter(
    name="gpt-neox",
    title="GPT-NeoX",
    version="2.0",
    documentation="https://github.com/EleutherAI/gpt-neox/blob/main/configs/README.md",
    unit="samples",
    filename="data.yml",
    write=_write,
    expects="binary files under a prefix (.bin and .idx)",
)
