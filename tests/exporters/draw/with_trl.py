"""One epoch of the data set that TRL builds from our file."""

import yaml
from order import EXPORTED, by_text, finish
from trl.scripts.utils import DatasetMixtureConfig, get_dataset

asked = yaml.safe_load(EXPORTED.read_text(encoding="utf-8"))
mixture = get_dataset(DatasetMixtureConfig(datasets=asked["datasets"]))["train"]
finish("trl", [by_text(text) for text in mixture.shuffle(seed=0)["text"]])
