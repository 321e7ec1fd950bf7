"""Rows of the data set that LLaMA-Factory merges by our file, one epoch."""

import json

import yaml
from order import EXPORTED, FOLDER, by_text, finish, places, without

without("torchaudio", "av")
from llamafactory.data.loader import _get_merged_dataset  # noqa: E402
from llamafactory.hparams import DataArguments, ModelArguments  # noqa: E402
from transformers import Seq2SeqTrainingArguments  # noqa: E402

known = {name: {"file_name": place, "columns": {"prompt": "text"}} for name, place in places().items()}
(FOLDER / "dataset_info.json").write_text(json.dumps(known), encoding="utf-8")
asked = yaml.safe_load(EXPORTED.read_text(encoding="utf-8"))
training = Seq2SeqTrainingArguments(str(FOLDER / "out"), seed=asked.pop("seed"), use_cpu=True, report_to=[])
data = DataArguments(dataset_dir=str(FOLDER), preprocessing_num_workers=1, **asked)
model = ModelArguments(model_name_or_path="none")
rows = _get_merged_dataset(data.dataset, model, data, training, "pt")
finish("llamafactory", [by_text(prompt[0]["content"]) for prompt in rows["_prompt"]])
