"""A decision of ``cuvee run`` on a terminal: first lines, the mixture, and what it is predicted to do."""

from cuvee.decisions.ablation.decision import TARGET, Decision, Prediction
from cuvee.report.answers_printout import answers_printout
from cuvee.report.check_printout import check_grids
from cuvee.report.mixture_printout import mixture_grid
from cuvee.report.printout import Grid, Printout, first_lines, warned
from cuvee.report.view import StudyView
from cuvee.report.wording import interval_of, plain, plain_ends


def study_printout(view: StudyView) -> Printout:
    """All of a decision that fits a terminal."""
    decision = view.decision
    return (
        *first_lines(decision.headline, decision.verdict),
        mixture_grid("Mixture", decision.mixture, decision.confidence),
        _losses(decision),
        *check_grids(decision.check),
        *warned(decision.warnings),
        *answers_printout(view.answers),
    )


def _losses(decision: Decision) -> Grid:
    return Grid(
        "Predicted loss (nats per token)",
        ("evaluation", "this mixture", interval_of(decision.confidence), "uniform", "proportional"),
        tuple(map(_loss_row, decision.predictions)),
    )


def _loss_row(row: Prediction) -> tuple[str, ...]:
    pick = row.pick
    losses = (pick.mean, row.uniform.mean, row.proportional.mean)
    first, *others = map(plain, losses)
    return (_label(row), first, plain_ends(pick.low, pick.high), *others)


def _label(row: Prediction) -> str:
    if row.evaluation == TARGET:
        return "target"
    return row.evaluation if row.in_pool else f"{row.evaluation} (out of pool)"
