"""Faults of a machine in words. The texts are those that libraries raised; no card is at hand to fill."""

import errno

import pytest
import torch
from typer.testing import CliRunner

from cuvee.cli.app import app
from cuvee.errors import ConfigError, CuveeError, DeviceFailed, OutOfMemory
from cuvee.faults import fault_of, faults_in_words
from tests.cli.flow import install

FULL_CARD = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
    RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
]
FULL_MACHINE = [
    MemoryError(),
    MemoryError("Unable to allocate 4.00 GiB for an array"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
    ),
    RuntimeError("[enforce fail at alloc_cpu.cpp:114] data. DefaultCPUAllocator: not enough memory"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]
GONE = [
    RuntimeError("CUDA error: device-side assert triggered"),
    RuntimeError("CUDA error: unspecified launch failure"),
    RuntimeError("CUDA error: no CUDA-capable device is detected"),
    RuntimeError("No CUDA GPUs are available"),
]
NONE_OF_THEM = [
    RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"),
    ValueError("CUDA out of memory"),  # no text of another kind of error is taken for it
    OSError(errno.ENOENT, "No such file or directory"),
    ConfigError("numerics.json: CUDA error: of ours"),
    KeyError("MemoryError"),
]


@pytest.mark.parametrize("error", FULL_CARD, ids=str)
def test_a_full_card(error: Exception) -> None:
    found = fault_of(error, "scoring 8 merges of pools/0f")
    assert isinstance(found, OutOfMemory)
    assert str(found).startswith("the GPU has no memory left while scoring 8 merges of pools/0f (")
    assert "`evaluation_tokens`" in str(found)
    assert "\n" not in str(found)


@pytest.mark.parametrize("error", FULL_MACHINE, ids=repr)
def test_a_full_machine(error: Exception) -> None:
    found = fault_of(error)
    assert isinstance(found, OutOfMemory)
    assert str(found).startswith("this machine has no memory left (")


@pytest.mark.parametrize("error", GONE, ids=str)
def test_a_card_that_is_gone(error: Exception) -> None:
    found = fault_of(error)
    assert isinstance(found, DeviceFailed)
    assert str(found).startswith("the GPU stopped (")


@pytest.mark.parametrize("error", NONE_OF_THEM, ids=repr)
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    assert fault_of(error) is None
    with pytest.raises(type(error)) as found, faults_in_words():
        raise error
    assert found.value is error


def test_the_original_is_the_cause_also_of_what_a_compiler_wrapped() -> None:
    wrapped = RuntimeError("backend='inductor' raised")
    wrapped.__cause__ = FULL_CARD[0]
    with pytest.raises(OutOfMemory) as found, faults_in_words():
        raise wrapped
    assert found.value.__cause__ is wrapped


def test_a_long_text_is_cut() -> None:
    found = fault_of(MemoryError("so long " * 1000))
    assert found is not None and len(str(found)) < 1000


@pytest.mark.parametrize(("error", "kind"), [(FULL_CARD[1], OutOfMemory), (GONE[0], DeviceFailed)], ids=str)
def test_the_command_line_says_it_and_shows_no_traceback(
    error: Exception, kind: type[CuveeError], tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    install(monkeypatch).raises = error
    study = tmp_path_factory.mktemp("study") / "study.yaml"
    study.write_text("schema: 1\nsources:\n  web: web\n  code: code\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["run", str(study)])
    assert result.exit_code == kind.exit_code
    (said,) = [line for line in result.stderr.splitlines() if line.startswith("error: the GPU")]
    assert "goes on from here" in said
