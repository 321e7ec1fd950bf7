"""Meta Lingua: folders and their weights in documents."""

from cuvee.exporters.interface import Export, Exporter, ExportRequest, number, repeats
from cuvee.exporters.quoting import yaml_text


def _write(recipe: ExportRequest) -> Export:
    weights = recipe.document_shares()
    # Sources are joined to root_dir, which has no default; an absolute path stays what it is.
    lines = ["data:", '  root_dir: "."', "  sources:"]
    lines += [f"    {yaml_text(recipe.path(name))}: {number(weight)}" for name, weight in weights.items()]
    if recipe.sequence_length:
        lines.append(f"  seq_len: {recipe.sequence_length}")
    lines.append(f"  seed: {recipe.seed}")
    drawn = "Documents are drawn at random: token shares hold on average, by the mean lengths given."
    return Export("\n".join(lines) + "\n", (drawn, CHUNKS, *_fields(recipe), *repeats(recipe)))


def _fields(recipe: ExportRequest) -> tuple[str, ...]:
    others = [name for name in recipe.shares if recipe.text_field(name) not in ("text", "content")]
    if not others:
        return ()
    return (
        f"Lingua reads the fields text and content only; write {', '.join(others)} anew with one of them.",
    )


CHUNKS = (
    "Only files called *.chunk.*.jsonl are read; chunks of a source beyond the number of data-parallel "
    "workers are dropped without a word, and that number must be a multiple of the chunks."
)


LINGUA = Exporter(
    name="lingua",
    title="Meta Lingua",
    version="commit 437d680",
    read_from="lingua/data.py",
    documentation="https://github.com/facebookresearch/lingua#configuration",
    unit="documents",
    filename="data.yaml",
    write=_write,
    expects="folders of JSON lines in chunks (NAME.chunk.00.jsonl)",
)
