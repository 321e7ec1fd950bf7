"""A decision by laws on a terminal: first lines, the mixture, its baselines, the laws, runs worth making."""

import math

from cuvee.decisions.fit.result import LawRow, Sensitivity
from cuvee.precision import Precision
from cuvee.report.fit_view import FitView
from cuvee.report.mixture_printout import mixture_grid
from cuvee.report.printout import Grid, Printout, first_lines, noted
from cuvee.report.wording import interval_of, main_shares, plain, plain_ends, plain_percent


def fit_printout(view: FitView) -> Printout:
    """All of a decision by laws that fits a terminal."""
    decision = view.decision
    return (
        *first_lines(decision.headline, decision.verdict),
        _mixture(view),
        _candidates(view),
        _laws(view),
        *([_front(view)] if decision.front else []),
        *([_next_runs(view)] if view.next_runs else []),
        *noted(decision.notes),
    )


def _mixture(view: FitView) -> Grid:
    """Shares with what the target owes to each source."""
    decision = view.decision
    exact, worths = view.words.precision, [row.worth for row in view.rows]
    unsure = any(not worth.matters for worth in worths)
    return mixture_grid(
        "Mixture; without it: change of the target, positive is worse"
        + ("; in parentheses: the runs do not agree on the direction" if unsure else ""),
        [row.mixture for row in view.rows],
        decision.confidence,
        [("target without it", [_without(worth, exact) for worth in worths])],
    )


def _without(worth: Sensitivity, exact: Precision) -> str:
    """What leaving a source out changes; empty for the only one, in parentheses where runs disagree."""
    if math.isnan(worth.without.mean):
        return ""
    change = exact.signed(worth.without.mean)
    return change if worth.matters else f"({change})"


def _candidates(view: FitView) -> Grid:
    decision, word = view.decision, view.words.precision.word
    return Grid(
        f"Target {view.scale} (lower is better)",
        ("mixture", "predicted", interval_of(decision.confidence), "measured", ""),
        tuple(
            (
                one.name,
                word(one.target.mean),
                plain_ends(one.target.low, one.target.high, word),
                "" if math.isnan(one.measured) else word(one.measured),
                one.note,
            )
            for one in decision.candidates
        ),
    )


def _laws(view: FitView) -> Grid:
    return Grid(
        "Laws on runs they had not seen: rank correlation, R2, mean absolute error, coverage of intervals",
        ("law", "ranks", "R2", "error", "80%", "95%", ""),
        tuple(
            (
                row.law,
                plain(row.spearman),
                plain(row.r_squared),
                view.words.precision.word(row.mean_absolute_error),
                plain_percent(row.coverage_80, 0),
                plain_percent(row.coverage_95, 0),
                ", ".join(_marks(row)),
            )
            for row in view.decision.laws
        ),
    )


def _marks(row: LawRow) -> list[str]:
    """What is to be known of a law besides its numbers."""
    return [*(["chosen"] if row.chosen else []), *(["worse than the mean"] if row.failed else [])]


def _front(view: FitView) -> Grid:
    decision, words = view.decision, [own.precision.word for own in view.front_words]
    return Grid(
        "Pareto front: what the best value of one metric costs the other (fit.json has all shares)",
        ("mixture", *decision.front_metrics, "main shares"),
        tuple(
            (
                one.name,
                *(word(value) for word, value in zip(words, one.values, strict=True)),
                main_shares(decision.sources, one.shares),
            )
            for one in decision.front
        ),
    )


def _next_runs(view: FitView) -> Grid:
    return Grid(
        "Runs worth making (their mixtures stand in fit.json)",
        ("run", "gain", "what it shows"),
        tuple((run.name, Precision.alone(run.gain).word(run.gain), run.tells) for run in view.next_runs),
    )
