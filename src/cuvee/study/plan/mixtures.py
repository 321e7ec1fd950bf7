"""Which mixtures a study looks at: candidates for the proxies, references to train on.

References are written down once chosen (``references.json``): a source that is added later must not
change what has been trained already.
"""

import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.decisions.check import EQUAL, PROPORTIONAL
from cuvee.errors import ConfigError
from cuvee.files import write_json
from cuvee.hashing import digest
from cuvee.lineage.carried import Carried, carry
from cuvee.lineage.evidence_gap import is_outside
from cuvee.mixture import designs
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.seal import read_sealed, write_sealed
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder

_ROUNDING = 1e-6
"""Shares that differ by less are the same."""
_ALIKE = 1e-3
"""Share of the tokens by which two baselines may differ and still count as one."""
_DRAWS = 20
"""How many times as many mixtures are drawn as needed, where a region may refuse some."""


def check_sources(config: StudyConfig) -> None:
    """Refuse a study in which there is nothing to decide; to be asked before any text is read.

    Raises:
        ConfigError: there is one source alone.
    """
    if len(config.pool_sources) < 2:
        raise ConfigError("sources: one alone leaves nothing to decide; name a second")


def region_of(config: StudyConfig, available: dict[str, int]) -> Region:
    """Where the decision may lie: bounds, fixed ratios, and epoch caps of the target run.

    Args:
        available: tokens of each source of the pool at the target run.

    Raises:
        InfeasibleRegion: no mixture keeps all of them.
    """
    names = config.pool_sources
    region = Region.bounded(names, minimum=config.limits.minimum, maximum=config.limits.maximum)
    for ratio in config.limits.ratios:
        region = region.with_ratio(ratio)
    if config.target_run.tokens is not None:
        region = region.with_epoch_caps(available, config.target_run.tokens, config.target_run.max_epochs)
    return region


def candidates(config: StudyConfig, region: Region, available: dict[str, int]) -> list[Mixture]:
    """The mixtures that only proxies score; uniform, proportional and ablations of uniform first."""
    names = config.pool_sources
    uniform = Mixture.uniform(names)
    first = [uniform, *baselines(region, available)]
    if len(names) > 1:
        first += [*designs.leave_one_out(uniform), *designs.doubled(uniform)]
    ablations = _distinct(mixture for mixture in first)
    count = config.candidates.count
    drawn = _design(config.candidates.design, names, region, count * 2, config.seed + 1, config.estimand)
    return _distinct([*ablations, *drawn])[: max(count, len(ablations))]


def baselines(region: Region, available: dict[str, int]) -> tuple[Mixture, Mixture]:
    """What anybody would take without looking: equal shares, and shares proportional to the tokens there
    are."""
    names = region.names
    found = Mixture.uniform(names), Mixture.proportional({name: available[name] for name in names})
    return _allowed(region, found[0]), _allowed(region, found[1])


def compared_with(pick: Mixture, region: Region, available: dict[str, int]) -> dict[str, Mixture]:
    """The baselines by name; one that differs from the pick by rounding alone is the pick.

    The pick is a mean, and a baseline may be a projection: neither meets the other to the last bit. Baselines
    that hardly differ are one: trained at one seed they end alike, and would pass for trainings that have no
    noise.
    """
    equal, proportional = baselines(region, available)
    if equal.total_variation(proportional) < _ALIKE:
        proportional = equal
    found = {EQUAL: equal, PROPORTIONAL: proportional}
    return {
        name: pick if pick.total_variation(mixture) < _ROUNDING else mixture
        for name, mixture in found.items()
    }


def _allowed(region: Region, mixture: Mixture) -> Mixture:
    """The mixture, or the nearest that keeps the limits: to beat what nobody may train on is no gain."""
    return mixture if region.contains(mixture, _ROUNDING) else region.project(mixture.shares)


@dataclass(frozen=True)
class ReferenceMixture:
    """A mixture that a reference is trained on."""

    trained: Mixture
    """As the training reads it: over sources that may have been split or merged since."""
    mixture: Mixture
    """What that is over the sources of the pool."""

    @property
    def carried(self) -> bool:
        """It was trained before its sources were split or merged."""
        return self.trained.key != self.mixture.key


