"""Finding and Diagnosis: what the doctor says of a table of runs, as values."""

from dataclasses import dataclass
from typing import Literal, Self

from cuvee.decisions.document import decode, encode
from cuvee.errors import ConfigError
from cuvee.types import Json

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""Gravest first. An error spoils any answer, a warning may, a note is worth knowing."""


@dataclass(frozen=True)
class Finding:
    """One fault, or one thing worth knowing."""

    severity: Severity
    check: str
    """Name of the row of ``CHECKS`` that found it; does not change between versions."""
    where: str
    """File, row, run, source or metric."""
    what: str
    """What is so, as a sentence."""
    remedy: str
    """What to do about it."""


def error(where: str, what: str, remedy: str) -> Finding:
    """A fault that spoils the answer. The check is filled in by its row."""
    return Finding("error", "", where, what, remedy)


def warning(where: str, what: str, remedy: str) -> Finding:
    """A fault that may spoil the answer."""
    return Finding("warning", "", where, what, remedy)


def note(where: str, what: str, remedy: str) -> Finding:
    """Something worth knowing."""
    return Finding("note", "", where, what, remedy)


@dataclass(frozen=True)
class Diagnosis:
    """All findings, the gravest first, and what was examined."""

    tables: tuple[str, ...]
    """Paths that were given."""
    format: str
    """Formats that were read, joined by plus signs; empty where the files could not be read."""
    runs: int
    """Rows that were read and chosen, at all scales."""
    sources: tuple[str, ...]
    metrics: tuple[str, ...]
    checks: tuple[str, ...]
    """Names of the checks that were made; without runs most are not."""
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """There is no error; warnings and notes there may be."""
        return not self.of("error")

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """The findings of one severity."""
        return tuple(finding for finding in self.findings if finding.severity == severity)

    @property
    def summary(self) -> str:
        """One line: how many findings of which severity, in what."""
        by_severity = [(len(self.of(severity)), severity) for severity in SEVERITIES]
        counts = ", ".join(f"{n} {name}{'' if n == 1 else 's'}" for n, name in by_severity)
        size = (
            f"{_counted(self.runs, 'run')}, {_counted(len(self.sources), 'source')} and"
            f" {_counted(len(self.metrics), 'metric')}"
        )
        if not self.runs:
            size = "no runs that could be read"
        return f"{counts} in {size} ({_counted(len(self.checks), 'check')})"

    def as_json(self) -> Json:
        """As plain JSON; ``ok`` and ``summary`` stand beside the fields."""
        return {"ok": self.ok, "summary": self.summary, **encode(self)}

    @classmethod
    def from_json(cls, document: object) -> Self:
        """The inverse of ``as_json``.

        Raises:
            ConfigError: a key is unknown or missing, or a value has the wrong type.
        """
        if not isinstance(document, dict):
            raise ConfigError(f"diagnosis: an object is needed, found {document!r}")
        body = {key: value for key, value in document.items() if key not in ("ok", "summary")}
        return decode(cls, body, "diagnosis")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
