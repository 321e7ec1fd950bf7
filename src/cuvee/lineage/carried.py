"""Carried: what a trained run is worth after its sources were split, merged or dropped.

A run reads each of its sources uniformly: a part of a split with n_j of the n tokens of the whole was read
with the share w n_j / n, and a merged source with the sum of its members' shares. A run on the new sources
would read every piece of such a sum in proportion to its tokens; half the sum of absolute differences is
``moved``: the share of tokens that the two runs read from different text. Which runs are what:

exact        nothing was done to the sources of the run; or they were split, and it is a run of the parts in
             proportion to their tokens (in expectation over the order of the text); or they were merged, and
             it read them in that proportion.
approximate  merged sources were read in another proportion. No run of the new sources, and no evidence.
left out     it has a share of text that is in no source of the pool. Renormalising would invent a run.

Metrics are untouched and keep their names.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from cuvee.errors import ConfigError
from cuvee.lineage.descent import Descent, Step
from cuvee.mixture.mixture import Mixture
from cuvee.quantities import counted

Fate = Literal["exact", "approximate", "left out"]

TOLERANCE = 1e-6
"""Share of the tokens that an exact run may have read from other text; rounding stays far below."""

_REASONS_NAMED = 8


@dataclass(frozen=True)
class Carried:
    """What became of one run. Made by ``carry``."""

    fate: Fate
    mixture: Mixture | None
    """Over the sources of the pool; None where the run is left out."""
    moved: float
    """Share of its tokens that a run on the new sources would read from other text; NaN where left out."""
    reason: str = ""
    """Why it is not exact: what the run did, without a subject."""


def carry(mixture: Mixture, descent: Descent, tokens: Mapping[str, int], pool: Collection[str]) -> Carried:
    """What a run on ``mixture`` is over the sources of the pool.

    Args:
        mixture: over sources of the study at any time.
        descent: which sources were made from which.
        tokens: of the text of each source that such a run reads from.
        pool: the sources that may be in the mixture now.

    Raises:
        ConfigError: the parts of a source do not have its tokens together.
    """
    text = _TextRead.of(mixture)
    for step in descent.steps:
        if any(name in text.pieces for name in step.before) and not text.follow(step, tokens):
            return _left_out(f"read {_quoted(step.before)}, which was merged first and then divided")
    gone = [name for name in text.pieces if name not in pool and text.share(name) > 0.0]
    if gone:
        return _left_out(f"read {_quoted(gone)}, which may not be in the mixture any more")
    moved = sum(text.moved(name, tokens) for name in text.pieces)
    found = Mixture.of({name: text.share(name) for name in pool})
    if moved <= TOLERANCE:
        return Carried("exact", found, moved)
    merged = [name for name in text.pieces if text.moved(name, tokens) > 0.0]
    why = f"read what is now {_quoted(merged)} in another proportion than its tokens"
    return Carried("approximate", found, moved, why)


def statement(runs: Iterable[Carried]) -> list[str]:
    """How many runs are what, and why, in sentences."""
    runs = list(runs)
    if not runs:
        return ["No mixture has been trained yet."]
    counts = Counter(one.fate for one in runs)
    exact = counts["exact"]
    lines = [
        f"Of {counted(len(runs), 'trained mixture')}, {exact} {'is' if exact == 1 else 'are'} exact over the "
        f"new sources, {counts['approximate']} approximate (no evidence) and {counts['left out']} left out."
    ]
    reasons = Counter((one.fate, one.reason) for one in runs if one.reason)
    most = reasons.most_common(_REASONS_NAMED)
    lines += [f"{count} {fate}: {'it' if count == 1 else 'they'} {reason}." for (fate, reason), count in most]
    if rest := reasons.total() - sum(count for _, count in most):
        lines.append(f"{rest} more for such reasons about other sources.")
    return lines


def statement_on_references(kept: int, carried: int, new: int) -> str:
    """What becomes of the references, in a sentence.

    Args:
        kept: those that go on to judge the proxies.
        carried: how many of them are now runs of other sources.
        new: those that must be trained.
    """
    now = ""
    if carried:
        now = ", as" if carried == kept == 1 else f", {carried} of them as"
        now += " a run of the new sources" if carried == 1 else " runs of the new sources"
    stay = "stays" if kept == 1 else "stay"
    trained = "1 new reference must be trained" if new == 1 else f"{new} new ones must be trained"
    return f"{counted(kept, 'reference')} {stay}{now}; {trained}."


@dataclass
class _TextRead:
    """The text that a run read, in pieces, while the steps are followed."""

    pieces: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Source that is there -> its pieces, each called by the source that it was alone."""
    read: dict[str, float] = field(default_factory=dict)
    """Share of the run's tokens that were read from each piece."""

    @classmethod
    def of(cls, mixture: Mixture) -> "_TextRead":
        shares = {name: mixture.share(name) for name in mixture.support}
        return cls({name: (name,) for name in shares}, shares)

    def follow(self, step: Step, tokens: Mapping[str, int]) -> bool:
        """Take a step; False where nobody knows how much of each part was read."""
        for name in step.before:
            self.pieces.setdefault(name, (name,))
            self.read.setdefault(name, 0.0)
        pieces = tuple(piece for name in step.before for piece in self.pieces.pop(name))
        if not step.is_split:
            self.pieces[step.after[0]] = pieces
            return True
        if len(pieces) > 1:
            return False
        self._split(step, tokens)
        return True

    def _split(self, step: Step, tokens: Mapping[str, int]) -> None:
        (whole,) = step.before
        total = sum(tokens[part] for part in step.after)
        if total != tokens[whole]:
            raise ConfigError(
                f"the parts of source {whole!r} ({_quoted(step.after)}) have {total} tokens together, and it"
                f" has {tokens[whole]}; every document belongs to one part, and a part of very few documents"
                " may be divided otherwise than the whole"
            )
        share = self.read.pop(whole)
        for part in step.after:
            self.pieces[part] = (part,)
            self.read[part] = share * tokens[part] / total

    def share(self, name: str) -> float:
        return math.fsum(self.read[piece] for piece in self.pieces.get(name, ()))

    def moved(self, name: str, tokens: Mapping[str, int]) -> float:
        """Half the difference between what was read of each piece of a source and what would be."""
        pieces, share = self.pieces[name], self.share(name)
        if len(pieces) == 1:
            return 0.0
        total = sum(tokens[piece] for piece in pieces)
        return 0.5 * sum(abs(self.read[piece] - share * tokens[piece] / total) for piece in pieces)


def _left_out(reason: str) -> Carried:
    return Carried("left out", None, float("nan"), reason)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
