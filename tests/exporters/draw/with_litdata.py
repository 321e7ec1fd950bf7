"""Samples of our module, until the first source ends."""

from itertools import islice
from pathlib import Path

import torch
from litdata import TokensLoader
from litdata.streaming.cache import Cache
from order import EXPORTED, LENGTH, SAMPLES, by_window, finish, places, windows

BLOCK = LENGTH + 1
for name, place in places().items():
    Path(place).mkdir(parents=True)
    cache = Cache(place, chunk_size=BLOCK * 500, item_loader=TokensLoader(block_size=BLOCK))
    for index, window in enumerate(windows(name, BLOCK)):
        cache[index] = torch.tensor(window, dtype=torch.int32)
    cache.done()
    cache.merge()

space = {}
exec(compile(EXPORTED.read_text(encoding="utf-8"), str(EXPORTED), "exec"), space)
finish("litdata", [by_window(sample.tolist()) for sample in islice(space["mixture"](), SAMPLES)])
