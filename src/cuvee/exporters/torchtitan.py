"""torchtitan: data sets packed and then mixed, in Python (floor 3)."""

from cuvee.exporters.interface import Export, Exporter, Recipe, number, repeats
from cuvee.exporters.quoting import python_text


def _write(recipe: Recipe) -> Export:
    lines = [
        "from torchtitan.components.data import (",
        "    ConcatThenSplitPackingConfig,",
        "    DatasetMixConfig,",
        "    GrainDataLoader,",
        "    IndexedJsonlSource,",
        "    SingleDatasetConfig,",
        "    WeightedDataset,",
        ")",
        "from torchtitan.hf_datasets.text_datasets import TextProcessor",
        "",
        "SOURCES = {",
    ]
    for name, share in recipe.shares.items():
        lines.append(f"    {python_text(recipe.path(name))}: {number(share)},  # {python_text(name)}")
    # Packed first, so that a weight counts windows of fixed length and not documents.
    lines += [
        "}",
        "",
        "",
        "def text(row):",
        '    return row["text"]',
        "",
        "",
        "def packed(pattern):",
        "    documents = SingleDatasetConfig(",
        "        source=IndexedJsonlSource.Config(patterns=(pattern,)),",
        "        processor=TextProcessor.Config(text_fn=text),",
        "        post_filters=(lambda sample: sample is not None,),",
        "    )",
        "    return ConcatThenSplitPackingConfig(dataset=documents)",
        "",
        "",
        "MIXTURE = DatasetMixConfig(",
        "    datasets=tuple(",
        "        WeightedDataset(dataset=packed(path), weight=weight) for path, weight in SOURCES.items()",
        "    )",
        ")",
        f"DATALOADER = GrainDataLoader.Config(dataset=MIXTURE, seed={recipe.seed}, repeat=True)",
        "",
    ]
    files = "Paths are read as patterns of files with a JSON object a line, its text under the key text."
    return Export("\n".join(lines), (files, *repeats(recipe)))


TORCHTITAN = Exporter(
    name="torchtitan",
    title="torchtitan",
    version="commit b229038",
    documentation="https://github.com/pytorch/torchtitan/blob/main/torchtitan/components/data/README.md",
    unit="samples",
    filename="mixture.py",
    write=_write,
)
