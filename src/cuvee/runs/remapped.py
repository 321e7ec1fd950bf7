"""Remapped: the runs over the old sources as runs over the new ones (floor 3).

With n_i tokens in old source i, m_j in new source j and o_ij in both, a row of shares w_i gives

    v_j = sum_i w_i o_ij / n_i

and the old run read an overlap with the share w_i o_ij / n_i, where a run on the new sources reads it with
v_j o_ij / m_j. Half the sum of absolute differences (and of what the new sources hold beyond the old) is
``moved``: the share of tokens that the two runs read from different text. Which rows are what:

exact        every source with a share is there with the same content, under any name: nothing was done to
             what the run is about, so this holds for runs, merges and ensembles alike, to the bit. Or the run
             read its sources uniformly, and ``moved`` is zero: a split source was drawn from all over, so
             that its parts were read in proportion to their tokens (in expectation over the order of the
             text); merged sources were read in proportion to theirs, which is one uniform draw.
approximate  all text is still there, but it was read in another proportion than the new sources have; or
             the row is a merge or an ensemble of models of a source that was cut anew (the new pool has
             other members, and a merge of their models is another model); or it read a slice of one.
left out     it has a share of text that is in no new source. Renormalising would invent a run.

Metrics are untouched and keep their names: an evaluation named after a source is of the text it was.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cuvee.errors import ConfigError
from cuvee.runs.catalogue import Catalogue
from cuvee.runs.lineage import Lineage, trace
from cuvee.runs.observations import Observations
from cuvee.runs.roles import PARTS
from cuvee.runs.source_changes import Change
from cuvee.types import BoolArray, FloatArray

Fate = Literal["exact", "approximate", "left out"]

TOLERANCE = 1e-6
"""Share of the tokens that an exact row may have read from other text; rounding stays far below."""

_TOKEN_KINDS = ("trained", "imported")
"""Rows whose shares are of tokens that one model read."""

_REASONS_TOLD = 8
_NAMES_TOLD = 6


@dataclass(frozen=True, eq=False)
class Remapped:
    """What became of the runs when the sources changed. Made by ``apply``."""

    lineage: Lineage
    """The old and the new catalogue."""
    observations: Observations
    """The exact rows over the sources of the new catalogue, in their order."""
    approximate: Observations
    """The approximate rows; a prior or a starting point, not evidence."""
    fates: tuple[Fate, ...]
    """What became of each old row [R]."""
    reasons: tuple[str, ...]
    """Why an old row [R] is not exact; empty where it is."""
    moved: FloatArray
    """Share [R] of its tokens that a run on the new sources would read from other text, read-only; NaN
    where the row is left out."""

    @property
    def statement(self) -> str:
        """What was kept, what was not and why, in sentences."""
        counts = Counter(self.fates)
        lines = [
            f"Of {len(self.fates)} runs: {counts['exact']} exact over the new sources,"
            f" {counts['approximate']} approximate, {counts['left out']} left out."
        ]
        same = self.lineage.same
        lines += [f"Source {old!r} is now called {new!r}." for old, new in same.items() if old != new]
        lines += [
            f"Source {name!r} has other text than the runs under this name read: it counts as another source."
            for name in self.lineage.before.names
            if name in self.lineage.after.names and same.get(name) != name
        ]
        told = Counter(zip(self.fates, self.reasons, strict=True))
        del told["exact", ""]
        most = told.most_common(_REASONS_TOLD)
        lines += [f"{count} {fate}: {reason}." for (fate, reason), count in most]
        if rest := sum(told.values()) - sum(count for _, count in most):
            lines.append(f"{rest} more for the like reasons about other sources.")
        return "\n".join(lines)


def apply(
    changes: Change | Iterable[Change],
    observations: Observations,
    catalogue: Catalogue,
    *,
    uniform: BoolArray | None = None,
    tolerance: float = TOLERANCE,
) -> Remapped:
    """Carry observations over to the sources after the changes.

    Args:
        changes: one change or several, in order; ``changes_between`` finds drops, additions and renames.
        observations: runs over old sources.
        catalogue: the sources as these runs read them. Sources without a column have share zero.
        uniform: rows [R] that read each source uniformly from all of its text. By default trained and
            imported ones, without those whose role says that they read a slice (seed, branch, snapshot).
            Merges and ensembles read nothing: for them it must be false.
        tolerance: largest ``moved`` of an exact row. Raise it for tables of rounded shares.

    Raises:
        ConfigError: observations of a source that the catalogue does not know, or changes that cannot be
            (see ``trace``).

    Cost: O(R S) and the overlaps.
    """
    lineage = trace(changes, catalogue)
    if unknown := [name for name in observations.sources if name not in catalogue.names]:
        raise ConfigError(
            f"the observations have source {unknown[0]!r}, which is not in the catalogue; it has:"
            f" {', '.join(catalogue.names)}"
        )
    rows = [catalogue.names.index(name) for name in observations.sources]
    overlap = lineage.overlap[rows].astype(np.float64)
    old = np.array([catalogue.sources[row].tokens for row in rows], dtype=np.float64)
    new = np.array([source.tokens for source in lineage.after.sources], dtype=np.float64)
    shares = observations.shares
    mapped = shares @ (overlap / old[:, np.newaxis])

    moved = _moved(shares, mapped, overlap, old, new)
    gone = overlap.sum(axis=1) < old
    same = lineage.same
    recut = np.array([name not in same for name in observations.sources], dtype=np.bool_)
    taken = shares > 0.0
    lost: BoolArray = np.any(taken & gone, axis=1)
    touched: BoolArray = np.any(taken & recut, axis=1)
    whole = _uniform(observations, uniform)
    exact: BoolArray = ~lost & (~touched | (whole & (moved <= tolerance)))
    moved[lost] = np.nan
    moved.setflags(write=False)

    fates: list[Fate] = []
    reasons: list[str] = []
    for row in range(len(observations)):
        fates.append("left out" if lost[row] else "exact" if exact[row] else "approximate")
        cause = gone if lost[row] else recut
        names = _listed(np.array(observations.sources, dtype=object)[cause & taken[row]])
        if exact[row]:
            reasons.append("")
        elif lost[row]:
            reasons.append(f"they read {names}, of which not all text is there any more")
        elif observations.kind[row] not in _TOKEN_KINDS:
            reasons.append(f"they combine models of {names}, which was cut or merged anew")
        elif not whole[row]:
            reasons.append(f"they did not read all of {names}, which was cut or merged anew")
        else:
            reasons.append(f"they read {names} in another proportion than the new sources have")

    def over_new(chosen: BoolArray) -> Observations:
        kept = observations.select(chosen)
        return replace(kept, sources=lineage.after.names, shares=mapped[chosen])

    approximate = over_new(~lost & ~exact)
    return Remapped(lineage, over_new(exact), approximate, tuple(fates), tuple(reasons), moved)


def _moved(
    shares: FloatArray, mapped: FloatArray, overlap: FloatArray, old: FloatArray, new: FloatArray
) -> FloatArray:
    """Half the absolute differences [R] between what was read of each overlap and what would be."""
    result = np.zeros(len(shares))
    for column, size in enumerate(new):
        parts = np.flatnonzero(overlap[:, column])
        common = overlap[parts, column]
        was = shares[:, parts] * (common / old[parts])
        would = mapped[:, [column]] * (common / size)
        fresh = mapped[:, column] * ((size - common.sum()) / size)
        result += 0.5 * (np.abs(was - would).sum(axis=1) + fresh)
    return result


def _uniform(observations: Observations, given: BoolArray | None) -> BoolArray:
    reads = np.array([kind in _TOKEN_KINDS for kind in observations.kind], dtype=np.bool_)
    if given is None:
        return reads & np.array([role not in PARTS for role in observations.role], dtype=np.bool_)
    given = np.asarray(given)
    if given.dtype != np.bool_ or given.shape != reads.shape:
        raise ConfigError(f"uniform must be {len(reads)} truth values, one per run; got shape {given.shape}")
    if (given & ~reads).any():
        row = int(np.argmax(given & ~reads))
        raise ConfigError(
            f"run {observations.keys[row]!r} is {observations.kind[row]}: it read no text, so that it cannot"
            " have read uniformly"
        )
    return given


def _listed(names: Iterable[str]) -> str:
    listed = [repr(name) for name in names]
    rest = len(listed) - _NAMES_TOLD
    return ", ".join(listed[:_NAMES_TOLD]) + (f" and {rest} more" if rest > 0 else "")
