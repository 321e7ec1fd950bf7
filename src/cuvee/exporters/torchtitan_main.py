"""torchtitan after its release 0.3: data sets packed and then mixed by Grain, in Python.

Grain draws in a fixed order of sources, the same on every rank, and a packed row is a rank's whole
micro-batch: unshuffled, a step would train on a single source. So each rank has an order of its own.
"""

from cuvee.exporters.interface import Export, Exporter, ExportRequest, number, repeats
from cuvee.exporters.loading import FIRST_IMPORTS, fields, loader
from cuvee.exporters.quoting import python_text

WINDOW = 128
"""Rows among which the order is drawn; so many are kept in memory."""

_IMPORTS = (
    "from dataclasses import dataclass",
    *FIRST_IMPORTS,
    "",
    "import grain.python as grain",
    "from datasets import load_dataset",
    "from torchtitan.components.data import (",
    "    ConcatThenSplitPackingConfig,",
    "    DatasetMixConfig,",
    "    GrainDataLoader,",
    "    SingleDatasetConfig,",
    "    WeightedDataset,",
    ")",
    "from torchtitan.hf_datasets.text_datasets import TextProcessor",
    "",
    "SOURCES = {",
)
# Packed first, so that a weight counts windows of fixed length and not documents.
_MIXTURE = f"""

@dataclass(frozen=True)
class Documents:
    path: str

    def build(self, *, dataset_iteration_policy):
        return load(self.path, streaming=False)


@dataclass(frozen=True)
class ShuffledRows:
    dataset: DatasetMixConfig

    def build(self, *, context, dataset_iteration_policy):
        policy = dataset_iteration_policy
        return grain.experimental.WindowShuffleIterDataset(
            self.dataset.build(context=context, dataset_iteration_policy=policy),
            window_size={WINDOW},
            seed=policy.seed + policy.dp_rank,
        )


def packed(path):
    documents = SingleDatasetConfig(
        source=Documents(path),
        processor=TextProcessor.Config(),
        post_filters=(lambda sample: sample is not None,),
    )
    return ConcatThenSplitPackingConfig(dataset=documents)


MIXTURE = DatasetMixConfig(
    datasets=tuple(
        WeightedDataset(dataset=packed(path), weight=weight) for path, weight in SOURCES.items()
    )
)"""


def _write(recipe: ExportRequest) -> Export:
    sources = [
        f"    {python_text(recipe.path(name))}: {number(share)},  # {python_text(name)}"
        for name, share in recipe.shares.items()
    ]
    lines = [
        *_IMPORTS,
        *sources,
        "}",
        *fields(recipe),
        *loader(),
        *_MIXTURE.split("\n"),
        "DATALOADER = GrainDataLoader.Config(",
        f"    dataset=ShuffledRows(MIXTURE), seed={recipe.seed}, repeat=True",
        ")",
        "",
    ]
    return Export("\n".join(lines), (MAIN, ROWS, *repeats(recipe)))


MAIN = "This is the interface of its main branch; release 0.3 has none of it (--to torchtitan)."
ROWS = (
    "A packed row is the micro-batch of one rank and holds a single source: a batch of few ranks and no "
    "accumulation is far from the mixture, and only many batches keep to it. Each rank draws in an order of "
    f"its own among {WINDOW} rows, which it keeps in memory."
)


TORCHTITAN_MAIN = Exporter(
    name="torchtitan-main",
    title="torchtitan (main)",
    version="commit b5bcd76",
    read_from=(
        "torchtitan/components/data/{dataset,packing,loader}.py, torchtitan/hf_datasets/text_datasets.py, "
        "Grain's dataset/transformations/mix.py"
    ),
    documentation="https://github.com/pytorch/torchtitan/blob/main/torchtitan/components/data/README.md",
    unit="samples",
    filename="mixture.py",
    write=_write,
)
