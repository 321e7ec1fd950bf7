"""The valuations that lie in the folder of a study, one for each target."""

from pathlib import Path

from cuvee.decisions.value.decision import Valuation
from cuvee.errors import ConfigError, CuveeError
from cuvee.seal import read_sealed
from cuvee.study.file.folder import StudyFolder

FILE = "value.json"


def read_valuations(folder: StudyFolder) -> dict[Path, Valuation]:
    """Folder -> what was found for its target, in the order of their names.

    Raises:
        ConfigError: one cannot be read; the message names it.
    """
    return {file.parent: _read(file) for file in sorted(folder.valuation.glob(f"*/{FILE}"))}


def _read(file: Path) -> Valuation:
    try:
        return Valuation.from_json(read_sealed(file))
    except (CuveeError, OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{file}: {error}; `cuvee value` writes it again") from error
