"""A model on disk that knows where it came from.

A checkpoint is a Hugging Face folder (of adapters: one of ``peft``) with one more file, ``cuvee.json``: the
hash of its parameters, of the checkpoint it branched from, of the recipe that made it and of its tokenizer.
Models are only averaged when these agree. It has digests of its companions in the folder and of itself, too.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path

from torch import Tensor

from cuvee.errors import CheckpointError
from cuvee.files import atomic_folder
from cuvee.hashing import digest_bytes
from cuvee.models.adapted import AdaptedModel
from cuvee.models.hugging_face import (
    PARAMETERS,
    HuggingFaceModel,
    check_finite,
    copy_tokenizer,
    open_model,
    read_flat,
    save_llama,
)
from cuvee.models.interface import CausalModel
from cuvee.models.llama import Llama
from cuvee.models.peft_folder import FACTORS
from cuvee.seal import damage, digests_of, read_sealed, write_sealed
from cuvee.types import Json

PASSPORT = "cuvee.json"


@dataclass(frozen=True)
class Checkpoint:
    """One model on disk. Parameters are read when asked for."""

    folder: Path
    model_hash: str
    content_hash: str
    """Of the float32 parameters in flat order."""
    ancestor: str | None = None
    """``content_hash`` of the checkpoint it branched from; None for a seed."""
    recipe: str | None = None
    """Hash of the training recipe; None for a given checkpoint."""
    tokenizer: str | None = None
    details: Json = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """Name -> digest of everything else in the folder; empty where an earlier version wrote it."""

    @classmethod
    def load(cls, folder: Path) -> "Checkpoint":
        """Read the passport of a folder; a folder without one gets it from its parameters.

        Raises:
            CheckpointError: no such folder, or a damaged passport.
        """
        file = folder / PASSPORT
        if not file.is_file():
            model = open_model(folder)
            flat = read_flat(folder, model)
            check_finite(folder, flat)
            return cls(folder, model.model_hash, content_hash(flat))
        try:
            return cls(folder=folder, **read_sealed(file))
        except (OSError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"{file}: damaged ({error}); delete the folder to have it made again"
            ) from error

    def read_flat(self, model: CausalModel) -> Tensor:
        """The parameters [N], float32.

        Raises:
            CheckpointError: the folder holds another architecture or other parameters than it says.
        """
        if model.model_hash != self.model_hash:
            raise CheckpointError(f"{self.folder}: is a model of another architecture")
        if isinstance(model, AdaptedModel):
            flat = model.read_flat(self.folder)
        else:
            flat = read_flat(self.folder, model)
        if content_hash(flat) != self.content_hash:
            raise CheckpointError(
                f"{self.folder}: parameters differ from their hash; delete the folder and run again"
            )
        return flat

    def companion(self, name: str) -> Path:
        """A file that lies beside the parameters, compared with its digest once a process.

        Raises:
            CheckpointError: it is missing, or not what was written.
        """
        path = self.folder / name
        wrong = damage(self.folder, self.files, (name,))
        if not wrong and not path.is_file():
            wrong = "it is missing"
        if wrong:
            raise CheckpointError(f"{path}: damaged; delete the folder to have it made again ({wrong})")
        return path


def content_hash(flat: Tensor) -> str:
    """Hash of a float32 vector [N]. Cost: one pass, about 1 s a gigabyte."""
    return digest_bytes(flat.detach().cpu().contiguous().numpy().data)


def save_checkpoint(
    folder: Path,
    model: CausalModel,
    flat: Tensor,
    *,
    ancestor: str | None = None,
    recipe: str | None = None,
    tokenizer: str | None = None,
    tokenizer_folder: Path | None = None,
    details: Json | None = None,
    companions: Callable[[Path], None] | None = None,
) -> Checkpoint:
    """Write ``flat`` [N] as a complete Hugging Face folder, atomically; an existing folder is kept.

    Adapters are written as ``peft`` does (``peft_folder.py``), with the tokenizer.

    ``companions`` may write further files into the folder before it appears.
    """
    checkpoint = Checkpoint(
        folder, model.model_hash, content_hash(flat), ancestor, recipe, tokenizer, dict(details or {})
    )
    with atomic_folder(folder) as temporary:
        if isinstance(model, Llama):
            save_llama(temporary, model.config, flat)
        elif isinstance(model, HuggingFaceModel | AdaptedModel):
            model.save(temporary, flat)
        else:
            raise CheckpointError(f"{type(model).__name__} cannot be written as a Hugging Face folder")
        if tokenizer_folder is not None:
            copy_tokenizer(tokenizer_folder, temporary)
        _write_passport(temporary, checkpoint)
        if companions is not None:
            companions(temporary)
        names = sorted(path.name for path in temporary.iterdir() if path.is_file())
        hashed = (PASSPORT, FACTORS)
        others = [name for name in names if name not in hashed and not fnmatch(name, PARAMETERS)]
        checkpoint = replace(checkpoint, files=digests_of(temporary, others))
        _write_passport(temporary, checkpoint)
    return checkpoint


def _write_passport(folder: Path, checkpoint: Checkpoint) -> None:
    write_sealed(folder / PASSPORT, {k: v for k, v in vars(checkpoint).items() if k != "folder"})
