"""MosaicML Streaming: streams with proportions of samples."""

import math

from cuvee.exporters.interface import Export, Exporter, ExportRequest, number, repeats
from cuvee.exporters.quoting import yaml_text


def _write(recipe: ExportRequest) -> Export:
    lines = ["train_loader:", "  dataset:", "    streams:"]
    for name, share in recipe.shares.items():
        lines += [
            f"      {yaml_text(name)}:",
            f"        {_place(recipe.path(name))}: {yaml_text(recipe.path(name))}",
            f"        proportion: {number(share)}",
        ]
    cannot = []
    if recipe.sequence_length:
        lines.append(f"    max_seq_len: {recipe.sequence_length}")
    if recipe.sequence_length and math.isfinite(recipe.target_tokens):
        lines.append(f"    epoch_size: {round(recipe.target_tokens / recipe.sequence_length)}")
    else:
        cannot.append(
            "Proportions hold over an epoch of epoch_size samples; set it to the tokens of the run over the "
            "tokens of a sample (neither is known here)."
        )
    # Without it the streams are read one after the other.
    lines += ["    shuffle: true", f"    shuffle_seed: {recipe.seed}"]
    cannot.append("Samples are taken to be of one length; concatenate texts when the shards are written.")
    return Export("\n".join(lines) + "\n", (*cannot, *repeats(recipe)))


def _place(path: str) -> str:
    return "remote" if "://" in path else "local"


MOSAICML = Exporter(
    name="mosaicml",
    title="MosaicML Streaming",
    version="0.13.0",
    read_from="streaming/base/dataset.py, streaming/base/stream.py",
    documentation="https://docs.mosaicml.com/projects/streaming/en/stable/dataset_configuration/mixing_data_sources.html",
    unit="samples",
    filename="train_loader.yaml",
    write=_write,
    expects="shards of samples (MDS)",
)
