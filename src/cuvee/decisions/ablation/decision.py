"""The decision of ``cuvee run``: its result with what follows from it."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from cuvee.decisions.ablation.headline import headline, objections
from cuvee.decisions.ablation.result import AblationResult, ProxyTrust
from cuvee.decisions.ablation.trust import references_say, trust_in
from cuvee.decisions.document import decode, renamed
from cuvee.decisions.verdict import UNTRAINED, Verdict
from cuvee.types import Json

UNLEARNT = "But the first lines doubt the trainings themselves: their differences show nothing."
"""Said of a check whose models learnt nothing."""


@dataclass(frozen=True, eq=False)
class Decision(AblationResult):
    """The answer of a study. Two decisions are equal when their JSON is."""

    by: ClassVar[str] = "run"
    schema: ClassVar[int] = 4
    nameless: ClassVar[int] = 2

    @property
    def trust(self) -> ProxyTrust:
        """Whether the proxy is believed, however old the document."""
        return trust_in(self)

    def settled(self) -> Self:
        """With ``believed`` and ``why`` as all of the decision gives reason to say."""
        return replace(
            self, believed=self.trust.believed, why=self.trust.why, by_references=references_say(self)
        )

    def conclusion(self) -> Verdict:
        """As fresh trainings say; models that know nothing confirm nothing."""
        found = super().conclusion()
        if found.standing != "confirmed" or not self.doubts:
            return found
        return Verdict("not confirmed", f"{found.why} {UNLEARNT}")

    def unchecked(self) -> Verdict:
        """Proxies alone confirm nothing."""
        return UNTRAINED

    def first_lines(self) -> tuple[str, ...]:
        """Reasons for doubt before what is good."""
        return headline(self)

    def objections(self) -> tuple[str, ...]:
        """Its doubts, and what is predicted to be better."""
        return objections(self)

    @classmethod
    def from_older(cls, schema: int, body: Json) -> Self | None:
        """Schema 3 called parameters ``params``; 2 did not name the flow; 1 has no verdict nor what it rests
        on, whose defaults say so."""
        scales = {
            key: body[key] for key in ("target_scale", "proxy_scale") if isinstance(body.get(key), dict)
        }
        new = {key: renamed(scale, {"params": "parameters"}) for key, scale in scales.items()}
        return decode(cls, {**body, **new}, cls.by)
