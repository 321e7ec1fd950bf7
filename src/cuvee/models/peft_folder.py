"""Folders of adapters in the format of ``peft`` (as 0.21 writes it): ``PeftModel.from_pretrained`` opens it.

Two files: ``adapter_config.json``, which says where the model lies that is adapted, and the factors by name
in ``adapter_model.safetensors``. The library is not needed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from cuvee.errors import CheckpointError
from cuvee.files import write_json
from cuvee.models.adapters import Adapters
from cuvee.models.layout import Layout

FACTORS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


def write_factors(
    folder: Path, factors: Mapping[str, Tensor], adapters: Adapters, description: Mapping[str, Any]
) -> None:
    """Write an adapter into a folder that exists.

    Args:
        folder: where.
        factors: by their names in ``peft``.
        adapters: their settings.
        description: what ``peft`` has to know of the model: where it lies, which modules, how stored, for
            what task.
    """
    own = {name: one.detach().float().cpu().contiguous().clone() for name, one in factors.items()}
    save_file(own, folder / FACTORS, metadata={"format": "pt"})
    settings = {
        "peft_type": "LORA",
        "r": adapters.rank,
        "lora_alpha": adapters.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
    }
    write_json(folder / CONFIG, settings | dict(description))


def read_factors(folder: Path, layout: Layout) -> Tensor:
    """The factors [n] in a folder.

    Raises:
        CheckpointError: they are missing, damaged or of other adapters.
    """
    file = folder / FACTORS
    if not file.is_file():
        raise CheckpointError(f"{folder}: no {FACTORS}; delete the folder to have it made again")
    try:
        return layout.gather(load_file(file))
    except Exception as error:  # safetensors raises its own untyped error for a cut file
        raise CheckpointError(
            f"{file}: cannot be read as these adapters ({error}); delete the folder to have it made again"
        ) from error
