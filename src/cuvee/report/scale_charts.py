"""How shares move with scale, as inline SVG. See ``charts.py`` for the conventions."""

import math
from collections.abc import Callable

from markupsafe import Markup

from cuvee.report import wording
from cuvee.report.scale_view import Line, SharePanel

_WIDTH, _HEIGHT = 300.0, 150.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 12.0, 8.0, 26.0


_KEYS = {
    "rung": '<path class="reach" d="M0-7V7"/><circle r="4"/>',
    "chosen": '<path class="way chosen" d="M-7 0H7"/>',
    "other": '<path class="way" d="M-7 0H7"/>',
    "band": '<path class="band" d="M-7-5H7V5H-7Z"/>',
    "check": '<path class="grid check" d="M0-7V7"/>',
    "pick": '<circle class="pick" r="5.5"/>',
}


def key(name: str) -> Markup:
    """A mark of the drawing by itself, for the legend."""
    return Markup('<svg class="key path" viewBox="-7 -7 14 14" aria-hidden="true">{}</svg>').format(
        Markup(_KEYS[name])
    )


def share_path(panel: SharePanel) -> Markup:
    """One source: what was best at the rungs, where the methods carry it, and the pick at the target."""
    scales = [panel.target_tokens, *(tokens for tokens, _ in panel.rungs)]
    low, high = math.log(min(scales)), math.log(max(scales))
    span = (high - low) or 1.0

    def x(tokens: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (math.log(tokens) - low) / span

    def y(share: float) -> float:
        inside = min(max(share, 0.0), panel.top)
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1.0 - inside / panel.top)

    def place(tokens: float, share: float) -> str:
        return f"{x(tokens):.1f} {y(share):.1f}"

    parts = [_frame(x, y, panel)]
    for line in sorted(panel.lines, key=lambda one: one.chosen):
        parts.append(_line(line, place))
    for tokens, share in panel.rungs:
        words = f"best at {wording.quantity(tokens)} tokens: {wording.percent(share.mean)}"
        if math.isfinite(share.low) and math.isfinite(share.high):
            words += f" {wording.interval(share.low, share.high, wording.percent)}"
            parts.append(
                Markup('<path class="reach" d="M{}V{:.1f}"/>').format(place(tokens, share.low), y(share.high))
            )
        parts.append(
            Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3.5"><title>{}</title></circle>').format(
                x(tokens), y(share.mean), words
            )
        )
    parts.append(
        Markup('<circle class="pick" cx="{:.1f}" cy="{:.1f}" r="5"><title>{}</title></circle>').format(
            x(panel.target_tokens), y(panel.pick), f"pick: {wording.percent(panel.pick)}"
        )
    )
    return Markup('<svg class="path" role="img" viewBox="0 0 {:.0f} {:.0f}" aria-label="{}">{}</svg>').format(
        _WIDTH,
        _HEIGHT,
        f"Best share of {panel.source} from {wording.quantity(min(scales))} to "
        f"{wording.quantity(panel.target_tokens)} tokens, pick {wording.percent(panel.pick)}",
        Markup("").join(parts),
    )


def _line(line: Line, place: Callable[[float, float], str]) -> Markup:
    known = [(tokens, share) for tokens, share in line.points if math.isfinite(share.mean)]
    if not known:
        return Markup("")
    way = "M" + "L".join(place(tokens, share.mean) for tokens, share in known)
    drawn = Markup('<path class="way{}" d="{}"><title>{}</title></path>').format(
        " chosen" if line.chosen else "", way, line.method
    )
    sure = [(t, s) for t, s in known if math.isfinite(s.low) and math.isfinite(s.high)]
    if len(sure) < 2:
        return drawn
    edge = [place(t, s.high) for t, s in sure] + [place(t, s.low) for t, s in reversed(sure)]
    return Markup('<path class="band" d="M{}Z"/>').format("L".join(edge)) + drawn


def _frame(x: Callable[[float], float], y: Callable[[float], float], panel: SharePanel) -> Markup:
    bottom = _HEIGHT - _BOTTOM
    parts = [
        Markup('<path class="frame" d="M{0} {1}V{2}H{3}"/>').format(_LEFT, _TOP, bottom, _WIDTH - _RIGHT)
    ]
    for part in (0.0, 0.5, 1.0):
        parts.append(
            Markup('<text x="{:.0f}" y="{:.1f}" text-anchor="end">{}</text>').format(
                _LEFT - 5, y(part * panel.top) + 4, f"{100 * part * panel.top:.0f}%"
            )
        )
    marks = [(tokens, "") for tokens, _ in panel.rungs]
    marks += [(panel.check_tokens, "check")] if panel.check_tokens else []
    for tokens, css in (*marks, (panel.target_tokens, "target")):
        parts.append(Markup('<path class="grid {}" d="M{:.1f} {}V{}"/>').format(css, x(tokens), _TOP, bottom))
    ends = ((min(t for t, _ in panel.rungs), "start"), (panel.target_tokens, "end"))
    for tokens, anchor in ends:
        parts.append(
            Markup('<text x="{:.1f}" y="{:.0f}" text-anchor="{}">{}</text>').format(
                x(tokens), _HEIGHT - 9, anchor, wording.quantity(tokens)
            )
        )
    return Markup("").join(parts)
