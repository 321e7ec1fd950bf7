"""LLaMA-Factory: data sets interleaved with probabilities of rows."""

from cuvee.errors import ConfigError
from cuvee.exporters.interface import USUAL_FIELD, Export, Exporter, ExportRequest, number, repeats
from cuvee.exporters.quoting import yaml_text


def _write(recipe: ExportRequest) -> Export:
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
            "Names are those of dataset_info.json" + _columns(recipe) + ".",
            "It draws until every source was read once, and reads the others again; set max_steps.",
            "As many evaluation sets are taken as there are sources, or none: eval_dataset must list one for "
            "each, or stay away (interleave_probs counts for both).",
            *repeats(recipe),
        ),
    )


def _columns(recipe: ExportRequest) -> str:
    """What has to stand there for text whose column has another name."""
    fields = {name: recipe.text_field(name) for name in recipe.shares}
    others = [f"{name}: {field!r}" for name, field in fields.items() if field != USUAL_FIELD]
    return f", where columns.prompt is the column of the text ({', '.join(others)})" if others else ""


LLAMA_FACTORY = Exporter(
    name="llama-factory",
    title="LLaMA-Factory",
    version="0.9.5",
    read_from="llamafactory/hparams/data_args.py, llamafactory/data/data_utils.py",
    documentation="https://llamafactory.readthedocs.io/en/latest/getting_started/data_preparation.html",
    unit="documents",
    filename="mixture.yaml",
    write=_write,
    by_name=True,
    by_line=True,
)
