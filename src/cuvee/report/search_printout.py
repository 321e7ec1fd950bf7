"""A decision by search on a terminal: first lines, the mixture, what was asked for, the best trainings."""

from cuvee.decisions.search.decision import SearchDecision
from cuvee.decisions.search.result import TrainedMixture
from cuvee.quantities import flops, tally
from cuvee.report.answers_printout import answers_printout
from cuvee.report.check_printout import check_grids
from cuvee.report.mixture_printout import mixture_grid
from cuvee.report.printout import Grid, Printout, first_lines, warned
from cuvee.report.search_view import SearchView
from cuvee.report.wording import interval_of, plain, plain_ends, plain_loss

_BEST = 12
"""Rows of the mixtures trained that are printed, the best first."""


def search_printout(view: SearchView) -> Printout:
    """All of a decision by search that fits a terminal."""
    decision = view.decision
    return (
        *first_lines(decision.headline, decision.verdict),
        mixture_grid(f"Mixture for {tally(decision.target_tokens)} tokens", view.rows, decision.confidence),
        _fidelities(view),
        *_trained(decision),
        *check_grids(decision.check),
        *warned(decision.warnings),
        *answers_printout(view.answers),
    )


def _fidelities(view: SearchView) -> Grid:
    return Grid(
        "What was asked for",
        ("kind", "tokens", "made", "failed", "FLOPs", "slope", "bias", "noise", "ranks"),
        tuple(
            (
                view.named(row),
                tally(row.tokens),
                str(row.made),
                str(row.failed),
                flops(row.spent),
                plain(row.slope, 2),
                plain(row.bias, 3),
                plain(row.noise, 4),
                plain(row.rank, 2),
            )
            for row in view.decision.fidelities
        ),
    )


def _trained(decision: SearchDecision) -> Printout:
    title = f"Trained on {tally(decision.fidelities[-1].tokens)} tokens (target loss, nats per token)"
    heads = ("experiment", "measured", "expected", interval_of(decision.confidence))
    grid = Grid(title, heads, tuple(map(_trained_row, decision.trained[:_BEST])))
    left = len(decision.trained) - _BEST
    more = f"and {left} more, all of them expected to be worse: see search.json"
    return (grid, more) if left > 0 else (grid,)


def _trained_row(row: TrainedMixture) -> tuple[str, ...]:
    expected = row.expected
    ends = plain_ends(expected.low, expected.high, plain_loss)
    return row.name, plain_loss(row.measured), plain_loss(expected.mean), ends
