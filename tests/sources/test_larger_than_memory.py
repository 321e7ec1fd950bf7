"""A pool of tokens four times as large as all memory that a process may address, prepared and trained on.

The files are sparse: all but the beginnings of documents is one token, of which nothing lies on disk.
"""

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

LIMIT = 2 << 30
DOCUMENTS, DOCUMENT_TOKENS, WIDTH = 1024, 1 << 20, 8

CHILD = """
import json, resource, sys
from pathlib import Path

limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
import torch
from cuvee.execution.local import InProcess
from cuvee.mixture.mixture import Mixture
from cuvee.models.config import ModelConfig
from cuvee.models.llama import Llama
from cuvee.sources.preparation import prepare
from cuvee.sources.readers import SourceSpec
from cuvee.sources.split import SplitOptions
from cuvee.sources.stream import MixedStream
from cuvee.sources.tokenization import tokenize
from cuvee.training.loop import train
from cuvee.training.recipe import Recipe
from cuvee.training.state import TrainingState

root = Path(sys.argv[1])
spec = SourceSpec("web", (str(root / "web.bin"),), tokenizer=root / "tokenizer")
corpus = prepare([spec], {"web": "web"}, SplitOptions(eval_fraction=0.01, units=1))
shards = tokenize(corpus, root / "tokenizer", root / "shards", InProcess())
own = [shards["web", "seed"], shards["web", "unit-0"]]
stream = MixedStream({"web": own}, Mixture.of({"web": 1.0}), context_length=64, batch_sequences=4, seed=0)
model = Llama(ModelConfig(vocabulary_size=257, context_length=64, width=32, layers=1, heads=1, hidden=32))
recipe = Recipe(steps=6, batch_sequences=4, context_length=64, learning_rate=1e-2, schedule="constant")
state = train(model, TrainingState.fresh(model.initial(0)), stream, recipe, key="k")
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps({
    "tokens": sum(len(one.tokens) for one in own),
    "kept": corpus.report.sources[0].kept.documents,
    "steps": state.step,
    "finite": bool(torch.isfinite(state.flat).all()),
    "peak_kb": int(status["VmPeak"].split()[0]),
    "shards_mb": sum(file.stat().st_size for file in (root / "shards").rglob("*") if file.is_file()) / 1e6,
}))
"""


def write_tokenizer(folder: Path) -> None:
    """All bytes as tokens, and the end of a text as the last, so that token 0 is a letter."""
    lone = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = [chr(one) for one in lone] + [chr(256 + one) for one in range(256 - len(lone))]
    end = {"id": 256, "content": "<|endoftext|>", "special": True, "normalized": False}
    end |= {"single_word": False, "lstrip": False, "rstrip": False}
    step = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    vocabulary = {one: place for place, one in enumerate(letters)}
    content = {
        "version": "1.0",
        "added_tokens": [end],
        "normalizer": None,
        "pre_tokenizer": step,
        "post_processor": None,
        "decoder": step,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")


def write_sparse_pool(stem: Path) -> int:
    """Megatron files of documents that differ in their first tokens; gives bytes of tokens."""
    with stem.with_suffix(".bin").open("wb") as stream:
        for number in range(DOCUMENTS):
            stream.seek(number * DOCUMENT_TOKENS * WIDTH)
            stream.write(np.array([32 + int(digit) for digit in f"{number:06d}"], "<i8").tobytes())
        stream.truncate(DOCUMENTS * DOCUMENT_TOKENS * WIDTH)
    head = b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, 5, DOCUMENTS, DOCUMENTS + 1)
    lengths = np.full(DOCUMENTS, DOCUMENT_TOKENS, "<i4").tobytes()
    begins = (np.arange(DOCUMENTS, dtype="<i8") * DOCUMENT_TOKENS * WIDTH).tobytes()
    marks = np.arange(DOCUMENTS + 1, dtype="<i8").tobytes()
    stem.with_suffix(".idx").write_bytes(head + lengths + begins + marks)
    return DOCUMENTS * DOCUMENT_TOKENS * WIDTH


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the address space that is enforced")
def test_a_pool_four_times_as_large_as_the_address_space(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    write_tokenizer(tmp_path / "tokenizer")
    assert write_sparse_pool(tmp_path / "web") == 4 * LIMIT
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), str(LIMIT)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert (found["kept"], found["steps"], found["finite"]) == (DOCUMENTS, 6, True)
    assert found["tokens"] > 0.95 * DOCUMENTS * DOCUMENT_TOKENS
    assert found["peak_kb"] <= LIMIT >> 10
    assert found["shards_mb"] < 100, "only the evaluation is copied"
    record_property(
        "measured",
        f"{4 * LIMIT / 1e9:.1f} GB of tokens, address space {LIMIT / 1e9:.1f} GB, "
        f"most memory {found['peak_kb'] / 1e6:.2f} GB, copied {found['shards_mb']:.0f} MB",
    )