def references(
    config: StudyConfig, folder: StudyFolder, region: Region, tokens: Mapping[str, int]
) -> list[ReferenceMixture]:
    """The mixtures to train on, written down where new ones are needed; see ``intended_references``."""
    chosen, rows = intended_references(config, folder, region, tokens), _written(folder)
    known = {Mixture.of(row).key for row in rows}
    new = [one.trained for one in chosen if one.trained.key not in known]
    if new:
        rows = [*rows, *({name: mixture.share(name) for name in mixture.support} for mixture in new)]
        digests = _references_written(folder)
        # First, so that a kill between the two leaves nothing that looks damaged.
        write_sealed(folder.references_digests, {"written": [*digests, digest(rows)]})
        write_json(folder.references, rows)
    return chosen


def intended_references(
    config: StudyConfig, folder: StudyFolder, region: Region, tokens: Mapping[str, int]
) -> list[ReferenceMixture]:
    """The mixtures to train on: those written down that still make sense, and new ones as needed.

    Where sources were split or merged, those that are carried over come first, and new ones with such sources
    are added until the references on them are as many as their part of the pool.

    Args:
        tokens: that references read from, of every source.

    Raises:
        ConfigError: ``references.json`` is damaged, or parts do not have the tokens of their source.
    """
    names, count = config.pool_sources, config.references.count
    kept = _kept(config, folder, tokens)
    remade = {name for name in names if config.sources[name].made_from}
    native = sum(not one.carried and not remade.isdisjoint(one.mixture.support) for one in kept)
    missing = max(count - len(kept), math.ceil(count * len(remade) / len(names)) - native)
    if missing <= 0:
        return kept if remade else kept[:count]
    known = {one.mixture.key for one in kept}
    drawn = [one for one in _drawn(config, region, count + len(kept) * bool(remade)) if one.key not in known]
    if remade:
        drawn = sorted(drawn, key=_says_little_of(remade, kept))
    new = [ReferenceMixture(one, one) for one in (mixture.reindexed(names) for mixture in drawn[:missing])]
    return [*kept, *new]


def carried_references(
    config: StudyConfig, folder: StudyFolder, tokens: Mapping[str, int]
) -> dict[str, Mixture]:
    """Key of the mixture of each reference that is carried over -> what it was trained on."""
    return {one.mixture.key: one.trained for one in _kept(config, folder, tokens) if one.carried}


def _drawn(config: StudyConfig, region: Region, count: int) -> list[Mixture]:
    """New references, shuffled: the first few are of all kinds, and replicates are taken from the front."""
    names, design = config.pool_sources, config.references.design
    drawn = _design(design, names, region, count, config.seed, config.estimand)
    order = np.random.default_rng(config.seed).permutation(len(drawn))
    return [drawn[i] for i in order]


def _says_little_of(remade: Collection[str], kept: Sequence[ReferenceMixture]) -> Callable[[Mixture], bool]:
    """Whether a new reference has no source of these, or lies between those that are there."""
    runs = np.array([one.mixture.shares for one in kept])

    def says_little(mixture: Mixture) -> bool:
        return set(remade).isdisjoint(mixture.support) or not is_outside(mixture, runs)

    return says_little


def _kept(config: StudyConfig, folder: StudyFolder, tokens: Mapping[str, int]) -> list[ReferenceMixture]:
    """The references written down that are runs over the sources of the pool."""
    found: dict[str, ReferenceMixture] = {}
    for row in _written(folder):
        if set(row) <= set(config.sources):
            trained = Mixture.of(row).reindexed(tuple(config.sources))
            now = over_pool(trained, config, tokens)
            if now.fate == "exact" and now.mixture is not None:
                one = ReferenceMixture(trained, now.mixture)
                found.setdefault(one.mixture.key, one)
    return list(found.values())


def over_pool(trained: Mixture, config: StudyConfig, tokens: Mapping[str, int]) -> Carried:
    """What a run on a mixture of sources of any time is over the sources of the pool."""
    found = carry(trained, config.descent, tokens, config.pool_sources)
    if config.estimand == "union" and found.mixture is not None and found.mixture.key != trained.key:
        why = "they unite whole sources, which were split or merged"  # as long as their sources are many
        return Carried("approximate", found.mixture, found.moved, why)
    return found


