"""One epoch of the data set that axolotl prepares from our file, its configuration validated by axolotl."""

import yaml
from axolotl.utils.config import validate_config
from axolotl.utils.data.sft import prepare_datasets
from axolotl.utils.dict import DictDefault
from order import EXPORTED, FOLDER, by_row, finish, tokenizer

if __name__ == "__main__":  # it starts processes that read this file again
    words = tokenizer()
    words.save_pretrained(FOLDER / "model")
    asked = yaml.safe_load(EXPORTED.read_text(encoding="utf-8"))
    least = {
        "base_model": str(FOLDER / "model"),
        "learning_rate": 1e-4,
        "micro_batch_size": 1,
        "gradient_accumulation_steps": 1,
        "sequence_len": 2048,
        "dataset_prepared_path": str(FOLDER / "prepared"),
        "dataset_num_proc": 1,
        "output_dir": str(FOLDER / "out"),
    }
    configuration = validate_config(DictDefault({**least, **asked}))
    configuration.batch_size = 1
    rows = prepare_datasets(configuration, words)[0]["input_ids"]
    finish("axolotl", [by_row(row) for row in rows] * int(configuration.num_epochs))
