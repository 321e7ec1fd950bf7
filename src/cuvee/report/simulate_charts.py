"""The best mixture found so far against what was spent, as inline SVG. See ``charts.py``.

Both axes are logarithmic: spent, from the first run at the target on, and the distance from the best mixture
in that of the median one. What is nearer than a third of a per cent stands at the bottom.
"""

import math
from collections.abc import Callable

from markupsafe import Markup

from cuvee.report import wording
from cuvee.report.simulate_view import Chart, Course

_WIDTH, _HEIGHT = 760.0, 340.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 14.0, 12.0, 44.0
_NEAREST, _FARTHEST = 1 / 300, 2.0
_MARKS = ((1.0, "100%"), (0.1, "10%"), (0.01, "1%"), (_NEAREST, "best"))
_STEPS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)


def progress(chart: Chart) -> Markup:
    """A line a method: the median over its searches, and a band from the tenth to the ninetieth per cent."""
    span = math.log(max(chart.budget, 1.01))

    def x(spent: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * math.log(spent) / span

    def y(gap: float) -> float:
        inside = math.log(min(max(gap, _NEAREST), _FARTHEST) / _NEAREST) / math.log(_FARTHEST / _NEAREST)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * inside

    parts = [_frame(x, y, chart)]
    parts += [_band(course, x, y) for course in chart.courses]
    parts += [_line(course, x, y) for course in reversed(chart.courses)]
    return Markup(
        '<svg class="path large" role="img" viewBox="0 0 {:.0f} {:.0f}" aria-label="{}">{}</svg>'
    ).format(
        _WIDTH,
        _HEIGHT,
        "Distance of the best mixture found from the best there is, against runs at the target; "
        + "; ".join(
            f"{course.method} ends at {_gap_in_words(course.points[-1].median)}" for course in chart.courses
        ),
        Markup("").join(parts),
    )


def key(course: Course) -> Markup:
    """A method's line by itself, for the legend."""
    return Markup(
        '<svg class="key" viewBox="-7 -7 14 14" aria-hidden="true">'
        '<path style="stroke-width:2.5;{}" d="M-7 0H7"/></svg>'
    ).format(course.style)


def _line(course: Course, x: Callable[[float], float], y: Callable[[float], float]) -> Markup:
    known = [(point.spent, point.median) for point in course.points if math.isfinite(point.median)]
    if not known:
        return Markup("")
    return Markup('<path class="way" style="{}" d="M{}"><title>{}</title></path>').format(
        course.style,
        _steps(known, x, y),
        f"{course.method}: {_gap_in_words(known[0][1])} after {known[0][0]:.1f} runs, "
        f"{_gap_in_words(known[-1][1])} after {known[-1][0]:.1f}",
    )


def _band(course: Course, x: Callable[[float], float], y: Callable[[float], float]) -> Markup:
    known = [point for point in course.points if math.isfinite(point.low)]
    if len(known) < 2:
        return Markup("")
    # To the right along the upper edge, and back along the lower one.
    above = _steps([(point.spent, point.high) for point in known], x, y)
    below = "".join(f"V{y(point.low):.1f}H{x(point.spent):.1f}" for point in reversed(known[:-1]))
    return Markup('<path class="band" style="{}" d="M{}{}Z"/>').format(course.fill, above, below)


def _steps(known: list[tuple[float, float]], x: Callable[[float], float], y: Callable[[float], float]) -> str:
    """It stays until something better is found."""
    first, *rest = known
    words = [f"{x(first[0]):.1f} {y(first[1]):.1f}"]
    height = words[0].split()[1]
    for spent, gap in rest:
        lower = f"{y(gap):.1f}"
        if lower != height:
            words.append(f"H{x(spent):.1f}V{lower}")
            height = lower
    return "".join([*words, f"H{x(known[-1][0]):.1f}"])


def _frame(x: Callable[[float], float], y: Callable[[float], float], chart: Chart) -> Markup:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = [Markup('<path class="frame" d="M{0} {1}V{2}H{3}"/>').format(_LEFT, _TOP, bottom, right)]
    for gap, word in _MARKS:
        parts.append(
            Markup(
                '<path class="grid" d="M{0} {1:.1f}H{2}"/>'
                '<text x="{3}" y="{4:.1f}" text-anchor="end">{5}</text>'
            ).format(_LEFT, y(gap), right, _LEFT - 6, y(gap) + 4, word)
        )
    for step in _STEPS:
        if step <= chart.budget:
            parts.append(
                Markup(
                    '<path class="grid" d="M{0:.1f} {1}V{2}"/>'
                    '<text x="{0:.1f}" y="{3}" text-anchor="middle">{4:g}</text>'
                ).format(x(step), _TOP, bottom, bottom + 15, step)
            )
    unit = "" if math.isnan(chart.flops) else f" (one is {wording.flops(chart.flops)} FLOPs)"
    parts.append(
        Markup('<text class="axis" x="{:.0f}" y="{}" text-anchor="middle">{}</text>').format(
            (_LEFT + right) / 2, bottom + 34, f"spent, in runs at the target{unit}"
        )
    )
    return Markup("").join(parts)


def _gap_in_words(gap: float) -> str:
    return wording.percent(gap) if math.isfinite(gap) else "no run at the target"
