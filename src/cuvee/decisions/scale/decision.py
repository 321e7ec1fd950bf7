"""The decision of ``cuvee scale``: its result with what follows from it."""

from dataclasses import dataclass
from typing import ClassVar, Self

from cuvee.decisions.document import decode, encode, renamed, rows_renamed
from cuvee.decisions.scale.headline import headline
from cuvee.decisions.scale.result import ScaleResult
from cuvee.decisions.scale.verdict import verdict_of
from cuvee.decisions.verdict import UNJUDGED, Verdict
from cuvee.types import Json


@dataclass(frozen=True, eq=False)
class ScaleDecision(ScaleResult):
    """The answer. Two are equal when their JSON is."""

    by: ClassVar[str] = "scale"
    schema: ClassVar[int] = 3

    def unchecked(self) -> Verdict:
        """Whether what was trained above the rungs speaks for it."""
        return verdict_of(self)

    def first_lines(self) -> tuple[str, ...]:
        """What stands at the head of its reports."""
        return headline(self)

    @classmethod
    def from_older(cls, schema: int, body: Json) -> Self | None:
        """Schema 2 had other keys; 1 had no verdict, and its first lines spoke of what was trained as of
        what is recommended."""
        body = renamed(body, {"level": "confidence"})
        body = rows_renamed(body, "checks", {"foretold": "predicted"})
        if schema == 1:
            known = {key: value for key, value in body.items() if key != "checked"}
            return decode(cls, {**known, "verdict": encode(UNJUDGED)}, cls.by).judged()
        return decode(cls, body, cls.by)
