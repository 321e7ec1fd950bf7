"""``StudyView``: what a report shows, in the order it shows it, before any rendering.

A view is made once from a ``Decision`` and, where given, the study's observations; HTML and Markdown
are two renderings of the same view. It orders and groups; it estimates nothing.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.ablation.result import (
    ALL_REFERENCES,
    TARGET,
    Action,
    HonestyRow,
    PredictedLosses,
    Reference,
)
from cuvee.decisions.answers.answers import Answers
from cuvee.decisions.baselines import Baselines
from cuvee.decisions.check import EQUAL, PROPORTIONAL
from cuvee.decisions.read_shares import ReadShares
from cuvee.decisions.shares import SourceShare, largest_first
from cuvee.execution.tariff import CORES, Tariff
from cuvee.quantities import counted
from cuvee.report.answers_view import AnswersView
from cuvee.report.badge import Badge, badge_of
from cuvee.report.cost_view import CostView
from cuvee.report.title import title_of

ACTION_TITLES: dict[Action, str] = {
    "drop": "Leaving a source out",
    "add": "Adding a source",
    "double": "Doubling a source",
}
MOST_PANELS = 8
"""Scatter plots shown; the honesty table has all proxies."""
_SCALE_QUANTILE = 0.95
_SAME_AXIS_FACTOR = 4.0


class Observed(Protocol):
    """The little that a report asks of ``cuvee.runs.observations.Observations``."""

    @property
    def kind(self) -> Sequence[str]:
        """How each run was observed [R]."""

    @property
    def role(self) -> Sequence[str]:
        """What each run was made for [R]."""


@dataclass(frozen=True)
class MixtureRow:
    """One source of the pick beside the mixtures anybody would have tried."""

    source: str
    share: float
    low: float
    high: float
    uniform: float
    """Of equal shares, as they were compared."""
    proportional: float
    share_cap: float
    """Share at which ``epoch_cap`` is reached; NaN for no cap."""
    unique_tokens: int
    epochs: float
    epoch_cap: float
    cap_hit: bool


@dataclass(frozen=True)
class LossRow:
    """One evaluation's predicted losses."""

    label: str
    group: Literal["target", "in pool", "out of pool"]
    weight: float
    """In the target; NaN for the target itself."""
    prediction: PredictedLosses


@dataclass(frozen=True)
class Point:
    """One really trained mixture in a scatter plot."""

    name: str
    predicted: float
    truth: float


@dataclass(frozen=True)
class Panel:
    """Truth against one proxy."""

    proxy: str
    role: Literal["believed", "proxy", "baseline"]
    points: tuple[Point, ...]
    row: HonestyRow | None
    """Its agreement on the target over all references, where it was estimated."""
    same_axis: bool
    """Predictions lie where the truth lies, so that the identity line means something."""


@dataclass(frozen=True)
class Cell:
    """One effect with its interval."""

    value: float
    low: float = math.nan
    high: float = math.nan

    @property
    def muted(self) -> bool:
        """The interval holds zero."""
        return self.low <= 0.0 <= self.high


