"""Meta Lingua: folders and their weights in documents (floor 3)."""

from cuvee.exporters.interface import Export, Exporter, Recipe, number, repeats
from cuvee.exporters.quoting import yaml_text


def _write(recipe: Recipe) -> Export:
    weights = recipe.document_shares()
    # Sources are joined to root_dir, which has no default; an absolute path stays what it is.
    lines = ["data:", '  root_dir: "."', "  sources:"]
    lines += [f"    {yaml_text(recipe.path(name))}: {number(weight)}" for name, weight in weights.items()]
    if recipe.sequence_length:
        lines.append(f"  seq_len: {recipe.sequence_length}")
    lines.append(f"  seed: {recipe.seed}")
    drawn = "Documents are drawn at random: token shares hold on average, by the mean lengths given."
    return Export("\n".join(lines) + "\n", (drawn, *repeats(recipe)))


LINGUA = Exporter(
    name="lingua",
    title="Meta Lingua",
    version="0.1",
    documentation="https://github.com/facebookresearch/lingua#configuration",
    unit="documents",
    filename="data.yaml",
    write=_write,
    expects="folders of JSON lines in chunks (NAME.chunk.00.jsonl)",
)
