"""Check: one fault that the doctor knows, a row of ``CHECKS``."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from cuvee.doctor.finding import Finding
from cuvee.doctor.subject import Subject


@dataclass(frozen=True)
class Fault:
    """A fault, and the function that finds it."""

    name: str
    """Stable; programs know a finding by it."""
    title: str
    """The fault in a few words."""
    function: Callable[[Subject], Iterable[Finding]]
    """Findings without the name of the check; none where all is well."""
    needs_runs: bool = True
    """It reads the runs and is left out where they could not be read."""
    serious: bool = False
    """Its warnings stand in the first lines of an answer of ``cuvee fit``, as every error does."""

    def examine(self, subject: Subject) -> Iterator[Finding]:
        """The findings, with the name of this check."""
        if self.needs_runs and subject.table is None:
            return
        for finding in self.function(subject):
            yield replace(finding, check=self.name)
