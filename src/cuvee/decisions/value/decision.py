"""The decision of ``cuvee value``: its result with what follows from it."""

from dataclasses import dataclass
from typing import ClassVar

from cuvee.decisions.value.headline import headline
from cuvee.decisions.value.result import ValueResult
from cuvee.decisions.value.verdict import verdict_of
from cuvee.decisions.verdict import Verdict


@dataclass(frozen=True, eq=False)
class Valuation(ValueResult):
    """The answer. Two are equal when their JSON is."""

    by: ClassVar[str] = "value"
    schema: ClassVar[int] = 1

    def conclusion(self) -> Verdict:
        """What trainings on the selection of the first method say."""
        return verdict_of(self)

    def first_lines(self) -> tuple[str, ...]:
        """What stands at the head of its reports."""
        return headline(self)
