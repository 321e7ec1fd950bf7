"""Rows of the data set that ms-swift loads by our arguments, one epoch."""

import yaml
from order import EXPORTED, by_text, finish
from swift.arguments.base_args.data_args import DataArguments
from swift.dataset import load_dataset

if __name__ == "__main__":
    asked = yaml.safe_load(EXPORTED.read_text(encoding="utf-8"))
    asked.pop("max_length")  # of the template, not of the data
    arguments = DataArguments(**asked)
    arguments.use_hf, arguments.hub_token = True, None
    rows, _ = load_dataset(
        arguments.dataset,
        shuffle=arguments.dataset_shuffle,
        split_dataset_ratio=0.0,
        **arguments.get_dataset_kwargs(),
    )
    finish("ms-swift", [by_text(messages[-1]["content"]) for messages in rows["messages"]])
