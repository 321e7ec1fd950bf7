"""How a search went, as inline SVG. See ``charts.py`` for the conventions."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from cuvee.precision import Precision
from cuvee.quantities import counted
from cuvee.report import wording
from cuvee.report.search_view import DrawnExperiment

_WIDTH, _HEIGHT = 960.0, 280.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 14.0, 10.0, 30.0
_ROOM = 0.06
_WORST = 0.9  # quantile of losses at the target fidelity that is still drawn in its place


_KEYS = {
    "pick": '<circle class="pick" r="5"/>',
    "training": '<circle r="4.5"/>',
    "best": '<path class="way chosen" d="M-7 0H7"/>',
    "cheaper": '<path class="reach" d="M0-5V5"/>',
}


def key(name: str) -> Markup:
    """A mark of the drawing by itself, for the legend."""
    return Markup('<svg class="key path" viewBox="-7 -7 14 14" aria-hidden="true">{}</svg>').format(
        Markup(_KEYS[name])
    )


def way(steps: Sequence[DrawnExperiment], budget: float) -> Markup:
    """Trainings at the target fidelity against FLOPs, and the best of them so far.

    Losses far above most are drawn at the upper edge. Cheaper experiments have losses of their own level, so
    that only when they were made is drawn: as marks on the lower edge.
    """
    trained = [one for one in steps if one.at_target and math.isfinite(one.loss)]
    losses = sorted(one.loss for one in trained) or [0.0, 1.0]
    low, high = losses[0], losses[min(len(losses) - 1, int(_WORST * len(losses)))]
    span = (high - low) or abs(high) or 1.0
    low, high = low - _ROOM * span, high + _ROOM * span
    end = max([budget, *(one.spent for one in steps)])

    def x(spent: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * spent / end

    def y(loss: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - min(max(loss, low), high)) / (high - low)

    bottom = _HEIGHT - _BOTTOM
    parts = [
        Markup('<path class="frame" d="M{0} {1}V{2}H{3}"/>').format(_LEFT, _TOP, bottom, _WIDTH - _RIGHT)
    ]
    exact = Precision.of((low, high))
    for loss in (low, 0.5 * (low + high), high):
        parts.append(
            Markup('<text x="{:.0f}" y="{:.1f}" text-anchor="end">{}</text>').format(
                _LEFT - 6, y(loss) + 4, exact.word(loss)
            )
        )
    for spent, anchor in ((0.0, "start"), (end, "end")):
        parts.append(
            Markup('<text x="{:.1f}" y="{:.0f}" text-anchor="{}">{}</text>').format(
                x(spent), _HEIGHT - 10, anchor, f"{wording.flops(spent)} FLOPs" if spent else "0"
            )
        )
    best, line = math.inf, ""
    for one in trained:
        if one.loss < best:
            line += (
                f"H{x(one.spent):.1f}V{y(one.loss):.1f}" if line else f"M{x(one.spent):.1f} {y(one.loss):.1f}"
            )
            best = one.loss
    if line:
        parts.append(Markup('<path class="way chosen" d="{}H{:.1f}"/>').format(line, x(end)))
    for one in steps:
        if one.at_target and math.isfinite(one.loss):
            css = "pick" if one.loss == best else ""
            parts.append(
                Markup(
                    '<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3.8"><title>{}</title></circle>'
                ).format(css, x(one.spent), y(one.loss), one.words)
            )
        else:
            parts.append(
                Markup('<path class="reach" d="M{:.1f} {}v-7"><title>{}</title></path>').format(
                    x(one.spent), bottom, one.words
                )
            )
    words = (
        f"{counted(len(trained), 'training')} at the target fidelity; the best ended at "
        f"{wording.number(best, 4)}"
    )
    return Markup(
        '<svg class="path large" role="img" viewBox="0 0 {:.0f} {:.0f}" aria-label="{}">{}</svg>'
    ).format(_WIDTH, _HEIGHT, words, Markup("").join(parts))
