"""``SearchView``: what the page of a decision by search shows, before any rendering."""

from dataclasses import dataclass
from typing import Self

from cuvee.decisions.answers.answers import Answers
from cuvee.decisions.search.decision import SearchDecision
from cuvee.decisions.search.result import FidelityRow, Tried
from cuvee.report.answers_view import AnswersView
from cuvee.report.badge import Badge, badge_of
from cuvee.report.title import title_of
from cuvee.report.view import MixtureRow, mixture_rows

_KINDS = {"merged": "merge", "ensembled": "ensemble", "checkpoint": "frozen"}


@dataclass(frozen=True)
class DrawnExperiment:
    """An experiment on the way, for the drawing."""

    name: str
    spent: float
    """FLOPs after it."""
    loss: float
    """NaN where it failed."""
    at_target: bool
    """It was made at the target fidelity."""
    words: str


@dataclass(frozen=True)
class SearchView:
    """A decision by search, ordered for reading. Made by ``of``."""

    decision: SearchDecision
    badge: Badge
    sources: tuple[str, ...]
    """Largest share first."""
    rows: tuple[MixtureRow, ...]
    steps: tuple[DrawnExperiment, ...]
    answers: AnswersView | None
    """None where the study has no other."""
    title: str
    """What the page is called."""

    @classmethod
    def of(cls, decision: SearchDecision, answers: Answers | None = None, folder: str = "") -> Self:
        """Order a decision, beside the other answers of its study where they are given."""
        rows = mixture_rows(decision.mixture, decision.target_tokens, decision.compared)
        sources = tuple(row.source for row in rows)
        steps = tuple(_step(decision, one) for one in decision.tried)
        beside = AnswersView.of(answers)
        title = title_of(decision.study, folder)
        return cls(decision, badge_of(decision.verdict), sources, rows, steps, beside, title)

    def ordered(self, shares: tuple[float, ...]) -> tuple[float, ...]:
        """Shares in the order of the mixture table."""
        by_source = dict(zip(self.decision.sources, shares, strict=True))
        return tuple(by_source[name] for name in self.sources)

    def named(self, row: FidelityRow) -> str:
        """The kind of a fidelity in a word."""
        return kind_named(row.kind)


def kind_named(kind: str) -> str:
    """A kind of experiment in a word."""
    return _KINDS.get(kind, kind)


def _step(decision: SearchDecision, one: Tried) -> DrawnExperiment:
    row = decision.fidelities[one.fidelity]
    words = f"{one.name}: {kind_named(row.kind)}, {row.tokens:,} tokens, "
    words += f"loss {one.loss:.4f}" if not one.error else "failed"
    return DrawnExperiment(one.name, one.spent, one.loss, one.fidelity == len(decision.fidelities) - 1, words)
