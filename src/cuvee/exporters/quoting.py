"""Names and paths as other languages want them quoted (floor 3)."""

import json


def yaml_text(text: str) -> str:
    """A YAML scalar; JSON strings are YAML strings."""
    return json.dumps(text, ensure_ascii=False)


def python_text(text: str) -> str:
    """A Python literal."""
    return repr(text)
