"""Fresh trainings of a pick and the baselines on a terminal."""

import math

from cuvee.decisions.check import Arm, BaselineComparison, TrainingCheck
from cuvee.decisions.concluded import Checkable
from cuvee.decisions.difference import DIRECTION, HEAD
from cuvee.quantities import tally
from cuvee.report.printout import Grid, Printout, first_lines
from cuvee.report.wording import interval_of, plain_ends, plain_loss, worth

_NOT_KNOWN = "not known"


def check_printout(answer: Checkable) -> Printout:
    """What fresh trainings say of an answer, under its first lines; nothing where there are none."""
    if answer.check is None:
        return ()
    return (*first_lines(answer.headline, answer.verdict), check_grid(answer.check))


def check_grids(check: TrainingCheck | None) -> Printout:
    """The table of a check, where there is one."""
    return () if check is None else (check_grid(check),)


def check_grid(check: TrainingCheck) -> Grid:
    """What was trained afresh, and what came out."""
    against = {one.baseline: one for one in check.comparisons}
    return Grid(
        f"Checked: {check.trained} on {' to '.join(map(tally, check.lengths))} tokens, {check.measured_on} "
        f"(target, nats per token; {HEAD}, {DIRECTION})",
        ("mixture", "loss", HEAD, interval_of(check.confidence), "tokens the pick needs"),
        tuple((*_of_arm(arm), *_compared(against.get(arm.name))) for arm in check.arms),
    )


def _of_arm(arm: Arm) -> tuple[str, str]:
    return arm.name, plain_loss(sum(arm.losses) / len(arm.losses))


def _compared(one: BaselineComparison | None) -> tuple[str, str, str]:
    """The pick minus a baseline; empty for the pick itself, and where the two are one mixture."""
    if one is None:
        return "", "", ""
    ends = _NOT_KNOWN if math.isnan(one.low) else plain_ends(one.low, one.high, _signed)
    needed = _NOT_KNOWN if math.isnan(one.tokens_needed) else worth(one)
    return _signed(one.difference), ends, needed


def _signed(difference: float) -> str:
    return f"{difference:+.4f}"
