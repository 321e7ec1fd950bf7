"""Content hashes: one spelling for 'keyed by all that determines it'."""

import hashlib
import json
from pathlib import Path
from typing import Any

DIGEST_CHARACTERS = 16
_BLOCK_BYTES = 1 << 20


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces, so that equal values give equal bytes.

    Raises:
        TypeError: a value is not plain JSON (floats are written by ``repr``, exactly).
        ValueError: a float is not finite.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """The first 16 hexadecimal characters (64 bits) of the SHA-256 of ``canonical_json(value)``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:DIGEST_CHARACTERS]


def digest_bytes(data: bytes | memoryview) -> str:
    """The same for raw bytes."""
    return hashlib.sha256(data).hexdigest()[:DIGEST_CHARACTERS]


def digest_file(path: Path) -> str:
    """The same for the content of a file, read in 1 MiB blocks."""
    state = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            state.update(block)
    return state.hexdigest()[:DIGEST_CHARACTERS]
