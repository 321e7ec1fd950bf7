"""What an exporter is: from a mixture to the file of a trainer (floor 3).

Token shares are the truth. A trainer counts samples, documents, epochs or rows; its exporter converts from
what is known of the sources, refuses where something needed is not, and says what the trainer cannot do.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from cuvee.errors import ConfigError
from cuvee.mixture.mixture import Mixture

Unit = Literal["samples", "tokens", "documents", "rows kept"]
"""What a weight counts. A sample is a window of fixed length: shares of samples are shares of tokens."""


@dataclass(frozen=True)
class SourceFacts:
    """What is known of a source."""

    path: str = ""
    """Where the trainer finds it; empty: its name."""
    tokens: int = 0
    """Unique tokens; zero where unknown."""
    documents: int = 0
    """Zero where unknown."""


@dataclass(frozen=True, eq=False)
class Recipe:
    """A mixture and what is known of its sources and of the run.

    Raises:
        ConfigError: a fact about a source that is not in the mixture, or a number out of range.
    """

    mixture: Mixture
    facts: Mapping[str, SourceFacts] = field(default_factory=dict)
    target_tokens: float = math.nan
    """Of the run; NaN where unknown."""
    sequence_length: int = 0
    """Tokens of a sample; zero where unknown."""
    seed: int = 0

    def __post_init__(self) -> None:
        if unknown := [name for name in self.facts if name not in self.mixture.names]:
            raise ConfigError(
                f"no source {unknown[0]!r} in the mixture; there are: {', '.join(self.mixture.names)}"
            )
        for name, fact in self.facts.items():
            if fact.tokens < 0 or fact.documents < 0:
                raise ConfigError(f"source {name!r}: tokens and documents are at least 0")
        found: dict[str, str] = {}
        for name in self.shares:
            other = found.setdefault(self.path(name), name)
            if other != name:
                raise ConfigError(
                    f"sources {other!r} and {name!r} have one path, {self.path(name)!r}; each needs its own"
                )
        if self.target_tokens <= 0 or self.sequence_length < 0:
            raise ConfigError("target tokens must be positive, and the sequence length at least 0")

    @property
    def shares(self) -> dict[str, float]:
        """Token shares of the sources that are used; trainers differ in what a weight of zero does."""
        return {name: self.mixture.share(name) for name in self.mixture.support}

    def path(self, name: str) -> str:
        """Where a source lies."""
        return self._fact(name).path or name

    def tokens(self, name: str) -> int:
        """Unique tokens of a source.

        Raises:
            ConfigError: unknown.
        """
        return self._known(self._fact(name).tokens, name, "tokens")

    def document_shares(self) -> dict[str, float]:
        """Shares of documents that give the shares of tokens, from the mean length of documents.

        Raises:
            ConfigError: tokens or documents of a source are unknown.
        """
        weights = {
            name: share * self._known(self._fact(name).documents, name, "documents") / self.tokens(name)
            for name, share in self.shares.items()
        }
        total = math.fsum(weights.values())
        return {name: weight / total for name, weight in weights.items()}

    def epochs(self, name: str) -> float:
        """How often the run reads a source; NaN where its tokens or those of the run are unknown."""
        unique = self._fact(name).tokens
        return self.mixture.share(name) * self.target_tokens / unique if unique else math.nan

    def _fact(self, name: str) -> SourceFacts:
        return self.facts.get(name, SourceFacts())

    def _known(self, value: int, name: str, what: str) -> int:
        if not value:
            raise ConfigError(
                f"the {what} of source {name!r} are unknown, and this trainer's weights depend on them; "
                f"say --{what} {name}=COUNT"
            )
        return value


@dataclass(frozen=True)
class Export:
    """A file for a trainer."""

    text: str
    cannot: tuple[str, ...] = ()
    """What the trainer cannot do of what was asked, in sentences."""


@dataclass(frozen=True)
class Exporter:
    """A row of ``EXPORTERS``."""

    name: str
    title: str
    version: str
    """Of the trainer whose syntax is written."""
    documentation: str
    """Where that syntax is told."""
    unit: Unit
    """What a weight counts there."""
    filename: str
    """Usual name of the file."""
    write: Callable[[Recipe], Export]

    def export(self, recipe: Recipe) -> Export:
        """The file for a recipe.

        Raises:
            ConfigError: something that the unit depends on is unknown.
        """
        written = self.write(recipe)
        left_out = [name for name in recipe.mixture.names if recipe.mixture.share(name) == 0]
        if left_out:
            told = f"Left out, at a share of zero: {', '.join(left_out)}."
            return Export(written.text, (*written.cannot, told))
        return written


def repeats(recipe: Recipe) -> tuple[str, ...]:
    """A sentence on sources that are read more than once, for trainers that start over without a word."""
    more = [
        f"{name} ({recipe.epochs(name):.2g} times)" for name in recipe.shares if recipe.epochs(name) > 1.0
    ]
    if not more:
        return ()
    return (f"A source that runs out is read again without a word; here {', '.join(more)}.",)


def number(value: float) -> str:
    """The shortest text that is read back to the same number, without an exponent where YAML needs none."""
    text = repr(float(value))
    # YAML 1.1 takes 1e-05 for a string; 1.0e-05 is a number everywhere.
    return text.replace("e", ".0e") if "e" in text and "." not in text else text
