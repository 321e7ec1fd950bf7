"""DoReMi: a JSON file with ``train_domain_weights``; one mixture, without metrics."""

from collections.abc import Sequence

from cuvee.errors import ConfigError
from cuvee.mixture.mixture import SUM_TOLERANCE
from cuvee.runs.formats.columns import number as cell_number
from cuvee.runs.formats.document import JsonFile
from cuvee.runs.formats.interface import File, Format
from cuvee.runs.formats.part import Part, Row
from cuvee.runs.formats.table import checked_mixture

TRAIN = "train_domain_weights"
EVALUATION = "eval_domain_weights"


def recognises(file: File) -> bool:
    """Whether there is an object ``train_domain_weights``."""
    return isinstance(file, JsonFile) and bool(file.object(TRAIN))


def read(files: Sequence[File]) -> list[Part]:
    """Each file as a part of one row, called as the file without its suffix."""
    return [_read(file) for file in files if isinstance(file, JsonFile)]


def _read(document: JsonFile) -> Part:
    where = f"{document.path}, {TRAIN}"
    weights = {}
    for name, value in document.object(TRAIN).items():
        weight = cell_number(value, f"{where}, {name}")
        if not abs(weight) < float("inf"):
            raise ConfigError(f"{where}: the share of {name} is {value!r}; write a number from 0 to 1")
        weights[name] = weight
    mixture, total = checked_mixture(weights, where)
    notes = []
    mended = abs(total - 1.0) > SUM_TOLERANCE
    if mended:
        notes.append(f"{document.path}: the shares summed to {total:.6g} and were divided by their sum.")
    return Part(
        title=str(document.path),
        format=DOREMI.name,
        rows=(Row(where, {"run": (document.path.stem,)}, mixture, {}),),
        sources=tuple(weights),
        metrics=(),
        directions={},
        notes=tuple(notes),
        ignored=tuple(name for name in document.content if name != TRAIN),
        renormalised=int(mended),
        stands_alone=True,
    )


DOREMI = Format(
    name="doremi",
    looks_for=f"a JSON object with {TRAIN}",
    recognises=recognises,
    read=read,
)
