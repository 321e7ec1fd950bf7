"""Numerics: number format, compilation and device of a study. Chosen once, since another choice gives other
bytes.

A study that began on a GPU goes on only where that GPU is. Its answers can be read anywhere: nothing that
only reads comes here.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import torch

from cuvee.errors import CardFull, ConfigError
from cuvee.execution.work_time import is_gpu
from cuvee.files import write_json
from cuvee.models.llama import KERNELS, KERNELS_RUN_ON_GPU
from cuvee.study.file.folder import StudyFolder
from cuvee.training.run import ModelSpec

COMPILE_FROM_FLOPS = 5e12
"""Training below this would not win back the 20 to 40 seconds that compiling takes."""


COUNTING = 1
"""See ``Numerics.counting``."""


@dataclass(frozen=True)
class Numerics:
    """How numbers are computed, and FLOPs counted."""

    dtype: Literal["float32", "bfloat16"]
    compiled: bool
    device: str
    stacked: int = 0
    """Branches and references that are trained at once (``training/together.py``); 1 records a step of one, 0
    leaves both out. Not chosen by itself: it has not been run on a GPU yet."""
    kernels: int = 0
    """Version of what computes on a GPU, or compiled on a CPU (``models/llama.py``); 0 in studies that began
    before there was one."""
    counting: int = 0
    """How FLOPs are counted: 1 at the windows of the study; 0 at the longest of the model, in studies that
    began before, as prices decide what a search asks for."""

    def __post_init__(self) -> None:
        if self.dtype not in ("float32", "bfloat16"):
            raise ValueError(f"dtype {self.dtype!r} is neither float32 nor bfloat16")
        if not isinstance(self.compiled, bool):
            raise ValueError(f"compiled {self.compiled!r} is neither true nor false")
        if type(self.stacked) is not int or self.stacked < 0:
            raise ValueError(f"stacked {self.stacked!r} is no number of models")
        if type(self.kernels) is not int or not 0 <= self.kernels <= KERNELS:
            raise ValueError(f"kernels {self.kernels!r} is no version up to {KERNELS}")
        if self.counting not in (0, COUNTING):
            raise ValueError(f"counting {self.counting!r} is no way up to {COUNTING}")
        torch.device(self.device)  # raises where there is no device of that kind

    def spec(self, model: ModelSpec, window: int) -> ModelSpec:
        """A model that computes so, in windows of so many tokens."""
        return replace(
            model,
            dtype=self.dtype,
            compiled=self.compiled,
            device=self.device,
            stacked=self.stacked,
            kernels=self.kernels,
            window=window if self.counting else 0,
        )

    @classmethod
    def of(cls, folder: StudyFolder, training_flops: float) -> "Numerics":
        """The choice written down in the study; chosen for this machine where there is none.

        bfloat16 where the hardware multiplies it (measured: without such units it is ten times slower
        than float32), compiled where a C++ compiler is at hand and the work is long enough.

        Raises:
            ConfigError: as ``written``.
        """
        written = cls.written(folder)
        if written is not None:
            return written
        device = cls.device_of(folder)
        compiler = device == "cuda" or shutil.which("g++") is not None or shutil.which("c++") is not None
        compiled = compiler and training_flops >= COMPILE_FROM_FLOPS
        choice = cls(
            dtype="bfloat16" if device == "cuda" or _multiplies_bfloat16() else "float32",
            compiled=compiled,
            device=device,
            kernels=KERNELS_RUN_ON_GPU if is_gpu(device) else KERNELS if compiled else 0,
            counting=COUNTING,
        )
        write_json(folder.numerics, vars(choice))
        return choice

    @classmethod
    def device_of(cls, folder: StudyFolder) -> str:
        """Where the study computes, or will.

        Raises:
            ConfigError: as ``written``.
        """
        if (written := cls.written(folder)) is not None:
            return written.device
        return "cuda" if torch.cuda.is_available() else "cpu"

    @classmethod
    def written(cls, folder: StudyFolder) -> "Numerics | None":
        """The choice written down in the study; None before there is one.

        Raises:
            ConfigError: it is damaged, or this machine does not have the device.
        """
        file = folder.numerics
        if not file.is_file():
            return None
        try:
            found = cls(**json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError, RuntimeError, RecursionError) as error:
            raise ConfigError(f"{file}: damaged ({error}); delete it to have it chosen anew") from error
        if problem := missing_device(found.device, _gpus()):
            raise ConfigError(f"{file}: {problem}")
        return found


@contextmanager
def stacks_that_fit(folder: StudyFolder) -> Iterator[None]:
    """What trains models in stacks. If they do not fit into a card, half as many are written down.

    Raises:
        CardFull: saying so, for the next command.
    """
    try:
        yield
    except CardFull as error:
        if smaller := _fewer_stacked(folder):
            raise CardFull(f"{smaller}. {error}") from error
        raise


def _fewer_stacked(folder: StudyFolder) -> str:
    """Write down half as many models in a stack as there are, and say so; empty where there was one."""
    said = json.loads(folder.numerics.read_text(encoding="utf-8"))
    count = int(said["stacked"])
    if count < 2:
        return ""
    write_json(folder.numerics, {**said, "stacked": count // 2})
    return (
        f"{count} models at once do not fit into its memory: {folder.numerics} says {count // 2} now. Give "
        "the same command again; what was trained in the larger stacks is trained anew"
    )


def missing_device(device: str, gpus: int) -> str:
    """What is wrong with a device on a machine with so many GPUs, and what to do; empty where it is there."""
    wanted = torch.device(device)
    if wanted.type != "cuda" or (wanted.index or 0) < gpus:
        return ""
    cpu = (
        'or write "device": "cpu" into this file: what is trained stays, and all that is left is computed '
        "here, slower and rounded otherwise. `cuvee status`, `report` and `export` work without it"
    )
    if not gpus:
        return (
            f"the study computes on {device}, and torch finds no GPU on this machine. Go on on a machine "
            f"that has one, {cpu}"
        )
    names = "only cuda:0" if gpus == 1 else f"cuda:0 to cuda:{gpus - 1}"
    return (
        f"the study computes on {device}, and this machine has {names}. Write one of these into this file "
        f"(what is made stays the same), {cpu}"
    )


def _gpus() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16 products (AVX-512 BF16 or AMX)."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in checks)
