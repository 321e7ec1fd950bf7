"""Numbers as words, as reports and terminals show them.

Every function takes NaN for "not measured" and answers with an en dash. Nothing here knows HTML or
Markdown; the characters used (−, –) are plain Unicode. Counts and FLOPs are worded in
``cuvee/quantities.py``, since sentences of lower layers hold them, too. Words that begin with ``plain``
stand in the tables of a terminal, in ASCII.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cuvee.decisions.ablation.order import MixtureOrder
from cuvee.decisions.ablation.result import ProxyOptimum
from cuvee.decisions.check import BaselineComparison
from cuvee.decisions.disagreement import share_words
from cuvee.decisions.interval import Interval
from cuvee.precision import Precision
from cuvee.quantities import MINUS, agreeing, counted
from cuvee.quantities import MISSING as MISSING
from cuvee.quantities import PLAIN_MISSING as PLAIN_MISSING
from cuvee.quantities import flops as flops
from cuvee.quantities import number as number
from cuvee.quantities import plain as plain
from cuvee.quantities import quantity as quantity

UNBELIEVED = "The proxy that predicts these is not known to beat what needs no proxy: take them for guesses."
"""Said beside what only a proxy says of sources, where the proxy is not believed."""
GAP = (
    "The gap is how much lower another mixture could be, to first order; of the ensemble, whose loss is "
    "convex, it is a bound."
)
"""What the gap of an optimum means."""

TASKS = (
    "On all questions. The signal is the standard deviation between really trained mixtures, the noise that "
    "by the choice of questions and by the seed; a metric whose ratio is below 1 cannot decide. Merges and "
    "ensembles: rank correlation with the trained mixtures, scored only where an accuracy can decide."
)
"""What the columns of downstream tasks mean."""

_LARGE = 1e5
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


@dataclass(frozen=True)
class Words:
    """The numbers of one metric, with the digits that count in its unit."""

    precision: Precision

    def number(self, value: float) -> str:
        """A value."""
        return self._set(value, self.precision.word(value))

    def signed(self, value: float) -> str:
        """A change."""
        return self._set(value, self.precision.signed(value))

    def _set(self, value: float, word: str) -> str:
        if not math.isfinite(value):
            return number(value)
        return word.replace("-", MINUS)


def alone(value: float) -> str:
    """Two digits of a number that is compared with none, such as a gain, in whatever unit it is."""
    return Words(Precision.alone(value)).number(value)


def signed(value: float, digits: int = 3) -> str:
    """The same with a plus sign; what rounds to zero has no sign."""
    text = number(value, digits)
    if not math.isfinite(value) or value < 0 or float(text) == 0.0:
        return text
    return "+" + text


def gap(difference: float) -> str:
    """By how much target losses of two mixtures differ."""
    return signed(difference, 4)


def noise(deviation: float) -> str:
    """How far trainings of one mixture differ."""
    if math.isnan(deviation):
        return "how much one training varies is not known: none was repeated."
    return f"one training varies by {number(deviation, 4)} nats per token (standard deviation)."


def descents(optimum: ProxyOptimum) -> str:
    """How far apart descents to an optimum ended."""
    apart = number(max(optimum.ends) - min(optimum.ends), 4)
    ended = f"{len(optimum.ends)} descents from different mixtures ended within {apart} nats of each other"
    lower = "" if math.isfinite(optimum.gap) else "; a candidate lies lower than all of them"
    return f"The loss of a {optimum.proxy} is not convex: {ended}{lower}."


def ordered(order: MixtureOrder) -> str:
    """How the order of mixtures was judged."""
    return (
        f"{counted(order.mixtures, 'reference')}, the first of the design, "
        f"{agreeing(order.mixtures, 'was', 'were')} trained again with one thing changed. "
        "Pairs count that differ beyond noise both times. One training varies by "
        f"{number(order.noise, 4)} nats per token, what a seed does to all mixtures left out; under other "
        "conditions it is taken to vary as much. Two seeds give the ceiling of rank correlations."
    )


def correlation(value: float) -> str:
    """Two digits: correlations, shares of pairs, slopes."""
    return number(value, 2)


def measured(value: float) -> str:
    """A metric of whatever size: perplexities of models that know little have many digits."""
    return number(value) if not math.isfinite(value) or abs(value) < _LARGE else f"{value:.2e}"


def interval(low: float, high: float, word: Callable[[float], str] = number) -> str:
    """``[low, high]``, or nothing where no interval is known."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"[{word(low)}, {word(high)}]"


def percent(share: float) -> str:
    """A share of one in per cent; a small one keeps two significant digits, a tiny one is said to be so."""
    if math.isnan(share):
        return MISSING
    value = 100 * share
    if 0 < value < 0.01:
        return "<0.01%"
    if 0 < value < 1:
        return f"{value:.2f}%"
    return f"{number(value, 1)}%"


def finely(share: float) -> str:
    """A share of one in per cent, to a hundredth."""
    return MISSING if math.isnan(share) else f"{share:.2%}"


def worth(one: BaselineComparison) -> str:
    """Part of its tokens that a pick needs to be where a baseline ends."""
    if math.isnan(one.tokens_needed):
        return MISSING
    side = "" if not one.bound else "at most " if one.tokens_needed < 1 else "at least "
    return side + percent(one.tokens_needed)


def epochs(value: float) -> str:
    """How often a source is read."""
    return number(value, 2 if abs(value) < 10 else 1)


def duration(seconds: float) -> str:
    """Wall time in the two units that matter."""
    if math.isnan(seconds):
        return MISSING
    if seconds < _MINUTE:
        return f"{number(seconds, 1)} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR:02d} h"


def ratio(value: float) -> str:
    """A cost over another: per cent below one, times above."""
    return f"{number(value, 1)} times" if value >= 1 else percent(value)


def effect(value: float, milli: bool) -> str:
    """A difference of losses, in thousandths where ``milli``."""
    return signed(1000 * value, 1) if milli else signed(value, 3)


def main_shares(names: Sequence[str], shares: Sequence[float], limit: int = 4) -> str:
    """The largest shares in words: ``web 41.0%, code 22.5% and 3 more``."""
    ranked = sorted(zip(names, shares, strict=True), key=lambda pair: -pair[1])
    present = [(name, share) for name, share in ranked if share > 0]
    words = ", ".join(f"{name} {percent(share)}" for name, share in present[:limit])
    return words if len(present) <= limit else f"{words} and {len(present) - limit} more"


def plain_percent(share: float, digits: int = 1) -> str:
    """A share of one in per cent."""
    return PLAIN_MISSING if math.isnan(share) else f"{share:.{digits}%}"


def plain_ends(low: float, high: float, word: Callable[[float], str] = plain) -> str:
    """``2.31 to 2.33``; a hyphen where no interval is known."""
    return PLAIN_MISSING if math.isnan(low) or math.isnan(high) else f"{word(low)} to {word(high)}"


def plain_loss(loss: float) -> str:
    """A target loss, which differs among mixtures from the second digit on."""
    return plain(loss, 4)


def plain_share(share: Interval) -> str:
    """A share with its interval in one cell; a hyphen where an answer does not have the source."""
    return PLAIN_MISSING if math.isnan(share.mean) else share_words(share)


def interval_of(level: float) -> str:
    """The head of a column of intervals: ``80% interval``."""
    return f"{level:.0%} interval"
