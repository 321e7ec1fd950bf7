"""The tensors of a model folder by their headers, compared with its config before any is built.

A config is a few numbers that anybody can write; a million layers would take minutes and gigabytes only to be
found wanting. The headers of safetensors files say names, types and shapes, and reading them costs nothing.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cuvee.errors import CheckpointError

_FLOATING = frozenset({"F64", "F32", "F16", "BF16"})
_LENGTH_BYTES = 8
_MOST_HEADER_BYTES = 1 << 27
_MOST = 1 << 24
"""Of any number of a config; no model comes near."""
_WHOLE = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "n_embd": "hidden_size",
    "num_hidden_layers": "layers",
    "n_layer": "layers",
    "num_attention_heads": "heads",
    "n_head": "heads",
    "num_key_value_heads": "key-value heads",
    "intermediate_size": "intermediate_size",
    "max_position_embeddings": "positions",
    "n_positions": "positions",
    "head_dim": "head_dim",
}
"""Keys of configs that must be whole numbers from one on, and what they count."""
_DIMENSIONS = frozenset({"vocab_size", "hidden_size"})
"""What must be the size of some tensor."""
_INDEX = "model.safetensors.index.json"
_LAYER = re.compile(r"\.(\d+)\.")


@dataclass(frozen=True)
class Stored:
    """One tensor of a file, as its header describes it."""

    file: Path
    dtype: str
    shape: tuple[int, ...]


def stored_tensors(folder: Path, pattern: str) -> dict[str, Stored]:
    """All tensors of the safetensors files of a folder; empty where there are none, or a header is damaged
    (reported when the file is read)."""
    found = {}
    for file in sorted(folder.glob(pattern)):
        try:
            with file.open("rb") as stream:
                length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
                header = json.loads(stream.read(length)) if length <= _MOST_HEADER_BYTES else {}
            found.update(
                {
                    name: Stored(file, str(one["dtype"]), tuple(map(int, one["shape"])))
                    for name, one in header.items()
                    if name != "__metadata__"
                }
            )
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return {}
    return found


def check_stored(folder: Path, description: Mapping[str, Any], pattern: str) -> None:
    """Compare the config of a folder with the tensors in it.

    Args:
        folder: of the model.
        description: its ``config.json``.
        pattern: of the files that hold its parameters.

    Raises:
        CheckpointError: a size in the config is none, or not that of the tensors; weights that are no
            floating-point numbers; a part of a model in parts is not there.
    """
    text = description.get("text_config")
    sizes = {**description, **text} if isinstance(text, dict) else dict(description)
    for key, what in _WHOLE.items():
        _check_whole(folder, key, what, sizes.get(key))
    _check_shards(folder)
    tensors = stored_tensors(folder, pattern)
    for name, one in tensors.items():
        if one.dtype not in _FLOATING and "weight" in name:
            raise CheckpointError(
                f"{one.file}: {name} holds {one.dtype}, no floating-point numbers: the model is quantised, "
                "and its integers are no parameters that can be trained or averaged; give the model that it "
                "was made of (float32, bfloat16 or float16)"
            )
    if tensors:
        _check_sizes(folder, sizes, tensors)


def _check_shards(folder: Path) -> None:
    """Parts of a model that its index names must be there."""
    file = folder / _INDEX
    if not file.is_file():
        return
    try:
        names = set(json.loads(file.read_text(encoding="utf-8"))["weight_map"].values())
        missing = sorted(str(name) for name in names if not (folder / str(name)).is_file())
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{file}: damaged, so that nobody knows which files hold the model ({error!r}); copy it again"
        ) from error
    if missing:
        raise CheckpointError(
            f"{folder}: {len(missing)} of the {len(names)} files of the model are missing, such as "
            f"{missing[0]}; copy them beside {_INDEX}, which names them"
        )


def _check_whole(folder: Path, key: str, what: str, value: Any) -> None:
    if value is None or isinstance(value, list):  # some architectures have one for each layer
        return
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
        raise CheckpointError(
            f"{folder / 'config.json'}: {key} is {value!r}; {what} must be a whole number from 1 to {_MOST:,}"
        )


def _check_sizes(folder: Path, sizes: Mapping[str, Any], tensors: Mapping[str, Stored]) -> None:
    dimensions = {size for one in tensors.values() for size in one.shape}
    for key, what in _WHOLE.items():
        value = sizes.get(key)
        if what in _DIMENSIONS and isinstance(value, int) and value not in dimensions:
            raise CheckpointError(
                f"{folder / 'config.json'}: {key} is {value:,}, but no tensor of the model has that size; "
                "config and parameters are of different models"
            )
    numbers = [int(found[1]) for name in tensors if (found := _LAYER.search(name))]
    for key in ("num_hidden_layers", "n_layer"):
        layers = sizes.get(key)
        if numbers and isinstance(layers, int) and layers > max(numbers) + 1:
            raise CheckpointError(
                f"{folder / 'config.json'}: {key} is {layers:,}, but there are parameters of "
                f"{max(numbers) + 1:,} layers; config and parameters are of different models"
            )
