"""torchtitan after its release 0.3: data sets packed and then mixed by Grain, in Python (floor 3)."""

from cuvee.exporters.interface import Export, Exporter, Recipe, number, repeats
from cuvee.exporters.loading import fields
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
        *fields(recipe),
        "",
        "",
        "def packed(pattern):",
        '    field = FIELDS.get(pattern, "text")',
        "    documents = SingleDatasetConfig(",
        "        source=IndexedJsonlSource.Config(patterns=(pattern,)),",
        "        processor=TextProcessor.Config(text_fn=lambda row: row[field]),",
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
    return Export("\n".join(lines), (MAIN, ROWS, FILES, *repeats(recipe)))


MAIN = "This is the interface of its main branch; release 0.3 has none of it (--to torchtitan)."
ROWS = (
    "A packed row is the micro-batch of one rank and holds a single source: a batch of few ranks is far from "
    "the mixture, and only many batches keep to it."
)
FILES = "Paths are read as patterns of files with a JSON object a line."


TORCHTITAN_MAIN = Exporter(
    name="torchtitan-main",
    title="torchtitan (main)",
    version="commit b229038",
    read_from="torchtitan/components/data/README.md",
    documentation="https://github.com/pytorch/torchtitan/blob/main/torchtitan/components/data/README.md",
    unit="samples",
    filename="mixture.py",
    write=_write,
)
