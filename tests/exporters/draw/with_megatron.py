"""Samples of the blend that Megatron-LM reads from our file, as its builder makes it on one rank."""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
from megatron.core.datasets.indexed_dataset import IndexedDatasetBuilder
from megatron.core.datasets.utils import get_blend_from_list
from order import EXPORTED, FOLDER, LENGTH, SAMPLES, by_window, finish, numbers, places, words


class Words:
    """What the data sets ask of a tokenizer."""

    def __init__(self):
        self.vocab_size, self.eod, self.pad = 100, 0, 99
        self.unique_identifiers = OrderedDict(kind="words")


for name, place in places().items():
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    binary = IndexedDatasetBuilder(f"{place}.bin", dtype=np.int32)
    for document in words(name):
        tokens = torch.tensor([numbers()[name]] * len(document) + [0])
        binary.add_document(tokens, [len(tokens)])
    binary.finalize(f"{place}.idx")

configuration = GPTDatasetConfig(
    random_seed=7,
    sequence_length=LENGTH,
    blend=get_blend_from_list(EXPORTED.read_text(encoding="utf-8").split()),
    split="99,1,0",
    path_to_cache=str(FOLDER / "cache"),
    tokenizer=Words(),
    reset_position_ids=False,
    reset_attention_mask=False,
    eod_mask_loss=False,
    create_attention_mask=False,
)
sizes = [SAMPLES, 0, 0]
train, _, _ = BlendedMegatronDatasetBuilder(GPTDataset, sizes, lambda: True, configuration).build()
finish("megatron-core", [by_window(train[index]["tokens"].tolist()) for index in range(SAMPLES)])
