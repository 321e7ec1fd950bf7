"""Sequences of the mixture that Levanter builds from our file, in its order."""

import asyncio

import draccus
import jax
import yaml
from haliax import Axis
from levanter.data.text.datasets import LmDataConfig
from levanter.schedule import BatchSchedule
from order import EXPORTED, FOLDER, LENGTH, SAMPLES, by_window, finish, tokenizer

AT_ONCE = 5000


async def drawn(mixture):
    """The first samples of a mixture."""
    found = []
    for start in range(0, SAMPLES, AT_ONCE):
        examples = await mixture.get_batch(range(start, min(start + AT_ONCE, SAMPLES)))
        found += [by_window(example.tokens.tolist()) for example in examples]
    return found


if __name__ == "__main__":
    tokenizer().save_pretrained(FOLDER / "tokenizer")
    asked = yaml.safe_load(EXPORTED.read_text(encoding="utf-8"))["data"]
    asked |= {"tokenizer": str(FOLDER / "tokenizer"), "cache_dir": str(FOLDER / "cache")}
    data = draccus.decode(LmDataConfig, asked)
    mixture = data.train_mixture(Axis("position", LENGTH), BatchSchedule(8), key=jax.random.PRNGKey(0))
    finish("marin-levanter", asyncio.run(drawn(mixture)))
