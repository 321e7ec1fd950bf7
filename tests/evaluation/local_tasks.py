"""Tasks of lm-evaluation-harness on text written here, one of each kind (for tests)."""

import json
from pathlib import Path
from typing import Any

CHOICE, ANSWER, ROLLING = "colours", "endings", "stories"
_SUBJECTS = ["the grass", "the sky", "fresh snow", "a ripe tomato", "old coal", "a young leaf", "the sea"]
_COLOURS = ["green", "blue", "white and cold", "red", "black"]

_HEADER = """task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
output_type: {kind}
"""
_CHOICE = """doc_to_text: "{{question}}\\nAnswer:"
doc_to_choice: choices
doc_to_target: right
num_fewshot: 1
fewshot_split: test
fewshot_config:
  sampler: default
metric_list:
  - metric: acc
  - metric: acc_norm
  - metric: acc_bytes
"""
_ANSWER = """doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
metric_list:
  - metric: perplexity
    aggregation: perplexity
    higher_is_better: false
"""
_ROLLING = """doc_to_text: ""
doc_to_target: "{{text}}"
metric_list:
  - metric: word_perplexity
  - metric: byte_perplexity
  - metric: bits_per_byte
"""


def write_tasks(folder: Path, count: int = 12) -> dict[str, Path]:
    """Name -> YAML file of a task with so many questions."""
    folder.mkdir(parents=True, exist_ok=True)
    choices: list[dict[str, Any]] = [
        {
            "question": f"{'Think twice. ' * (number % 3)}What colour has {_SUBJECTS[number % 7]}?",
            "choices": [_COLOURS[(number + place) % 5] for place in range(3 + number % 3)],
            "right": number * number % 3,
        }
        for number in range(count)
    ]
    answers = [{"question": f"{one['question']} ", "answer": f"It is {_COLOURS[1]}"} for one in choices]
    texts = [{"text": " ".join(_SUBJECTS * (1 + number % 5)) + " é."} for number in range(count)]
    rows: dict[str, list[dict[str, Any]]] = {CHOICE: choices, ANSWER: answers, ROLLING: texts}
    kinds = {CHOICE: "multiple_choice", ANSWER: "loglikelihood", ROLLING: "loglikelihood_rolling"}
    bodies = {CHOICE: _CHOICE, ANSWER: _ANSWER, ROLLING: _ROLLING}
    found = {}
    for name, own in rows.items():
        data, found[name] = folder / f"{name}.jsonl", folder / f"{name}.yaml"
        data.write_text("".join(json.dumps(row) + "\n" for row in own), encoding="utf-8")
        head = _HEADER.format(name=name, data=data, kind=kinds[name])
        found[name].write_text(head + bodies[name], encoding="utf-8")
    return found
