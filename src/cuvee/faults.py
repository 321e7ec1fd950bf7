"""What a machine refuses, in words: no memory left, on the card or in the machine, or a GPU that stopped.

A library says it in its own words and types: torch's ``OutOfMemoryError``, cuBLAS ``ALLOC_FAILED`` or cuDNN
``INTERNAL_ERROR`` for a full card (seen on an H100: the same shapes ran on an empty one), the allocator's
text for a full machine, ``CUDA error: ...`` for a card that is gone. Here they become errors of ours, by type
and text alone, so that no library is loaded for it.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cuvee.errors import CardFull, CuveeError, DeviceFailed, OutOfMemory

_CARD_IS_FULL = re.compile(
    r"CUDA out of memory|CUDA error: out of memory|cudaErrorMemoryAllocation|CUBLAS_STATUS_ALLOC_FAILED"
    r"|CUBLAS_STATUS_NOT_INITIALIZED|CUDNN_STATUS_(SUB_LIBRARY_LOADING_FAILED|ALLOC_FAILED|INTERNAL_ERROR)"
    r"|CUSOLVER_STATUS_ALLOC_FAILED"
)
_MACHINE_IS_FULL = re.compile(
    r"DefaultCPUAllocator|not enough memory|std::bad_alloc|[Cc]annot allocate memory"
)
_CARD_IS_GONE = re.compile(
    r"CUDA error|CUDA driver|device-side|no CUDA-capable device|No CUDA GPUs|[Dd]evice lost|cudaError"
    r"|Found no NVIDIA driver|CUBLAS_STATUS|CUDNN_STATUS|NVML"
)
_LONGEST = 300
"""Characters that are shown of a library's own words."""

_LESS = (
    "In a training, raise `accumulation` (a batch is then computed in that many parts, one after the other; "
    "what was trained with another value is trained anew) or lower `batch_tokens`; in scoring, lower "
    "`evaluation_tokens` or the number of units"
)
_GOES_ON = "What is done is kept: the same command goes on from here"


@dataclass(frozen=True)
class _Fault:
    """A kind of fault."""

    kind: type[CuveeError]
    what: str
    advice: str


_FULL_CARD = _Fault(
    CardFull,
    "the GPU has no memory left",
    f"`nvidia-smi` shows what else lies on the card: free it. {_LESS}. {_GOES_ON}",
)
_FULL_MACHINE = _Fault(
    OutOfMemory,
    "this machine has no memory left",
    f"Lower `workers`, or end what else uses it. {_LESS}. {_GOES_ON}",
)
_GONE = _Fault(
    DeviceFailed,
    "the GPU stopped",
    "`nvidia-smi` shows whether it is still there; a driver or a card that hangs needs a restart. "
    f"{_GOES_ON}. If the same step fails again on a healthy card, that is a fault of cuvee: report it with "
    "what CUDA_LAUNCH_BLOCKING=1 and CUVEE_DEBUG=1 show",
)


def fault_of(error: BaseException, doing: str = "") -> CuveeError | None:
    """An error of ours in place of what a library raised; None where no such fault stands behind it.

    Args:
        error: as it was caught. Errors of ours are in words already.
        doing: what was being done, such as ``training reference on web+code``.
    """
    for one in _with_causes(error):
        if fault := _recognised(one):
            during = f" while {doing}" if doing else ""
            return fault.kind(f"{fault.what}{during} ({_shortened(str(one))}). {fault.advice}")
    return None


@contextmanager
def faults_in_words(doing: str = "") -> Iterator[None]:
    """Raise such faults as errors of ours, with the original as the cause; all else as it is."""
    try:
        yield
    except Exception as error:
        fault = fault_of(error, doing)
        if fault is None:
            raise
        raise fault from error


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from; a compiler wraps what a kernel raised."""
    one: BaseException | None = error
    while one is not None and not isinstance(one, CuveeError):
        yield one
        one = one.__cause__


def _recognised(error: BaseException) -> _Fault | None:
    if isinstance(error, MemoryError):
        return _FULL_MACHINE
    if isinstance(error, OSError):
        return _FULL_MACHINE if error.errno == errno.ENOMEM else None
    if not isinstance(error, RuntimeError):
        return None
    text = str(error)
    if type(error).__name__ == "OutOfMemoryError" or _CARD_IS_FULL.search(text):
        return _FULL_CARD
    if _MACHINE_IS_FULL.search(text):
        return _FULL_MACHINE
    return _GONE if _CARD_IS_GONE.search(text) else None


def _shortened(text: str) -> str:
    """The first sentences of a text on one line."""
    line = " ".join(text.split()) or "the library says no more"
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST].rstrip()}..."
