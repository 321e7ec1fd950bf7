"""RunKey: the name of a run, made of all that determines its result."""

import json
from dataclasses import dataclass

from cuvee.errors import ConfigError
from cuvee.hashing import canonical_json, digest
from cuvee.types import Json


@dataclass(frozen=True, eq=False)
class RunKey:
    """Two runs with equal keys are the same run: the second need not be done.

    ``inputs`` must hold everything the result depends on: content hashes of sources, tokenizer and
    ancestor, model and recipe, mixture, budget, seed, and the version of the code that matters. Whole
    numbers and floats differ (``1`` is not ``1.0``).

    Raises:
        ConfigError: no kind, or a value that is not plain, finite JSON.
    """

    kind: str
    """What sort of run: a training, a merge, an evaluation, ..."""
    inputs: Json
    """All that determines the result; copied, with tuples made lists."""

    def __post_init__(self) -> None:
        if not self.kind:
            raise ConfigError("a run key needs a kind")
        try:
            inputs = json.loads(canonical_json(self.inputs))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"inputs of the {self.kind!r} key are not plain JSON: {error}") from error
        object.__setattr__(self, "inputs", inputs)

    @property
    def digest(self) -> str:
        """16 hexadecimal characters, the same in every process and on every machine."""
        return digest({"kind": self.kind, "inputs": self.inputs})

    def __str__(self) -> str:
        return self.digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunKey) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)
