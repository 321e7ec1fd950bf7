"""ms-swift: data sets interleaved with probabilities of rows."""

from cuvee.exporters.interface import Export, Exporter, ExportRequest, number, repeats
from cuvee.exporters.quoting import yaml_text

KNOWN_FIELDS = frozenset({"text", "completion", "content", "response", "answer", "output"})
"""Columns that it takes for the text of a row without being asked to."""


def _write(recipe: ExportRequest) -> Export:
    weights = recipe.document_shares()
    lines = ["dataset:", *(f"  - {yaml_text(recipe.path(name))}" for name in weights)]
    lines += ["interleave_prob:", *(f"  - {number(weight)}" for weight in weights.values())]
    lines += ["stopping_strategy: all_exhausted", f"data_seed: {recipe.seed}"]
    if recipe.sequence_length:
        lines.append(f"max_length: {recipe.sequence_length}")
    others = dict.fromkeys(recipe.text_field(name) for name in weights)
    if named := [field for field in others if field not in KNOWN_FIELDS]:
        lines += ["columns:", *(f"  {yaml_text(field)}: response" for field in named)]
    return Export("\n".join(lines) + "\n", (DRAWN, LONG, ENDS, *repeats(recipe)))


DRAWN = "Rows are drawn at random: token shares hold on average, by the mean lengths given."
LONG = (
    "Rows longer than max_length are left out by default, which takes most from sources of long documents: "
    "set truncation_strategy to split for pretraining, or cut the documents before."
)
ENDS = (
    'It ends after every source was read once ("all_exhausted"; by default it would after the first); set '
    "max_steps. A path that does not exist is taken for a name, and is divided at : and #."
)

MS_SWIFT = Exporter(
    name="ms-swift",
    title="ms-swift",
    version="4.6.0",
    read_from="swift/dataset/loader.py, swift/arguments/base_args/data_args.py",
    documentation="https://swift.readthedocs.io/en/latest/Instruction/Command-line-parameters.html",
    unit="documents",
    filename="mixture.yaml",
    write=_write,
    by_line=True,
)
