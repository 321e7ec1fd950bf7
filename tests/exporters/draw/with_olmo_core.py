"""One epoch of the data set that OLMo-core builds from our list of sources."""

from pathlib import Path

import numpy as np
from olmo_core.data import NumpyFSLDatasetConfig, TokenizerConfig
from olmo_core.data.source_mixture import SourceMixtureDatasetConfig, SourceMixtureList
from olmo_core.data.types import NumpyDatasetDType
from order import EXPORTED, FOLDER, LENGTH, SAMPLES, by_window, finish, numbers, places, words

if __name__ == "__main__":  # it starts processes that read this file again
    for name, place in places().items():
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        tokens = [token for document in words(name) for token in [numbers()[name]] * len(document) + [0]]
        np.array(tokens, np.uint8).tofile(place)

    mixture = SourceMixtureDatasetConfig(
        source_list=SourceMixtureList.from_yaml(str(EXPORTED)),
        requested_tokens=SAMPLES * LENGTH,
        global_batch_size=LENGTH * 8,
    )
    dataset = NumpyFSLDatasetConfig(
        source_mixture_config=mixture,
        sequence_length=LENGTH,
        tokenizer=TokenizerConfig(vocab_size=len(numbers()) + 1, eos_token_id=0, pad_token_id=0),
        dtype=NumpyDatasetDType.uint8,
        work_dir=str(FOLDER / "work"),
    ).build()
    dataset.prepare()
    order = np.random.default_rng(0).permutation(len(dataset))
    finish("ai2-olmo-core", [by_window(dataset[int(i)]["input_ids"].tolist()) for i in order])
