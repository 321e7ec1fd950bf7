"""torchtitan: data sets packed and then interleaved, in Python."""

from cuvee.exporters.interface import Export, Exporter, ExportRequest, number, repeats
from cuvee.exporters.loading import FIRST_IMPORTS, fields, loader
from cuvee.exporters.quoting import python_text


def _write(recipe: ExportRequest) -> Export:
    lines = [
        *FIRST_IMPORTS,
        "",
        "from datasets import load_dataset",
        "from torchtitan.hf_datasets import DatasetConfig",
        "from torchtitan.hf_datasets.text_datasets import (",
        "    DATASETS,",
        "    HFDataSource,",
        "    InterleavedHuggingFaceTextDataLoader,",
        ")",
        "",
        "SOURCES = {",
    ]
    for name, share in recipe.shares.items():
        lines.append(f"    {python_text(recipe.path(name))}: {number(share)},  # {python_text(name)}")
    lines += ["}", *fields(recipe), *loader(), *_dataloader(recipe.seed)]
    return Export("\n".join(lines), (RANKS, *repeats(recipe)))


def _dataloader(seed: int) -> list[str]:
    return [
        "",
        "",
        "def source(number, path):",
        # Its names of data sets are of lower case, and its table of them is the only way in.
        '    name = f"source {number}"',
        "    DATASETS[name] = DatasetConfig(",
        '        path, lambda path: load(path, streaming=False), lambda row: row["text"]',
        "    )",
        "    return HFDataSource(dataset=name, dataset_path=path, weight=SOURCES[path], infinite=True)",
        "",
        "",
        "DATALOADER = InterleavedHuggingFaceTextDataLoader.Config(",
        "    sources=[source(number, path) for number, path in enumerate(SOURCES)],",
        f"    seed={seed},",
        "    stopping_strategy='all_exhausted',",
        ")",
        "",
    ]


RANKS = (
    "Windows are drawn at random, by the same draws on every rank: a batch of many ranks keeps to the "
    "mixture only as closely as that of one rank, and many batches keep to it on average."
)

TORCHTITAN = Exporter(
    name="torchtitan",
    title="torchtitan",
    version="0.3.0",
    read_from="torchtitan/hf_datasets/text_datasets.py, torchtitan/hf_datasets/interleaved.py",
    documentation="https://github.com/pytorch/torchtitan/blob/v0.3.0/docs/datasets.md",
    unit="samples",
    filename="mixture.py",
    write=_write,
)