@dataclass(frozen=True)
class HeatMap:
    """A matrix of effects with a common colour scale."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[Cell | None, ...], ...]
    """[rows, columns]; None where nothing was measured."""
    scale: float
    """Size of an effect that gets the strongest colour."""

    @property
    def milli(self) -> bool:
        """Values read better in thousandths."""
        return self.scale < 0.5

    @classmethod
    def of(
        cls, title: str, rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[Cell | None]]
    ) -> Self:
        """Choose the scale: the 95 % quantile of the sizes, so that one outlier does not pale the rest."""
        sizes = sorted(abs(cell.value) for row in cells for cell in row if cell and math.isfinite(cell.value))
        scale = sizes[math.ceil(_SCALE_QUANTILE * len(sizes)) - 1] if sizes else 0.0
        return cls(title, tuple(rows), tuple(columns), tuple(map(tuple, cells)), scale or 1.0)


@dataclass(frozen=True)
class Agreement:
    """Correlation of each proxy on each evaluation, for the references taken together."""

    proxies: tuple[str, ...]
    evaluations: tuple[str, ...]
    cells: tuple[tuple[HonestyRow | None, ...], ...]
    """[evaluations, proxies]."""


@dataclass(frozen=True)
class RunCount:
    """How many runs of one kind and role were observed."""

    kind: str
    role: str
    count: int


@dataclass(frozen=True)
class StudyView:
    """Everything a report needs; tuples are in the order of display."""

    decision: Decision
    badge: Badge
    mixture: tuple[MixtureRow, ...]
    """Largest share first; every list of sources follows this order."""
    losses: tuple[LossRow, ...]
    """The target, then evaluations outside the pool, then those inside."""
    panels: tuple[Panel, ...]
    panels_left_out: int
    ablation: tuple[HeatMap, ...]
    interactions: HeatMap | None
    honesty: tuple[HonestyRow, ...]
    """Rows on the target and on groups of evaluations."""
    agreement: Agreement | None
    """Rows on single evaluations."""
    runs: tuple[RunCount, ...]
    answers: AnswersView | None
    """Beside the other answers of the study."""
    title: str
    """What the page is called."""
    costs: CostView
    """What the rows of its ledger are time of, and their price."""
    read: ReadShares | None = None
    """What trainings read of each source; None where no log is at hand."""

    @classmethod
    def of(
        cls,
        decision: Decision,
        observations: Observed | None = None,
        answers: Answers | None = None,
        tariff: Tariff = CORES,
        read: ReadShares | None = None,
        folder: str = "",
    ) -> Self:
        """Order and group a decision for display.

        Args:
            decision: what is shown.
            observations: the runs behind it; only counted.
            answers: all that the study has.
            tariff: what computed it, and the price of an hour.
            read: what trainings read of each source.
            folder: name of that of the study.
        """
        evaluations = _evaluations(decision)
        mixture = mixture_rows(decision.mixture, decision.target_scale.tokens, decision.compared)
        sources = [row.source for row in mixture]
        panels = _panels(decision)
        return cls(
            decision=decision,
            badge=badge_of(decision.verdict),
            mixture=mixture,
            losses=_losses(decision),
            panels=panels[:MOST_PANELS],
            panels_left_out=max(0, len(panels) - MOST_PANELS),
            ablation=_ablation(decision, sources, evaluations),
            interactions=_interactions(decision, sources),
            honesty=tuple(row for row in _by_proxy(decision) if row.scope not in evaluations),
            agreement=_agreement(decision, evaluations),
            runs=_runs(observations),
            answers=AnswersView.of(answers),
            title=title_of(decision.study, folder),
            costs=CostView(tariff, decision.ledger),
            read=read,
        )

    @property
    def fewest_documents(self) -> str:
        """Of the evaluations in the target; words where an old decision does not say."""
        fewest = [
            min(one.documents, one.checking_documents) for one in self.decision.evaluations if one.weight > 0
        ]
        return (
            f"{counted(min(fewest), 'document')} a weighted evaluation, at least" if fewest else "not known"
        )

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources in the order of display [S]."""
        return tuple(row.source for row in self.mixture)

    def ordered(self, shares: Sequence[float]) -> tuple[float, ...]:
        """Shares [S] of the decision's order, in the order of display."""
        by_name = dict(zip(self.decision.sources, shares, strict=True))
        return tuple(by_name[source] for source in self.sources)


def mixture_rows(
    mixture: Sequence[SourceShare], target_tokens: int, compared: Baselines | None = None
) -> tuple[MixtureRow, ...]:
    """What a decision takes of each source, the largest share first, beside the baselines."""
    baselines = compared or Baselines.of(mixture, None)
    equal, proportional = baselines.shares(EQUAL), baselines.shares(PROPORTIONAL)
    rows = (
        MixtureRow(
            source=entry.source,
            share=entry.share,
            low=entry.low,
            high=entry.high,
            uniform=equal[place],
            proportional=proportional[place],
            share_cap=_share_cap(entry, target_tokens),
            unique_tokens=entry.unique_tokens,
            epochs=entry.epochs,
            epoch_cap=entry.epoch_cap,
            cap_hit=entry.cap_hit,
        )
        for place in largest_first(mixture)
        for entry in (mixture[place],)
    )
    return tuple(rows)


def _share_cap(entry: SourceShare, target_tokens: int) -> float:
    """Where the epoch cap is reached, at most 1; by the epochs of the share where no tokens are known."""
    if target_tokens or not entry.epochs > 0:
        return min(entry.epoch_cap * entry.unique_tokens / max(1, target_tokens), 1.0)
    return min(entry.epoch_cap * entry.share / entry.epochs, 1.0)


