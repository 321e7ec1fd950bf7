"""LitData: streaming data sets combined by weight."""

from cuvee.exporters.interface import Export, Exporter, ExportRequest, ends, number
from cuvee.exporters.quoting import python_text


def _write(recipe: ExportRequest) -> Export:
    block = str(recipe.sequence_length + 1) if recipe.sequence_length else "BLOCK_SIZE"
    lines = [
        "from litdata import CombinedStreamingDataset, StreamingDataset, TokensLoader",
        "",
        "SOURCES = {",
        *(
            f"    {python_text(recipe.path(name))}: {number(share)},  # {python_text(name)}"
            for name, share in recipe.shares.items()
        ),
        "}",
        "",
    ]
    if not recipe.sequence_length:
        lines += ["BLOCK_SIZE = 2049  # tokens of a sample and one more; the same for every source", ""]
    lines += [
        "",
        "def mixture():",
        "    parts = [",
        # A loader keeps the chunks of its data set; one for all would read from the wrong one.
        f"        StreamingDataset(path, item_loader=TokensLoader(block_size={block}), shuffle=True)",
        "        for path in SOURCES",
        "    ]",
        "    return CombinedStreamingDataset(",
        f"        parts, weights=list(SOURCES.values()), seed={recipe.seed}, iterate_over_all=False",
        "    )",
        "",
    ]
    drawn = "Samples are drawn at random: token shares hold on average."
    return Export("\n".join(lines), (drawn, ends(recipe)))


LITDATA = Exporter(
    name="litdata",
    title="LitData, LitGPT",
    version="0.2.76",
    read_from="litdata/streaming/combined.py",
    documentation="https://github.com/Lightning-AI/litData#features-for-optimizing-and-streaming-datasets-for-model-training",
    unit="samples",
    filename="mixture.py",
    write=_write,
    expects="chunks of tokens that it has optimised",
)
