"""What a terminal shows of a valuation."""

from cuvee.decisions.interval import Interval
from cuvee.decisions.value.result import SourceGame, Valued
from cuvee.quantities import plain, tally
from cuvee.report.mixture_printout import mixture_grid
from cuvee.report.printout import Grid, Printout, first_lines, warned
from cuvee.report.value_view import ValueView
from cuvee.report.wording import PLAIN_MISSING, plain_ends, plain_loss


def value_printout(view: ValueView) -> Printout:
    """First lines, sources by every method, agreement, trainings."""
    decision = view.decision
    trained = (_trained(view), _differences(view)) if decision.retraining else ()
    return (
        *first_lines(decision.headline, decision.verdict),
        *(_sources(view, one) for one in view.ran),
        _agreement(view),
        *(_game(view, one) for one in decision.games),
        *trained,
        mixture_grid("Mixture", view.rows, decision.confidence),
        *warned(decision.warnings),
    )


def _sources(view: ValueView, method: Valued) -> Grid:
    level, words = f"{view.decision.confidence:.0%}", view.precision(method)
    return Grid(
        f"{method.method} ({method.unit})",
        ("source", "value", level, "documents", "tokens"),
        tuple(
            (
                line.row.source,
                words.word(line.row.value.mean),
                words.between(line.row.value.low, line.row.value.high) if line.sure else PLAIN_MISSING,
                str(line.row.documents),
                tally(line.row.tokens),
            )
            for line in view.lines(method)
        ),
    )


def _game(view: ValueView, game: SourceGame) -> Grid:
    level = f"{view.decision.confidence:.0%}"
    return Grid(
        f"All {game.coalitions} coalitions by {game.by} (nats per token of the target)",
        ("source", "Shapley", level, "left out", level),
        tuple(
            (
                one.source,
                plain(one.shapley.mean, 4),
                plain_ends(one.shapley.low, one.shapley.high, plain_loss),
                plain(one.left_out.mean, 4),
                plain_ends(one.left_out.low, one.left_out.high, plain_loss),
            )
            for one in sorted(game.players, key=lambda one: -one.shapley.mean)
        ),
    )


def _agreement(view: ValueView) -> Grid:
    names = [one.method for one in view.ran]
    return Grid(
        "Rank correlation over documents",
        ("method", *names),
        tuple((one, *(plain(view.rank(one, other), 2) for other in names)) for one in names),
    )


def _trained(view: ValueView) -> Grid:
    retraining = view.decision.retraining
    assert retraining is not None  # the caller has seen it
    return Grid(
        f"Loss after training on {retraining.share:.0%} of the tokens (nats per token)",
        ("kept by", "documents", "tokens", "target", "others"),
        tuple(
            (
                arm.name,
                str(arm.documents),
                tally(arm.tokens),
                plain(view.mean(arm.target), 4),
                plain(view.mean(arm.others), 4),
            )
            for arm in view.arms()
        ),
    )


def _differences(view: ValueView) -> Grid:
    """A table of its own, so that a line of a terminal holds both with their intervals."""
    level = f"{view.decision.confidence:.0%}"
    return Grid(
        "Loss on the target minus that of a baseline; below zero is better",
        ("kept by", "to random", level, "to dsir", level),
        tuple((arm.name, *_signed(arm.to_random), *_signed(arm.to_dsir)) for arm in view.arms()),
    )


def _signed(difference: Interval) -> tuple[str, str]:
    if difference.mean != difference.mean:
        return PLAIN_MISSING, PLAIN_MISSING
    return f"{difference.mean:+.4f}", f"{difference.low:+.3f} to {difference.high:+.3f}"
