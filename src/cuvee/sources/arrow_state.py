"""Which Arrow files of a saved dataset are its data, by its ``state.json``."""

import json
from pathlib import Path


def belongs(path: Path) -> bool:
    """Whether the state of the dataset lists a file; True where there is no state. Caches lie beside data."""
    state = path.parent / "state.json"
    if not state.is_file():
        return True
    try:
        files = json.loads(state.read_text(encoding="utf-8")).get("_data_files", [])
        return path.name in {one["filename"] for one in files}
    except (ValueError, AttributeError, TypeError, KeyError):
        return True
