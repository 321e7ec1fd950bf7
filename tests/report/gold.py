"""Gold files: whole reports kept beside the tests.

After a wanted change, ``CUVEE_WRITE_GOLD=1 python -m pytest tests/report`` writes them anew; read the
difference before committing it.
"""

import os
from pathlib import Path

FOLDER = Path(__file__).with_name("gold")


def assert_gold(name: str, text: str) -> None:
    """Compare ``text`` with the gold file ``name``, or write it when asked to."""
    path = FOLDER / name
    if os.environ.get("CUVEE_WRITE_GOLD"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path} differs; see {__name__}"