def _losses(decision: Decision) -> tuple[LossRow, ...]:
    rows = []
    for prediction in decision.predictions:
        if prediction.evaluation == TARGET:
            rows.append(LossRow(TARGET, "target", math.nan, prediction))
        else:
            weight = decision.target.get(prediction.evaluation, 0.0)
            group: Literal["in pool", "out of pool"] = "in pool" if prediction.in_pool else "out of pool"
            rows.append(LossRow(prediction.evaluation, group, weight, prediction))
    places = {"target": 0, "out of pool": 1, "in pool": 2}
    return tuple(sorted(rows, key=lambda row: places[row.group]))


def _evaluations(decision: Decision) -> list[str]:
    """Evaluations in the order of display, the target left out."""
    named = [row.prediction.evaluation for row in _losses(decision)]
    named += list(decision.target) + [row.evaluation for row in decision.ablation]
    return [name for name in dict.fromkeys(named) if name != TARGET]


def _by_proxy(decision: Decision) -> list[HonestyRow]:
    """The believed proxy first, then the others, then the baselines; otherwise as the study gave them."""
    return sorted(decision.honesty, key=lambda row: (row.proxy != decision.believed_proxy, row.is_baseline))


def _panels(decision: Decision) -> tuple[Panel, ...]:
    ranked = _by_proxy(decision)
    baselines = {row.proxy for row in ranked if row.is_baseline}
    scored = dict.fromkeys(row.proxy for row in ranked)
    scored.update(dict.fromkeys(proxy for reference in decision.references for proxy in reference.predicted))
    names = sorted(scored, key=lambda proxy: (proxy != decision.believed_proxy, proxy in baselines))
    panels = []
    for proxy in names:
        points = _points(decision.references, proxy)
        if not points:
            continue
        row = next(
            (r for r in ranked if (r.proxy, r.scope, r.subset) == (proxy, TARGET, ALL_REFERENCES)), None
        )
        role: Literal["believed", "proxy", "baseline"] = "baseline" if proxy in baselines else "proxy"
        if proxy == decision.believed_proxy:
            role = "believed"
        panels.append(Panel(proxy, role, points, row, _share_an_axis(points)))
    return tuple(panels)


def _points(references: Iterable[Reference], proxy: str) -> tuple[Point, ...]:
    points = (Point(r.name, r.predicted.get(proxy, math.nan), r.truth) for r in references)
    return tuple(p for p in points if math.isfinite(p.predicted) and math.isfinite(p.truth))


def _share_an_axis(points: Sequence[Point]) -> bool:
    """Whether predictions lie near enough to the truth that on equal axes the truth stays readable."""
    predicted, truth = [p.predicted for p in points], [p.truth for p in points]
    together = max(predicted + truth) - min(predicted + truth)
    return together <= _SAME_AXIS_FACTOR * (max(truth) - min(truth))


def _ablation(decision: Decision, sources: list[str], evaluations: list[str]) -> tuple[HeatMap, ...]:
    maps = []
    for action, title in ACTION_TITLES.items():
        known = {
            (row.source, row.evaluation): Cell(row.effect, row.low, row.high)
            for row in decision.ablation
            if row.action == action
        }
        if known:
            columns = [name for name in (TARGET, *evaluations) if any((s, name) in known for s in sources)]
            cells = [[known.get((source, name)) for name in columns] for source in sources]
            maps.append(HeatMap.of(title, sources, columns, cells))
    return tuple(maps)


def _interactions(decision: Decision, sources: list[str]) -> HeatMap | None:
    if not decision.interactions:
        return None
    index = [decision.sources.index(source) for source in sources]
    cells = [
        [Cell(decision.interactions[a][b]) if place > other else None for other, b in enumerate(index)]
        for place, a in enumerate(index)
    ]
    return HeatMap.of("Pairs beyond the sum of their parts", sources, sources, cells)


def _agreement(decision: Decision, evaluations: list[str]) -> Agreement | None:
    rows = [row for row in _by_proxy(decision) if row.scope in evaluations and row.subset == ALL_REFERENCES]
    if not rows:
        return None
    proxies = tuple(dict.fromkeys(row.proxy for row in rows))
    seen = {(row.scope, row.proxy): row for row in rows}
    scopes = tuple(name for name in evaluations if any((name, proxy) in seen for proxy in proxies))
    cells = tuple(tuple(seen.get((name, proxy)) for proxy in proxies) for name in scopes)
    return Agreement(proxies, scopes, cells)


def _runs(observations: Observed | None) -> tuple[RunCount, ...]:
    if observations is None:
        return ()
    counts = Counter(zip(observations.kind, observations.role, strict=True))
    return tuple(RunCount(kind, role, count) for (kind, role), count in sorted(counts.items()))
