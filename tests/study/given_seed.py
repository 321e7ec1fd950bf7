"""Model folders as transformers saves them, with a tokenizer of their own, and small studies on them."""

import json
import shutil
from pathlib import Path
from typing import Any

from cuvee.sources.tokenizer import train_tokenizer
from tests.models.tiny_models import save_random
from tests.study.tiny_study import LANGUAGES, texts, write_texts


def given_model(folder: Path, kind: str, **changes: Any) -> Path:
    """A random model in bfloat16 in two files, with a tokenizer beside it."""
    spare = folder.parent / f"{folder.name} in the making"
    corpus = (text for name in LANGUAGES for text in texts(name))
    tokenizer = train_tokenizer(corpus, 300, spare / "tokenizer")
    module = save_random(spare / "model", kind, tokenizer.vocabulary_size, **changes).bfloat16()
    half = sum(parameter.numel() for parameter in module.parameters())  # two bytes each, in two files
    module.save_pretrained(folder, max_shard_size=f"{round(1.2 * half / 1000)}KB")
    for file in (spare / "tokenizer").iterdir():
        shutil.copyfile(file, folder / file.name)
    shutil.rmtree(spare)
    return folder


def given_study(root: Path, seed: Path, **changes: Any) -> dict[str, Any]:
    """The text of all languages in a folder, and a study file that branches from a model."""
    for name in LANGUAGES:
        write_texts(root / "text" / f"{name}.jsonl", texts(name))
    numerics = {"dtype": "float32", "compiled": False, "device": "cpu"}
    (root / "numerics.json").write_text(json.dumps(numerics))
    study: dict[str, Any] = {
        "schema": 1,
        "workers": 1,
        "sources": {name: f"text/{name}.jsonl" for name in LANGUAGES},
        "model": {"folder": str(seed), "context_length": 32},
        "branch_training": {"tokens": 4 * 256, "batch_tokens": 256, "learning_rate": 3e-3},
        "references": {"count": 4, "replicates": 1},
        "candidates": {"count": 5},
        "check": {"seeds": 0},
        "evaluation_tokens": 256,
    }
    for name, value in changes.items():
        study[name] = {**study.get(name, {}), **value} if isinstance(value, dict) else value
    return study
