"""Laws fitted to a table and judged on folds of it, one piece of work a law and fold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import numpy as np

from cuvee.execution.interface import Executor, Report
from cuvee.flows.fit.price import in_words, price_of
from cuvee.laws.ensemble import LawEnsemble, combine
from cuvee.laws.hierarchical import HierarchicalFit
from cuvee.laws.interface import FittedLaw, LawData, Refittable
from cuvee.laws.registry import law_named
from cuvee.laws.validation import HeldOut, Validated, folds, without
from cuvee.progress import Progress
from cuvee.quantities import counted
from cuvee.runs.formats.part import listed
from cuvee.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Fitted:
    """Every law asked for, and a sentence on those that were not worth their price."""

    held_out: dict[str, HeldOut]
    """What each law said of runs it had not seen."""
    notes: tuple[str, ...]
    whole: dict[str, FittedLaw]
    """Fits to all runs; a law that is missing is fitted when it is asked for."""
    data: LawData
    seed: int

    def validated(self, name: str) -> Validated:
        """A law with what it said of runs it had not seen. Cost: a fit, where there is none yet."""
        law = law_named(name)
        if isinstance(law, LawEnsemble):
            return combine([self.validated(member.name) for member in law.members])
        fitted = self.whole[name] if name in self.whole else law.fit(self.data, self.seed)
        return Validated(fitted, self.held_out[name])


def fitted_laws(
    data: LawData,
    wanted: str,
    compared: Sequence[str],
    seed: int,
    executor: Executor,
    progress: Progress,
    known: Mapping[str, HeldOut] = MappingProxyType({}),
) -> Fitted:
    """Fit and cross-validate laws; an ensemble is made of its members, which stand beside it.

    Args:
        data: the runs.
        wanted: a law that is fitted whatever it costs.
        compared: laws that stand beside it.
        seed: of folds and laws.
        executor: where; it changes no number.
        progress: where the price is reported first, then every law and fold.
        known: what laws said of these runs before; they are not validated again.
    """
    fold = folds(len(data), seed)
    count = int(fold.max()) + 1
    names, left_out = _affordable(data, wanted, compared, count)
    if all(name in known for name in names):
        return Fitted({name: known[name] for name in names}, left_out, {}, data, seed)
    single = [name for name in names if not isinstance(law_named(name), LawEnsemble)]
    seconds = sum(price_of(law_named(name), data, count).seconds for name in single)
    progress.message(
        f"{counted(len(single), 'law')}, {counted(len(data), 'run')} of "
        f"{counted(len(data.sources), 'source')} and "
        f"{counted(len(data.metrics), 'metric')}: about {in_words(seconds)} of one core"
    )
    progress.stage("fitting laws", len(single) * (1 + count), "fits")
    whole: dict[str, FittedLaw] = {}
    for index, one in executor.map(partial(_whole, data, seed), single):
        whole[single[index]] = one
        progress.advance(1, single[index])
    found = _folded(data, whole, fold, seed, executor, progress)
    fitted = Fitted(found, left_out, whole, data, seed)
    together = {n: fitted.validated(n).held_out for n in names if isinstance(law_named(n), LawEnsemble)}
    return replace(fitted, held_out={name: (found | together)[name] for name in names})


def _affordable(
    data: LawData, wanted: str, compared: Sequence[str], count: int
) -> tuple[list[str], tuple[str, ...]]:
    """Names of laws, members before their ensemble, and what is to be said of those left out."""
    names: dict[str, None] = {}
    slow: dict[str, float] = {}
    for name in (*compared, wanted):
        law = law_named(name)
        parts = [member.name for member in law.members] if isinstance(law, LawEnsemble) else [name]
        prices = {part: price_of(law_named(part), data, count) for part in parts}
        if name != wanted and any(price.much for part, price in prices.items() if part != wanted):
            slow[name] = max(price.seconds for price in prices.values())
            continue
        names |= dict.fromkeys((*parts, name))
    if not slow:
        return list(names), ()
    return list(names), (
        f"Not compared, as they are slow on this table: {listed(list(slow), 6)} (the slowest takes about "
        f"{in_words(max(slow.values()))} of one core). Name one with --law to have it.",
    )


def _folded(
    data: LawData,
    whole: dict[str, FittedLaw],
    fold: IntArray,
    seed: int,
    executor: Executor,
    progress: Progress,
) -> dict[str, HeldOut]:
    near = {name: _light(one) for name, one in whole.items() if isinstance(law_named(name), Refittable)}
    pieces = [(name, index) for name in whole for index in range(int(fold.max()) + 1)]
    blank = {name: (np.empty(data.costs.shape), np.empty(data.costs.shape)) for name in whole}
    for place, (mean, spread) in executor.map(partial(_without, data, near, fold, seed), pieces):
        name, index = pieces[place]
        blank[name][0][fold == index], blank[name][1][fold == index] = mean, spread
        progress.advance(1, f"{name}, fold {index + 1}")
    return {name: HeldOut(*blank[name], data.costs, fold) for name in whole}


def _light(fitted: FittedLaw) -> FittedLaw:
    """Without what no refit looks at, to be sent to other processes."""
    if isinstance(fitted, HierarchicalFit):
        return replace(fitted, curvature=fitted.curvature[:, :0, :0])
    return fitted


def _whole(data: LawData, seed: int, name: str, report: Report) -> FittedLaw:
    return law_named(name).fit(data, seed)


def _without(
    data: LawData,
    near: dict[str, FittedLaw],
    fold: IntArray,
    seed: int,
    piece: tuple[str, int],
    report: Report,
) -> tuple[FloatArray, FloatArray]:
    name, index = piece
    return without(law_named(name), data, fold, near.get(name), seed, index, report)
