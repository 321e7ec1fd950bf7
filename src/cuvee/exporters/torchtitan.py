"""torchtitan: a mixture of data sets in Python (floor 3)."""

from cuvee.exporters.interface import Export, Exporter, Recipe, number, repeats
from cuvee.exporters.quoting import python_text


def _write(recipe: Recipe) -> Export:
    lines = ["MIXTURE = DatasetMixConfig(", "    ("]
    for name, share in recipe.shares.items():
        lines.append(f"        WeightedDataset({python_text(recipe.path(name))}, {number(share)}),  # {name}")
    lines += ["    )", ")", ""]
    packed = "Weights count tokens only if every data set is packed before they are mixed; else documents."
    return Export("\n".join(lines), (packed, *repeats(recipe)))


TORCHTITAN = Exporter(
    name="torchtitan",
    title="torchtitan",
    version="0.3",
    documentation="https://github.com/pytorch/torchtitan/blob/main/docs/datasets.md",
    unit="samples",
    filename="mixture.py",
    write=_write,
)
