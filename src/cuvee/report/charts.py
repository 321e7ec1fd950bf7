"""Inline SVG, drawn by hand.

Bars and strips place things in per cent of their width, so that they stretch with the page while
their marks keep their form; the scatter plot and the mosaic have a ``viewBox``. Colours are CSS classes
of ``page.css``, so that one drawing serves light, dark and paper. Every text goes through
``markupsafe``: what comes from a study is escaped. Tooltips are ``<title>`` elements, read aloud too.
"""

import math
from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup

from cuvee.precision import Precision
from cuvee.quantities import counted
from cuvee.report import wording
from cuvee.report.value_view import SourceLine
from cuvee.report.view import Cell, LossRow, MixtureRow, Panel

_DEFINITIONS = Markup(
    '<circle id="m-pick" r="4.5"/><circle id="m-uniform" r="3.5"/>'
    '<path id="m-proportional" d="M0-4.6 4.6 0 0 4.6-4.6 0z"/>'
    '<path id="m-reference" d="M-3.6-3.6h7.2v7.2h-7.2z"/>'
    '<path id="m-cap" d="M0-10v20"/>'
    '<pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="2.5" height="5" class="bar"/></pattern>'
)
BASELINES = ("uniform", "proportional")
"""What baselines are called where a decision names them so."""
_STEPS = (0.06, 0.25, 0.5, 0.75)
"""Where the four strengths of colour begin, as parts of a heat map's scale."""


def definitions() -> Markup:
    """The marks and the pattern that other drawings point to; a page holds them once."""
    return Markup('<svg class="defs" aria-hidden="true"><defs>{}</defs></svg>').format(_DEFINITIONS)


def mark(name: str) -> Markup:
    """A mark by itself, for legends."""
    return Markup(
        '<svg class="key" viewBox="-7 -7 14 14" aria-hidden="true"><use href="#m-{}"/></svg>'
    ).format(name)


def axis_top(mixture: Sequence[MixtureRow]) -> float:
    """The right end of the share axis: a round number that all bars and intervals fit under."""
    values = [v for row in mixture for v in (row.share, row.high, row.uniform, row.proportional)]
    largest = max((v for v in values if math.isfinite(v)), default=1.0)
    step = _nice_step(largest, 4)
    return min(1.0, step * math.ceil(largest / step - 1e-9))


def share_axis(top: float) -> Markup:
    """The ruler above the share bars."""
    step = _nice_step(top, 4)
    parts = []
    for i in range(int(top / step + 1e-9) + 1):
        at = 100 * i * step / top
        anchor = "start" if i == 0 else "end" if at > 99 else "middle"
        text = f"{100 * i * step:.3g}%"
        # On a narrow screen every other label is left out.
        css = Markup(' class="odd"') if i % 2 else ""
        parts.append(
            Markup('<text{} x="{}%" y="11" text-anchor="{}">{}</text>').format(css, _r(at), anchor, text)
        )
    return Markup('<svg class="ruler" role="presentation">{}</svg>').format(_join(parts))


def share_bar(row: MixtureRow, top: float, names: tuple[str, str] = BASELINES) -> Markup:
    """One source's share with its interval, and where the baselines of these names and the cap would be."""
    words = f"{row.source}: {wording.percent(row.share)}"
    if not math.isnan(row.low):
        words += f" {wording.interval(row.low, row.high, wording.percent)}"
    places = (("uniform", row.uniform), ("proportional", row.proportional), ("cap", row.share_cap))
    called = zip((*names, "cap"), (at for _, at in places), strict=True)
    beside = [f"{name} {wording.percent(at)}" for name, at in called if not math.isnan(at)]
    words += f"; {', '.join(beside)}" if beside else ""
    parts = [
        Markup('<rect class="bar{}" y="6" height="14" rx="2" width="{}%"/>').format(
            " capped" if row.cap_hit else "", _r(100 * row.share / top)
        )
    ]
    if not math.isnan(row.low) and not math.isnan(row.high):
        parts.append(_whisker(100 * row.low / top, 100 * row.high / top, "whisker"))
    parts += [_placed(name, 100 * at / top) for name, at in places if at <= top]
    return _row(words, parts)


def value_line(line: SourceLine, word: Callable[[float], str]) -> Markup:
    """The value of a source with its interval, among the values of all sources."""
    value = line.row.value
    words = f"{line.row.source}: {word(value.mean)}"
    parts = []
    if line.sure and not math.isnan(line.low) and not math.isnan(line.high):
        words += f" {wording.interval(value.low, value.high, word)}"
        parts.append(_whisker(100 * line.low, 100 * line.high, "whisker"))
    if not math.isnan(line.mean):
        parts.append(_placed("uniform", 100 * line.mean))
    return _row(words, parts)


