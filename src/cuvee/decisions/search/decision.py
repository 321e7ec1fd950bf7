"""The decision of ``cuvee search``: its result with what follows from it."""

from dataclasses import dataclass
from typing import ClassVar, Self

from cuvee.decisions.document import decode, encode, renamed, rows_renamed
from cuvee.decisions.search.headline import chosen_inside, headline
from cuvee.decisions.search.result import SearchResult
from cuvee.decisions.search.verdict import verdict_of
from cuvee.decisions.verdict import UNJUDGED, Verdict
from cuvee.types import Json


@dataclass(frozen=True, eq=False)
class SearchDecision(SearchResult):
    """The answer. Two are equal when their JSON is."""

    by: ClassVar[str] = "search"
    schema: ClassVar[int] = 4

    def unchecked(self) -> Verdict:
        """Why the search by itself cannot confirm it."""
        return verdict_of(self)

    def first_lines(self) -> tuple[str, ...]:
        """What stands at the head of its reports."""
        return headline(self)

    def objections(self) -> tuple[str, ...]:
        """That shares alone are not what was measured, where documents were chosen."""
        return (chosen_inside(self.document_values),) if self.document_values else ()

    @classmethod
    def from_older(cls, schema: int, body: Json) -> Self | None:
        """Schema 3 had other keys; 2 had no verdict, and always said to train on its mixture."""
        if schema not in (2, 3):
            return None
        body = renamed(body, {"level": "confidence", "levels": "fidelities"})
        body = rows_renamed(body, "tried", {"level": "fidelity"})
        if schema == 2:
            return decode(cls, {**body, "verdict": encode(UNJUDGED)}, cls.by).judged()
        return decode(cls, body, cls.by)
