"""A decision of ``cuvee run`` on a terminal: first lines, the mixture, and what it is predicted to do."""

from cuvee.report.answers_printout import answers_printout
from cuvee.report.check_printout import check_grids
from cuvee.report.mixture_printout import mixture_grid
from cuvee.report.order_printout import order_printout
from cuvee.report.printout import Grid, Printout, first_lines, noted, warned
from cuvee.report.tasks_printout import tasks_printout
from cuvee.report.view import LossRow, StudyView
from cuvee.report.wording import interval_of, plain, plain_ends


def study_printout(view: StudyView) -> Printout:
    """All of a decision that fits a terminal."""
    decision = view.decision
    return (
        *first_lines(decision.headline, decision.verdict),
        mixture_grid("Mixture", view.mixture, decision.confidence),
        _losses(view),
        *check_grids(decision.check),
        *order_printout(decision.order, decision.confidence),
        *tasks_printout(decision.tasks),
        *noted([f"seed model: {decision.seed_model}"] if decision.seed_model else []),
        *warned(decision.warnings),
        *answers_printout(view.answers),
    )


def _losses(view: StudyView) -> Grid:
    return Grid(
        "Predicted loss (nats per token)",
        ("evaluation", "this mixture", interval_of(view.decision.confidence), *view.decision.compared.labels),
        tuple(map(_loss_row, view.losses)),
    )


def _loss_row(row: LossRow) -> tuple[str, ...]:
    losses = row.prediction
    name = f"{row.label} (out of pool)" if row.group == "out of pool" else row.label
    ends = plain_ends(losses.pick.low, losses.pick.high)
    return name, plain(losses.pick.mean), ends, plain(losses.uniform.mean), plain(losses.proportional.mean)
