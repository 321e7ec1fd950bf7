"""Levanter and Marin: named data sets and their training weights."""

import math

from cuvee.exporters.interface import USUAL_FIELD, Export, Exporter, ExportRequest, number, repeats
from cuvee.exporters.quoting import yaml_text

BLOCK = 2048
"""Samples of one block; the default of Levanter, which allows less than 65536."""


def _write(recipe: ExportRequest) -> Export:
    lines = ["data:", "  components:"]
    for name in recipe.shares:
        lines += [
            f"    {yaml_text(name)}:",
            "      source:",
            "        type: url",
            f"        train_urls: [{yaml_text(recipe.path(name))}]",
        ]
        if (field := recipe.text_field(name)) != USUAL_FIELD:
            lines += ["      format:", "        type: text", f"        text_key: {yaml_text(field)}"]
    lines.append("  train_weights:")
    lines += [f"    {yaml_text(name)}: {number(share)}" for name, share in recipe.shares.items()]
    if math.isfinite(recipe.target_tokens):
        # Proxies of this run set experiment_budget to their own tokens, and repeat as it will.
        lines.append(f"  target_budget: {round(recipe.target_tokens)}")
    lines.append(f"  mixture_block_size: {BLOCK}")
    steps = f"Every block of {BLOCK} samples holds a whole number of each source; shares are rounded to that."
    never = [name for name, share in recipe.shares.items() if int(share * BLOCK) == 0]
    lost = f"Less than one sample of a block, so never read: {', '.join(never)}; raise mixture_block_size."
    cannot = (steps, lost) if never else (steps,)
    return Export("\n".join(lines) + "\n", (*cannot, *_budget(recipe), FILES, *repeats(recipe)))


def _budget(recipe: ExportRequest) -> tuple[str, ...]:
    if not math.isfinite(recipe.target_tokens):
        return ()
    return (
        "target_budget does nothing before experiment_budget is set too (the tokens of a smaller run that "
        "repeats as this one), and neither goes with num_validation_sequences or max_train_batches.",
    )


FILES = "train_urls are files or patterns of files, never folders."


LEVANTER = Exporter(
    name="levanter",
    title="Levanter, Marin",
    version="marin-levanter 0.2.227",
    read_from="levanter/data/text/datasets.py, levanter/data/mixture.py",
    documentation="https://levanter.readthedocs.io/en/latest/reference/Configuration/",
    unit="samples",
    filename="data.yaml",
    write=_write,
    by_line=True,
)
