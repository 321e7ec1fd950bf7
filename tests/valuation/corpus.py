"""Text of several domains from the shared folder; tests that need it skip where it is absent."""

import json
import os
from pathlib import Path

import pyarrow
import pytest

CORPUS = Path(os.environ.get("CUVEE_SHARED", "../shared")) / "corpus"
needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="needs the corpus in CUVEE_SHARED")


def domain_texts(domain: str, count: int, characters: int) -> list[str]:
    """The first documents of a domain, cut to so many characters."""
    with pyarrow.input_stream(CORPUS / domain / "train.jsonl.zst", compression="zstd") as stream:
        lines = stream.read(count * 20_000).split(b"\n")[:-1]
    return [json.loads(line)["text"][:characters] for line in lines[:count]]