def loss_strip(
    row: LossRow, word: Callable[[float], str] = wording.number, names: tuple[str, str] = BASELINES
) -> Markup:
    """The pick's predicted loss and interval beside its competitors, on the row's own scale."""
    p = row.prediction
    marks = (("uniform", p.uniform), ("proportional", p.proportional), ("reference", p.best_reference))
    values = [p.pick.mean, p.pick.low, p.pick.high, *(loss.mean for _, loss in marks)]
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return Markup("")
    low, span = min(known), (max(known) - min(known)) or 1.0

    def place(value: float) -> float:
        return 4 + 92 * (value - low) / span

    parts = [Markup('<line class="rail" x1="0" x2="100%" y1="13" y2="13"/>')]
    if math.isfinite(p.pick.low) and math.isfinite(p.pick.high):
        parts.append(_whisker(place(p.pick.low), place(p.pick.high), "whisker strong"))
    parts += [_placed(name, place(loss.mean)) for name, loss in marks if math.isfinite(loss.mean)]
    if math.isfinite(p.pick.mean):
        parts.append(_placed("pick", place(p.pick.mean)))
    called = zip(("pick", *names, "reference"), (p.pick, *(loss for _, loss in marks)), strict=True)
    words = ", ".join(f"{name} {word(loss.mean)}" for name, loss in called)
    return _row(f"{row.label}: {words}", parts)


def spark_shares(sources: Sequence[str], shares: Sequence[float]) -> Markup:
    """A mixture as tiny columns in the order of the mixture table."""
    pitch, height = 7, 26
    top = max((*shares, 1e-12))
    columns = [
        Markup('<rect x="{}" y="{}" width="5" height="{}"/>').format(
            pitch * i, _r(height - max(1.0, height * share / top)), _r(max(1.0, height * share / top))
        )
        for i, share in enumerate(shares)
    ]
    return Markup(
        '<svg class="spark" role="img" width="{0}" height="{1}" viewBox="0 0 {0} {1}">'
        "<title>{2}</title>{3}</svg>"
    ).format(pitch * len(shares), height, wording.main_shares(sources, shares, len(shares)), _join(columns))


def scatter(panel: Panel, word: Callable[[float], str] = wording.number) -> Markup:
    """Truth (upwards) against one proxy (to the right), with the identity line where axes agree."""
    points = panel.points
    xs, ys = [p.predicted for p in points], [p.truth for p in points]
    x_range = _padded(xs + ys if panel.same_axis else xs)
    y_range = x_range if panel.same_axis else _padded(ys)
    size, left, top = 240.0, 48.0, 8.0

    def px(value: float) -> float:
        return left + size * (value - x_range[0]) / (x_range[1] - x_range[0])

    def py(value: float) -> float:
        return top + size * (1 - (value - y_range[0]) / (y_range[1] - y_range[0]))

    bottom, right = top + size, left + size
    parts = [Markup('<path class="frame" d="M{0} {1}V{2}H{3}"/>').format(left, top, bottom, right)]
    for tick, text in _ticks(*x_range):
        parts.append(
            Markup(
                '<path class="grid" d="M{0} {1}V{2}"/><text x="{0}" y="{3}" text-anchor="middle">{4}</text>'
            ).format(_r(px(tick)), top, bottom, bottom + 15, text)
        )
    for tick, text in _ticks(*y_range):
        parts.append(
            Markup(
                '<path class="grid" d="M{0} {1}H{2}"/><text x="{3}" y="{4}" text-anchor="end">{5}</text>'
            ).format(left, _r(py(tick)), right, left - 6, _r(py(tick) + 3.5), text)
        )
    if panel.same_axis:
        parts.append(Markup('<path class="identity" d="M{} {}L{} {}"/>').format(left, bottom, right, top))
    best, favourite = min(points, key=lambda p: p.truth), min(points, key=lambda p: p.predicted)
    for point in sorted(points, key=lambda p: (p is best, p is favourite)):
        words = f"{point.name}: trained {word(point.truth)}, predicted {word(point.predicted)}"
        parts.append(_dot(words, px(point.predicted), py(point.truth), point is best, point is favourite))
    parts.append(
        Markup('<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            left + size / 2, bottom + 32, "predicted" if panel.same_axis else "score (its own scale)"
        )
    )
    parts.append(
        Markup(
            '<text class="axis" transform="translate(11 {}) rotate(-90)" text-anchor="middle">trained</text>'
        ).format(top + size / 2)
    )
    return Markup('<svg class="scatter {}" role="img" viewBox="0 0 300 284" aria-label="{}">{}</svg>').format(
        panel.role,
        f"{panel.proxy}: trained against predicted target loss, {counted(len(points), 'mixture')}",
        _join(parts),
    )


