"""OLMo-core: a list of sources with target ratios and limits on repetition."""

import math

from cuvee.exporters.interface import Export, Exporter, ExportRequest, number
from cuvee.exporters.quoting import yaml_text


def _write(recipe: ExportRequest) -> Export:
    lines = ["sources:"]
    unknown = []
    for name, share in recipe.shares.items():
        lines += [
            f"  - source_name: {yaml_text(name)}",
            f"    target_ratio: {number(share)}",
            f"    paths: [{', '.join(map(yaml_text, recipe.places(name)))}]",
        ]
        epochs = recipe.epochs(name)
        if math.isnan(epochs):
            unknown.append(name)
        else:
            # Rounded up: the run stops where a source may not be repeated as often as its ratio needs.
            lines.append(f"    max_repetition_ratio: {number(max(1.0, math.ceil(epochs * 1000) / 1000))}")
    text = "\n".join(lines) + "\n"
    # The file is a SourceMixtureList, which refuses any other key; the budget belongs to what holds it.
    budget = round(recipe.target_tokens) if math.isfinite(recipe.target_tokens) else "the tokens of the run"
    held = (
        f"The budget is no part of the list: give SourceMixtureDatasetConfig requested_tokens={budget} and "
        "global_batch_size, the tokens of a batch, which has no default."
    )
    if not unknown:
        return Export(text, (held, ARRAYS))
    short = (
        "OLMo-core stops where a source is too short for its ratio; how often sources may be repeated is "
        f"left out for {', '.join(unknown)}, whose tokens (or those of the run) are unknown."
    )
    return Export(text, (held, ARRAYS, short))


ARRAYS = (
    "Paths must be .npy files that exist, or patterns that match some; the same mixture of sources of other "
    "kinds is built in Python with MixingInstanceSource (olmo_core.data.composable)."
)


OLMO_CORE = Exporter(
    name="olmo-core",
    title="OLMo-core",
    version="3.0.0",
    read_from="olmo_core/data/source_mixture.py",
    documentation="https://olmo-core.readthedocs.io/en/latest/guides/data_mixing.html",
    unit="tokens",
    filename="mixture.yaml",
    write=_write,
    expects="arrays of tokens (.npy)",
    tokens="olmo",
)
