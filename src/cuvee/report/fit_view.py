"""``FitView``: what the page of a decision by laws shows, before any rendering."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from cuvee.decisions.ablation.result import Loss, PredictedLosses
from cuvee.decisions.fit.decision import LawDecision
from cuvee.decisions.fit.headline import scale_of_runs
from cuvee.decisions.fit.precision import front_precisions, metric_precision, target_precision
from cuvee.decisions.fit.result import BEST_OBSERVED, PICK, LawRow, ProposedRun, Sensitivity
from cuvee.decisions.fit.verdict import believed
from cuvee.decisions.interval import Interval
from cuvee.decisions.shares import largest_first
from cuvee.report.badge import Badge, badge_of
from cuvee.report.view import LossRow, MixtureRow, Panel, Point
from cuvee.report.wording import Words


@dataclass(frozen=True)
class SourceRow:
    """One source of the pick, and what the target owes to it."""

    mixture: MixtureRow
    worth: Sensitivity


@dataclass(frozen=True)
class MetricRow:
    """The target or one metric, under the pick and the first baselines."""

    loss: LossRow
    words: Words


@dataclass(frozen=True)
class FitView:
    """A decision by laws, ordered for reading. Made by ``of``."""

    decision: LawDecision
    badge: Badge
    sources: tuple[str, ...]
    """Largest share first."""
    rows: tuple[SourceRow, ...]
    metrics: tuple[MetricRow, ...]
    """The pick beside the first baselines, metric by metric."""
    words: Words
    """Of the target."""
    front_words: tuple[Words, ...]
    """Of the two metrics of the front."""
    panel: Panel | None
    """Left-out runs: what the law predicted and what was measured."""

    @classmethod
    def of(cls, decision: LawDecision) -> Self:
        """Order a decision."""
        order = largest_first(decision.mixture)
        beside = {one.name: one.shares for one in decision.candidates}
        nothing = (math.nan,) * len(decision.mixture)
        uniform, proportional = (beside.get(name, nothing) for name in ("uniform", "proportional"))
        rows = []
        for i in order:
            entry = decision.mixture[i]
            cap = entry.epoch_cap * entry.unique_tokens / decision.target_tokens
            rows.append(
                SourceRow(
                    MixtureRow(
                        source=entry.source,
                        share=entry.share,
                        low=entry.low,
                        high=entry.high,
                        uniform=uniform[i],
                        proportional=proportional[i],
                        share_cap=min(cap, 1.0) if math.isfinite(cap) else math.nan,
                        unique_tokens=entry.unique_tokens,
                        epochs=entry.epochs,
                        epoch_cap=entry.epoch_cap,
                        cap_hit=entry.cap_hit,
                    ),
                    decision.sensitivities[i],
                )
            )
        points = tuple(Point(run.name, run.predicted, run.measured) for run in decision.held_out)
        panel = Panel(decision.law, "believed", points, None, same_axis=True) if points else None
        sources = tuple(decision.sources[i] for i in order)
        return cls(
            decision=decision,
            badge=badge_of(decision.verdict),
            sources=sources,
            rows=tuple(rows),
            metrics=_metrics(decision),
            words=Words(target_precision(decision)),
            front_words=tuple(map(Words, front_precisions(decision))),
            panel=panel,
        )

    @property
    def next_runs(self) -> tuple[ProposedRun, ...]:
        """What further runs are worth is what the law says of them: nothing, where it is not believed."""
        return self.decision.next_runs if believed(self.decision) else ()

    @property
    def scale(self) -> str:
        """At which scale the predictions hold."""
        return scale_of_runs(self.decision)

    @property
    def chosen(self) -> LawRow:
        """The law that was minimised."""
        return next(row for row in self.decision.laws if row.chosen)

    def ordered(self, shares: Sequence[float]) -> tuple[float, ...]:
        """Shares in the order of the mixture table."""
        by_source = dict(zip(self.decision.sources, shares, strict=True))
        return tuple(by_source[name] for name in self.sources)


def _metrics(decision: LawDecision) -> tuple[MetricRow, ...]:
    exact = [target_precision(decision), *map(metric_precision, decision.metrics)]
    return tuple(MetricRow(row, Words(one)) for row, one in zip(_loss_rows(decision), exact, strict=True))


def _loss_rows(decision: LawDecision) -> tuple[LossRow, ...]:
    def loss(metric_values: dict[str, Interval], name: str) -> Loss:
        found = metric_values.get(name, Interval())
        return Loss(found.mean, found.low, found.high)

    target = {one.name: one.target for one in decision.candidates}
    rows = [("target", math.nan, target)]
    rows += [(metric.name, metric.weight, metric.predicted) for metric in decision.metrics]
    return tuple(
        LossRow(
            label,
            "target" if place == 0 else "out of pool",
            weight,
            PredictedLosses(
                label,
                loss(values, PICK),
                loss(values, "uniform"),
                loss(values, "proportional"),
                loss(values, BEST_OBSERVED),
            ),
        )
        for place, (label, weight, values) in enumerate(rows)
    )