def heat_class(cell: Cell | None, scale: float) -> str:
    """The CSS class of a heat map's cell: ``n1``-``n4`` lowers the loss, ``p1``-``p4`` raises it.

    ``z`` is near zero, ``u`` holds zero in its interval, ``x`` was not measured.
    """
    if cell is None or math.isnan(cell.value):
        return "x"
    if cell.muted:
        return "u"
    strength = sum(abs(cell.value) >= step * scale for step in _STEPS)
    return "z" if strength == 0 else f"{'n' if cell.value < 0 else 'p'}{strength}"


def cosine_class(cosine: float) -> str:
    """The CSS class of a cosine between two deltas: the nearer the directions, the stronger."""
    if math.isnan(cosine):
        return "x"
    strength = sum(abs(cosine) >= step for step in (0.1, 0.25, 0.5, 0.75))
    return "z" if strength == 0 else f"{'c' if cosine > 0 else 'p'}{strength}"


def mosaic(members: Sequence[str], cosines: Sequence[Sequence[float]]) -> Markup:
    """A large matrix of cosines, lower triangle, as thick strokes over runs of equal colour."""
    cell, gutter = 9, 150
    runs: dict[str, list[str]] = {}
    labels = []
    for i, name in enumerate(members):
        short = name if len(name) <= 24 else name[:23] + "…"
        labels.append(
            Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(
                gutter - 5, cell * i + 7.5, short
            )
        )
        start = 0
        classes = [cosine_class(value) for value in cosines[i][: i + 1]]
        for j in range(1, i + 2):
            if j > i or classes[j] != classes[start]:
                run = f"M{gutter + cell * start} {cell * i + 4.5}h{cell * (j - start)}"
                runs.setdefault(classes[start], []).append(run)
                start = j
    paths = [Markup('<path class="{}" d="{}"/>').format(name, "".join(d)) for name, d in sorted(runs.items())]
    extent = cell * len(members)
    return Markup(
        '<svg class="mosaic" role="img" width="{0}" height="{1}" viewBox="0 0 {0} {1}" '
        'aria-label="Cosines between the deltas of {2} pool members">{3}{4}</svg>'
    ).format(gutter + extent, extent, len(members), _join(paths), _join(labels))


def part_bar(part: float) -> Markup:
    """A plain bar for a part of one."""
    width = _r(100 * min(1.0, max(0.0, part)) if math.isfinite(part) else 0.0)
    return Markup(
        '<svg class="part" aria-hidden="true"><rect class="bar" y="3" height="8" rx="2" width="{}%"/></svg>'
    ).format(width)


def _row(words: str, parts: Iterable[Markup]) -> Markup:
    return Markup('<svg class="row" role="img"><title>{}</title>{}</svg>').format(words, _join(parts))


def _placed(name: str, at: float) -> Markup:
    return Markup('<use href="#m-{}" x="{}%" y="13"/>').format(name, _r(at))


def _whisker(low: float, high: float, css: str) -> Markup:
    return Markup('<line class="{}" x1="{}%" x2="{}%" y1="13" y2="13"/>').format(
        css, _r(max(0.0, low)), _r(min(100.0, high))
    )


def _dot(words: str, x: float, y: float, best: bool, favourite: bool) -> Markup:
    notes = ["truly best"] if best else []
    notes += ["this proxy's favourite"] if favourite else []
    words += f" ({' and '.join(notes)})" if notes else ""
    ring = Markup('<circle class="ring" cx="{}" cy="{}" r="8"/>').format(_r(x), _r(y)) if best else Markup("")
    return ring + Markup('<circle{} cx="{}" cy="{}" r="{}"><title>{}</title></circle>').format(
        Markup(' class="favourite"') if favourite else "", _r(x, 1), _r(y, 1), 5 if favourite else 4, words
    )


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = 0.07 * (high - low) or 0.05 * abs(high) or 1.0
    return low - pad, high + pad


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    step = _nice_step(high - low, 4)
    places = range(math.floor(math.log10(step)) - 1, 1000)
    exact = next(d for d in reversed(places[:3]) if math.isclose(round(step, -d), step, rel_tol=1e-6))
    words = wording.Words(Precision(exact, max(abs(low), abs(high)) < 1e-3))
    first, last = math.ceil(low / step), math.floor(high / step)
    return [(i * step, words.number(i * step)) for i in range(first, last + 1)]


def _nice_step(span: float, count: int) -> float:
    """1, 2, 2.5 or 5 times a power of ten, about ``span / count``."""
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    return next(
        (step * power for step in (1.0, 2.0, 2.5, 5.0) if step * power >= raw * (1 - 1e-9)), 10 * power
    )


def _join(parts: Iterable[Markup]) -> Markup:
    return Markup("").join(parts)


def _r(value: float, digits: int = 2) -> str:
    """A coordinate, no finer than a screen shows."""
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")
