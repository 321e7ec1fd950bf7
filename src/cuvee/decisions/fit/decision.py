"""The decision of ``cuvee fit``: its result with what follows from it."""

from dataclasses import dataclass
from typing import ClassVar, Self

from cuvee.decisions.document import decode, encode, renamed
from cuvee.decisions.fit.headline import headline, objections
from cuvee.decisions.fit.result import LawResult
from cuvee.decisions.fit.verdict import verdict_of
from cuvee.decisions.verdict import UNJUDGED, Verdict
from cuvee.types import Json

_RENAMED = {"level": "confidence", "params": "parameters", "target_params": "target_parameters"}


@dataclass(frozen=True, eq=False)
class LawDecision(LawResult):
    """The answer to a table of runs. Two decisions are equal when their JSON is."""

    by: ClassVar[str] = "laws"
    schema: ClassVar[int] = 3

    def conclusion(self) -> Verdict:
        """Whether its law is believed."""
        return verdict_of(self)

    def first_lines(self) -> tuple[str, ...]:
        """The mixture, what it gains, and what to do next."""
        return headline(self)

    def objections(self) -> tuple[str, ...]:
        """Why its law is not believed, and runs that were measured better."""
        return objections(self)

    @classmethod
    def from_older(cls, schema: int, body: Json) -> Self | None:
        """Schema 2 had other keys; 1 had no verdict, and pages called a law believed as if the mixture had
        been trained."""
        body = renamed(body, _RENAMED)
        if schema == 1:
            return decode(cls, {**body, "verdict": encode(UNJUDGED)}, cls.by).judged()
        return decode(cls, body, cls.by)
