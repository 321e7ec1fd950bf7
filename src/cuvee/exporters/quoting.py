"""Names and paths as other languages want them quoted."""

import json


def yaml_text(text: str) -> str:
    """A YAML scalar; JSON strings are YAML strings, but YAML refuses or folds more characters than JSON."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in quoted)


def python_text(text: str) -> str:
    """A Python literal."""
    return repr(text)
