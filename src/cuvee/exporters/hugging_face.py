"""Hugging Face datasets: rows interleaved with probabilities."""

from cuvee.exporters.interface import Export, Exporter, ExportRequest, number, repeats
from cuvee.exporters.loading import FIRST_IMPORTS, fields, loader
from cuvee.exporters.quoting import python_text


def _write(recipe: ExportRequest) -> Export:
    weights = recipe.document_shares()
    lines = [
        *FIRST_IMPORTS,
        "",
        "from datasets import interleave_datasets, load_dataset",
        "",
        "SOURCES = {",
    ]
    for name, weight in weights.items():
        lines.append(f"    {python_text(recipe.path(name))}: {number(weight)},  # {python_text(name)}")
    lines += [
        "}",
        *fields(recipe),
        *loader(),
        "",
        "",
        "def mixture(streaming=True):",
        "    parts = [load(path, streaming) for path in SOURCES]",
        "    return interleave_datasets(",
        f"        parts, probabilities=list(SOURCES.values()), seed={recipe.seed}, "
        'stopping_strategy="all_exhausted"',
        "    )",
        "",
    ]
    drawn = "Rows are drawn at random: token shares hold on average, by the mean lengths given."
    ends = 'It ends after every source was read once ("all_exhausted"); stop the trainer by tokens.'
    return Export("\n".join(lines), (drawn, ends, *repeats(recipe)))


HUGGING_FACE = Exporter(
    name="hugging-face",
    title="Hugging Face datasets",
    version="5.2.0",
    read_from="datasets/combine.py, datasets/packaged_modules/text/text.py",
    documentation="https://huggingface.co/docs/datasets/process#interleave",
    unit="documents",
    filename="mixture.py",
    write=_write,
)
