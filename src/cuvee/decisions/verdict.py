"""Whether a decision may be acted on: one of four standings.

A flow concludes a verdict, and the page, the terminal and the Markdown show it as it is. Only fresh
trainings confirm: a proxy that agrees with references is a reason to check, not a check.
"""

from dataclasses import dataclass
from typing import Literal

Standing = Literal["confirmed", "not confirmed", "refuted", "not checked"]
"""*confirmed*: trained at fresh seeds, the pick beats equal and proportional shares beyond the noise.
*refuted*: it is worse than one of them beyond the noise. *not confirmed*: trained, but that does not show;
``docs/trust.md`` lists the reasons. *not checked*: nothing was trained afresh."""

TITLES: dict[Standing, str] = {
    "confirmed": "Confirmed by training",
    "not confirmed": "Not confirmed",
    "refuted": "Refuted by training",
    "not checked": "Not checked",
}
"""What a badge says."""


@dataclass(frozen=True)
class Verdict:
    """The standing of a decision and the reason in a sentence or two."""

    standing: Standing
    why: str

    @property
    def title(self) -> str:
        """The words of the badge."""
        return TITLES[self.standing]


UNTRAINED = Verdict("not checked", "The pick itself was not trained afresh: it rests on proxies alone.")
"""Of a decision without fresh trainings."""
UNJUDGED = Verdict("not checked", "")
"""What a decision has until its flow has concluded."""
