"""LLaMA-Factory: data sets interleaved with probabilities of rows (floor 3)."""

from cuvee.errors import ConfigError
from cuvee.exporters.interface import Export, Exporter, Recipe, number
from cuvee.exporters.quoting import yaml_text


def _write(recipe: Recipe) -> Export:
    weights = recipe.document_shares()
    if comma := [name for name in weights if "," in recipe.path(name)]:
        raise ConfigError(f"source {comma[0]!r}: LLaMA-Factory divides names at commas; give another --path")
    names = ",".join(recipe.path(name) for name in weights)
    lines = [
        f"dataset: {yaml_text(names)}",
        "mix_strategy: interleave_over",
        f"interleave_probs: {yaml_text(','.join(number(weight) for weight in weights.values()))}",
        f"seed: {recipe.seed}",
    ]
    if recipe.sequence_length:
        lines.append(f"cutoff_len: {recipe.sequence_length}")
    return Export(
        "\n".join(lines) + "\n",
        (
            "Rows are drawn at random: token shares hold on average, by the mean lengths given, and only if "
            "no row is cut off.",
            "Names are those of dataset_info.json.",
        ),
    )


LLAMA_FACTORY = Exporter(
    name="llama-factory",
    title="LLaMA-Factory",
    version="0.9",
    documentation="https://llamafactory.readthedocs.io/en/latest/getting_started/data_preparation.html",
    unit="documents",
    filename="mixture.yaml",
    write=_write,
    by_name=True,
)
