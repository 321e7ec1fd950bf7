"""A decision across scales on a terminal: first lines, the mixture, and what was trained above the rungs."""

from cuvee.decisions.scale.result import RungRow
from cuvee.quantities import tally
from cuvee.report.answers_printout import answers_printout
from cuvee.report.check_printout import check_grids
from cuvee.report.mixture_printout import Column, mixture_grid
from cuvee.report.printout import Grid, Printout, first_lines, warned
from cuvee.report.scale_view import ScaleView
from cuvee.report.wording import interval_of, plain, plain_ends, plain_loss, plain_percent


def scale_printout(view: ScaleView) -> Printout:
    """All of a decision across scales that fits a terminal."""
    decision = view.decision
    optima = [_optimum(view, row) for row in decision.rungs]
    title = f"Mixture for {tally(decision.target_tokens)} tokens"
    return (
        *first_lines(decision.headline, decision.verdict),
        mixture_grid(title, view.rows, decision.confidence, optima),
        *([_trained(view)] if decision.checks else []),
        *check_grids(decision.check),
        *warned(decision.warnings),
        *answers_printout(view.answers),
    )


def _optimum(view: ScaleView, row: RungRow) -> Column:
    best = view.ordered(tuple(share.mean for share in row.optimum))
    return f"best at {tally(row.tokens)}", [plain_percent(share) for share in best]


def _trained(view: ScaleView) -> Grid:
    decision = view.decision
    return Grid(
        f"Trained on {tally(decision.check_tokens)} tokens (target loss, nats per token)",
        ("mixture", "loss", interval_of(decision.confidence), "predicted", "times faster than uniform"),
        tuple(
            (
                row.name,
                plain_loss(row.loss.mean),
                plain_ends(row.loss.low, row.loss.high, plain_loss),
                plain_loss(row.predicted.mean),
                plain(view.against_uniform(row).mean, 2),
            )
            for row in decision.checks
        ),
    )
