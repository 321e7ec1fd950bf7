"""One epoch of the StreamingDataset that our file describes."""

import shutil

import numpy as np
import yaml
from order import EXPORTED, LENGTH, by_window, finish, places, windows, without

without(*(f"torchvision{part}" for part in ("", ".datasets", ".transforms", ".transforms.functional")))
from streaming import MDSWriter, Stream, StreamingDataset  # noqa: E402
from streaming.base.util import clean_stale_shared_memory  # noqa: E402

for name, place in places().items():
    shutil.rmtree(place, ignore_errors=True)
    with MDSWriter(out=place, columns={"tokens": "ndarray:int32"}, size_limit=1 << 20) as shards:
        for window in windows(name, LENGTH):
            shards.write({"tokens": np.array(window, np.int32)})

clean_stale_shared_memory()
asked = yaml.safe_load(EXPORTED.read_text(encoding="utf-8"))["train_loader"]["dataset"]
asked.pop("max_seq_len")  # of the data set for text in LLM Foundry
streams = [Stream(**stream) for stream in asked.pop("streams").values()]
dataset = StreamingDataset(streams=streams, batch_size=8, **asked)
finish("mosaicml-streaming", [by_window(sample["tokens"].tolist()) for sample in dataset])