def _written(folder: StudyFolder) -> list[dict[str, float]]:
    """The references written down, whatever sources they are of."""
    file = folder.references
    if not file.is_file():
        return []
    try:
        rows: list[dict[str, float]] = json.loads(file.read_text(encoding="utf-8"))
        for row in rows:
            Mixture.of(row)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{file}: damaged ({error}); delete it to have it chosen anew") from error
    return rows


def changed_references(folder: StudyFolder) -> str:
    """A sentence where the references are others than those that were written down; else empty.

    Somebody may have chosen them by hand, or the disk has changed a digit.
    """
    file = folder.references
    known = _references_written(folder) if file.is_file() else []
    try:
        same = not known or digest(json.loads(file.read_text(encoding="utf-8"))) in known
    except (ValueError, RecursionError):
        return ""  # reported where they are needed
    if same:
        return ""
    return (
        f"{file} is not as cuvee wrote it: its mixtures are taken as they are now, and those that are new "
        "are trained. Delete it to have them chosen anew."
    )


def _references_written(folder: StudyFolder) -> list[str]:
    """Digests of all versions that were written of the references; none by earlier versions of cuvee."""
    file = folder.references_digests
    if not file.is_file():
        return []
    try:
        return [str(one) for one in read_sealed(file)["written"]]
    except (ValueError, TypeError, LookupError) as error:
        raise ConfigError(f"{file}: damaged ({error!r}); delete it") from error


def _design(
    design: str, names: tuple[str, ...], region: Region, count: int, seed: int, estimand: str
) -> list[Mixture]:
    """``count`` distinct mixtures inside the region (fewer only if there are no more)."""
    if region.totals.is_point:
        return [region.expand(region.totals.centre)]
    rng = np.random.default_rng(seed)
    if estimand == "union":
        design = "subsets"  # only whole units can be united
    found: list[Mixture] = []
    if design in ("mixed", "subsets"):
        wanted = count if design == "subsets" else -(-3 * count // 4)
        found += _subsets(names, region, wanted, rng)
    if design in ("mixed", "dirichlet"):
        drawn = designs.dirichlet(names, count * _DRAWS, concentration=(0.5, 4.0), rng=rng)
        found += [mixture for mixture in drawn if region.contains(mixture)]
    if design == "space_filling" or (len(_distinct(found)) < count and estimand != "union"):
        found += designs.space_filling(region, count, seed) if count < 200 else region.sample(count, rng)
    return _distinct(found)[:count]


def _subsets(names: tuple[str, ...], region: Region, count: int, rng: np.random.Generator) -> list[Mixture]:
    """Equal shares of some sources: two of the middle size for each of another size.

    Many of one size are what lets a study compare mixtures without the number of parts deciding. Single
    sources are left out where there are others: every branch of the pool is one already.
    """
    smallest = min(2, len(names))
    middle = max(smallest, len(names) // 2)
    sizes = [size for size in range(smallest, len(names) + 1) if size != middle]
    same = [m for m in designs.subsets(names, [middle], limit=count * 4, rng=rng) if region.contains(m)]
    others = [m for m in designs.subsets(names, sizes, limit=count * 4, rng=rng) if region.contains(m)]
    same = [same[i] for i in rng.permutation(len(same))]
    others = [others[i] for i in rng.permutation(len(others))]
    wanted = min(len(same), max(-(-2 * count // 3), count - len(others)))
    return [*same[:wanted], *others[: count - wanted]]


def _distinct(mixtures: Iterable[Mixture]) -> list[Mixture]:
    return list({mixture.key: mixture for mixture in mixtures}.values())


def leave_two_out(names: tuple[str, ...], limit: int = 12) -> list[Mixture]:
    """Uniform without each pair of sources, for their interactions; none where there are too many pairs."""
    if not 3 <= len(names) <= limit:
        return []
    uniform = Mixture.uniform(names)
    return [
        uniform.scaled(first, 0.0).scaled(second, 0.0)
        for position, first in enumerate(names)
        for second in names[position + 1 :]
    ]
