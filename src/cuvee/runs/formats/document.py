"""Document: a JSON file that another program wrote about a run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cuvee.errors import ConfigError


@dataclass(frozen=True, eq=False)
class JsonFile:
    """The content of a JSON file."""

    path: Path
    content: Mapping[str, Any]
    """The outermost object; empty where the file holds something else, which no format recognises."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file in UTF-8.

        Raises:
            ConfigError: it cannot be read, or is not JSON.
        """
        try:
            content = json.loads(path.read_bytes())
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{path} is not a JSON file in UTF-8: {error}") from error
        return cls(path, content if isinstance(content, dict) else {})

    def object(self, name: str) -> Mapping[str, Any]:
        """An inner object; empty where there is none."""
        value = self.content.get(name)
        return value if isinstance(value, dict) else {}
