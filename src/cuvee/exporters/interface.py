"""What an exporter is: from a mixture to the file of a trainer.

Token shares are the truth. A trainer counts samples, documents, epochs or rows; its exporter converts from
what is known of the sources, refuses where something needed is not, and says what the trainer cannot do.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePath
from typing import Literal, Self

from cuvee.errors import ConfigError
from cuvee.exporters.rounding import rounded
from cuvee.mixture.mixture import Mixture
from cuvee.quantities import quantity

USUAL_FIELD = "text"
"""What trainers call the field of the text, if nobody says otherwise."""

LEAST_SHARE = 1e-4
"""Of the tokens; a source below is left out, as no evidence is so fine and a trainer may never draw it."""

AS_WHOLE = 1.25
"""A source of more than so many times the tokens that a study read is larger than its text. Less may be the
count of another tokenizer, or duplicates."""

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
    text: tuple[str, ...] = ()
    """Files, folders or patterns from which a study read it."""
    text_field: str = ""
    """The field of JSON lines or the column of Parquet that holds the text; empty where unknown."""
    by_study: bool = False
    """The documents are those that a study counted; a file of plain text was one."""
    token_format: str = ""
    """What the format of its tokens is called (``TOKEN_FORMATS``); empty for text."""
    token_files: Mapping[str, int] = field(default_factory=dict)
    """Tokens of each file, by its path as trainers of that format write it; empty where unknown."""
    read_tokens: int = 0
    """Tokens that a study read at its text; zero where unknown."""

    def of_tokens(self, tokens: int) -> Self:
        """The same source where it has so many tokens, in documents of the same mean length."""
        documents = round(self.documents * tokens / self.tokens) if self.tokens else self.documents
        return replace(self, tokens=tokens, documents=max(documents, min(self.documents, 1)))

    @property
    def text_path(self) -> str:
        """The one place its text lies at; empty for several, and for a data set of the hub."""
        return self.text[0] if len(self.text) == 1 and not self.text[0].startswith("hub:") else ""

    @property
    def is_sample(self) -> bool:
        """It lies where a study read it, and that text is a sample of a larger source."""
        of_study = self.path in ("", self.text_path) and bool(self.text_path or self.token_files)
        return of_study and 0 < AS_WHOLE * self.read_tokens < self.tokens

    @property
    def in_part(self) -> str:
        """``707k of 50.0M tokens``: what its text holds of it."""
        return f"{quantity(self.read_tokens)} of {quantity(self.tokens)} tokens"


@dataclass(frozen=True, eq=False)
class ExportRequest:
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
        for place, name in [(place, one) for one in self.kept for place in self.places(one)]:
            if (other := found.setdefault(place, name)) != name:
                raise ConfigError(
                    f"sources {other!r} and {name!r} have one path, {place!r}; each needs its own"
                )
        if self.target_tokens <= 0 or self.sequence_length < 0:
            raise ConfigError("target tokens must be positive, and the sequence length at least 0")

    @cached_property
    def kept(self) -> tuple[str, ...]:
        """Sources that are used: trainers differ in what a weight of zero does."""
        return tuple(name for name in self.mixture.support if not self._negligible(name))

    @cached_property
    def negligible(self) -> tuple[str, ...]:
        """Sources with a share below ``LEAST_SHARE``, or of less than a document in the whole run."""
        return tuple(name for name in self.mixture.support if self._negligible(name))

    @cached_property
    def shares(self) -> dict[str, float]:
        """Token shares of the sources that are used, rounded; they sum to one."""
        return rounded(self.mixture.restrict(self.kept).as_dict())

    def path(self, name: str) -> str:
        """Where a source lies."""
        return self._fact(name).path or name

    def places(self, name: str) -> dict[str, float]:
        """Where a source lies, and what part of its tokens is at each place."""
        fact = self._fact(name)
        total = sum(fact.token_files.values())
        if fact.path or not total:
            return {self.path(name): 1.0}
        return {place: tokens / total for place, tokens in fact.token_files.items() if tokens}

    @cached_property
    def place_shares(self) -> dict[str, float]:
        """Token shares of all places of the sources that are used, rounded; they sum to one."""
        used = self.mixture.restrict(self.kept)
        return rounded(
            {
                place: used.share(name) * part
                for name in self.kept
                for place, part in self.places(name).items()
            }
        )

    def text_field(self, name: str) -> str:
        """The field or column that holds the text of a source; ``text`` where nothing else is known."""
        return self._fact(name).text_field or USUAL_FIELD

    def tokens(self) -> dict[str, int]:
        """Unique tokens of the sources that are used.

        Raises:
            ConfigError: some are unknown (the message names all of them).
        """
        self._check_known("tokens")
        return {name: self._fact(name).tokens for name in self.kept}

    def documents(self) -> dict[str, int]:
        """Documents of the sources that are used.

        Raises:
            ConfigError: tokens or documents of some sources are unknown (the message lists all), or lie in a
                sample, of which no rows of the whole can be read.
        """
        self._check_known("tokens", "documents")
        self._check_whole()
        return {name: self._fact(name).documents for name in self.kept}

    def document_shares(self) -> dict[str, float]:
        """Shares of documents that give the shares of tokens, from the mean length of documents, rounded.

        Raises:
            ConfigError: tokens or documents of some sources are unknown (the message names all of them).
        """
        self._check_known("tokens", "documents")
        part = self.mixture.restrict(self.kept)
        facts = {name: self._fact(name) for name in self.kept}
        weights = {name: part.share(name) * fact.documents / fact.tokens for name, fact in facts.items()}
        total = math.fsum(weights.values())
        return rounded({name: weight / total for name, weight in weights.items()})

    def epochs(self, name: str) -> float:
        """How often the run reads a source; NaN where its tokens or those of the run are unknown."""
        unique = self._fact(name).tokens
        return self.shares.get(name, 0.0) * self.target_tokens / unique if unique else math.nan

    def ends_first(self) -> tuple[str, float]:
        """The source that a run without repeats has read first, and after how many tokens in all.

        The name is empty and the tokens are NaN where the tokens of some sources are unknown.
        """
        if not all(self._fact(name).tokens for name in self.kept):
            return "", math.nan
        lasts = {name: self._fact(name).tokens / share for name, share in self.shares.items()}
        first = min(lasts, key=lambda name: lasts[name])
        return first, lasts[first]

    def from_study(self, reads: str) -> Self:
        """The same, with the paths of a study where no others are given: of its files of tokens where the
        trainer reads their format, else of its text."""
        facts = {
            name: fact
            if fact.token_files and fact.token_format == reads
            else replace(fact, path=fact.path or fact.text_path, token_files={})
            for name, fact in self.facts.items()
        }
        return replace(self, facts=facts)

    def _fact(self, name: str) -> SourceFacts:
        return self.facts.get(name, SourceFacts())

    def _negligible(self, name: str) -> bool:
        share, fact = self.mixture.share(name), self._fact(name)
        length = fact.tokens / fact.documents if fact.documents else 0.0
        return share < LEAST_SHARE or share * self.target_tokens < length

    def _check_whole(self) -> None:
        parts = {name: fact for name in self.kept if (fact := self._fact(name)).is_sample}
        if parts:
            held = ", ".join(f"{fact.text_path or name} ({fact.in_part})" for name, fact in parts.items())
            raise ConfigError(
                f"this trainer counts rows of a whole source, and the study's text is a sample: {held}; say "
                f"{' '.join(f'--path {name}=PATH' for name in parts)} of the whole, or for the sample "
                f"{' '.join(f'--tokens {name}={fact.read_tokens}' for name, fact in parts.items())}"
            )

    def _check_known(self, *facts: Literal["tokens", "documents"]) -> None:
        missing = {
            what: [name for name in self.kept if not getattr(self._fact(name), what)] for what in facts
        }
        unknown = [f"the {what} of {', '.join(names)}" for what, names in missing.items() if names]
        if unknown:
            options = [f"--{what} {name}=COUNT" for what, names in missing.items() for name in names]
            raise ConfigError(
                f"this trainer's weights depend on {' and '.join(unknown)}, which are unknown; say "
                f"{' '.join(options)}"
            )


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
    read_from: str
    """The files of that version which say how a weight is read."""
    documentation: str
    """Where that syntax is named."""
    unit: Unit
    """What a weight counts there."""
    filename: str
    """Usual name of the file."""
    write: Callable[[ExportRequest], Export]
    expects: str = ""
    """What lies at a path there, in words; empty: text, as a study reads it."""
    tokens: str = ""
    """The format of tokens that is read there where it lies (``TOKEN_FORMATS``); empty: none, as the file is
    written here."""
    by_name: bool = False
    """Sources are called by name there, and a path has no place."""
    by_line: bool = False
    """A ``.txt`` is read a document a line there; a study reads it as one document."""

    def export(self, recipe: ExportRequest) -> Export:
        """The file for a recipe.

        Raises:
            ConfigError: something that the unit depends on is unknown, or counted otherwise there.
        """
        placed = recipe if self.by_name else recipe.from_study(self.tokens)
        lines = self._lines(recipe)
        written = self.write(placed)
        return Export(written.text, (*written.cannot, *lines, *self._paths(recipe), *_left_out(recipe)))

    def _lines(self, recipe: ExportRequest) -> tuple[str, ...]:
        """What must be said of plain text where the trainer takes each line for a document."""
        facts = {name: recipe.facts.get(name, SourceFacts()) for name in recipe.kept}
        plain = [name for name, fact in facts.items() if _plain_text(fact)]
        if not self.by_line or not plain:
            return ()
        counted = [name for name in plain if facts[name].by_study and facts[name].documents]
        if counted and self.unit in ("documents", "rows kept"):
            raise ConfigError(
                f"source {counted[0]!r}: {self.title} reads a .txt a row a line, and the study counts a file "
                f"as one document; write it as JSON lines and say --path {counted[0]}=PATH, or say "
                f"--documents {counted[0]}=LINES"
            )
        return (f"A .txt is read a document a line there; so are {', '.join(plain)}.",)

    def _paths(self, recipe: ExportRequest) -> tuple[str, ...]:
        """What must be said of paths that come from a study."""
        facts = {name: recipe.facts.get(name, SourceFacts()) for name in recipe.kept}
        open_ = {name: fact for name, fact in facts.items() if fact.text and not fact.path}
        foreign = {
            name: fact.token_format
            for name, fact in open_.items()
            if fact.token_format not in ("", self.tokens)
        }
        here = [name for name, fact in open_.items() if any(fact.token_files.values())]
        rest = {name: fact for name, fact in open_.items() if name not in (*foreign, *here)}
        several = [name for name, fact in rest.items() if not fact.text_path]
        sampled = {name: fact for name, fact in facts.items() if fact.is_sample}
        text = [name for name in rest if name not in several] if self.expects else []
        if self.by_name:
            return ()
        return (
            *((_says_sampled(sampled),) if sampled else ()),
            *((self._says_unread(dict.fromkeys(text, "text") | foreign),) if text or foreign else ()),
            *((_says_several(several),) if several else ()),
        )

    def _says_unread(self, formats: Mapping[str, str]) -> str:
        """Of sources at whose paths in the study lies what the trainer does not read: what that is."""
        sources = ", ".join(f"{name} ({what})" for name, what in formats.items())
        return (
            f"{self.title} cannot use this file as it is: it reads {self.expects or 'text'}, and at the "
            f"paths of these sources of the study lies something else: {sources}. Say --path SOURCE=PATH for "
            "each."
        )


def _says_sampled(sampled: Mapping[str, SourceFacts]) -> str:
    sources = ", ".join(f"{name} ({fact.in_part})" for name, fact in sampled.items())
    return (
        f"The path is that of a sample, not of the whole source: {sources}. Counts here are of the whole; "
        "say --path SOURCE=PATH of it, or --tokens SOURCE=COUNT to train on the sample."
    )


def _says_several(several: list[str]) -> str:
    return (
        f"By name, as the study reads them from several places or from the hub: {', '.join(several)}; say "
        "--path SOURCE=PATH."
    )


def _plain_text(fact: SourceFacts) -> bool:
    places = (fact.path,) if fact.path else fact.text
    return any(".txt" in PurePath(place).suffixes for place in places)


def _left_out(recipe: ExportRequest) -> tuple[str, ...]:
    """Sentences on sources of the mixture that are not written."""
    sentences = []
    if small := recipe.negligible:
        shares = ", ".join(f"{name} ({100 * recipe.mixture.share(name):.2g}%)" for name in small)
        sentences.append(
            f"Left out, as less than {LEAST_SHARE:.2%} of the tokens or than one document: {shares}; the "
            "other shares make up for it."
        )
    if nothing := [name for name in recipe.mixture.names if recipe.mixture.share(name) == 0]:
        sentences.append(f"Left out, at a share of zero: {', '.join(nothing)}.")
    return tuple(sentences)


def repeats(recipe: ExportRequest) -> tuple[str, ...]:
    """A sentence on sources that are read more than once, for trainers that start over without a word."""
    more = [
        f"{name} ({recipe.epochs(name):.2g} times)" for name in recipe.shares if recipe.epochs(name) > 1.0
    ]
    if not more:
        return ()
    return (f"A source that runs out is read again without a word; here {', '.join(more)}.",)


def ends(recipe: ExportRequest) -> str:
    """A sentence on when a trainer stops that reads no source twice."""
    first, tokens = recipe.ends_first()
    known = f"; here {first} first, after {quantity(tokens)} tokens in all" if first else ""
    return f"It ends when a source runs out{known}; there is no reading again within an epoch."


def number(value: float) -> str:
    """The shortest text that is read back to the same number, without an exponent where YAML needs none."""
    text = repr(float(value))
    # YAML 1.1 takes 1e-05 for a string; 1.0e-05 is a number everywhere.
    return text.replace("e", ".0e") if "e" in text and "." not in text else text
