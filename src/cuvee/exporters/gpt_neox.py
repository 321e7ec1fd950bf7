"""GPT-NeoX: paths and weights, matched by position."""

from cuvee.exporters.interface import Export, Exporter, ExportRequest, number, repeats
from cuvee.exporters.quoting import yaml_text


def _write(recipe: ExportRequest) -> Export:
    # Its files look like JSON and are read as YAML, which takes 1e-05 for text and folds some characters.
    paths = ",\n".join(f"    {yaml_text(path)}" for path in recipe.place_shares)
    weights = ",\n".join(f"    {number(share)}" for share in recipe.place_shares.values())
    text = f'{{\n  "train-data-paths": [\n{paths}\n  ],\n  "train-data-weights": [\n{weights}\n  ]\n}}\n'
    return Export(text, (ALL_OR_NONE, EPOCHS, *repeats(recipe)))


ALL_OR_NONE = (
    "GPT-NeoX takes paths for training, validation and test together or not at all: add valid-data-paths, "
    "valid-data-weights, test-data-paths and test-data-weights, and leave data-path out."
)
EPOCHS = "Weights and train-epochs exclude each other; say the length of the run by train-iters."


GPT_NEOX = Exporter(
    name="gpt-neox",
    title="GPT-NeoX",
    version="commit ea7aefd",
    read_from="megatron/neox_arguments/arguments.py, megatron/data/{data_utils,indexed_dataset}.py",
    documentation="https://github.com/EleutherAI/gpt-neox/blob/main/configs/README.md",
    unit="samples",
    filename="data.yml",
    write=_write,
    expects="binary files under a prefix (.bin and .idx)",
    tokens="megatron",
)
