"""What can be asked of the sources of a study: split one, drop some, merge several."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cuvee.errors import ConfigError
from cuvee.sources.hub import HUB_PREFIX
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.edit import same_places
from cuvee.yaml_file import did_you_mean


@dataclass(frozen=True)
class Split:
    """A source is divided into parts that hold its documents, each in one."""

    source: str
    parts: Mapping[str, tuple[str, ...]]
    """Name -> its files, as the study file shall say them."""

    def done(self, config: StudyConfig, root: Path) -> bool:
        """Whether the study file says it already."""
        made = {name: one for name, one in config.sources.items() if one.made_from == (self.source,)}
        return bool(made) and all(
            name in made and name in self.parts and same_places(made[name].paths, self.parts[name], root)
            for name in made.keys() | self.parts.keys()
        )

    @property
    def on_the_hub(self) -> bool:
        """Whether text is named that lies on the Hugging Face hub."""
        return any(path.startswith(HUB_PREFIX) for paths in self.parts.values() for path in paths)

    def check(self, config: StudyConfig) -> None:
        """Raises ConfigError where it cannot be."""
        _check_pool(config, [self.source], "split")
        if len(self.parts) < 2:
            raise ConfigError(f"'{self.source}' is split into parts: name at least two, NAME=PATH each")
        for name in self.parts:
            _check_new(config, name)
        _check_limits(config, [self.source])

    def pool(self, config: StudyConfig) -> list[str]:
        """The pool afterwards."""
        return [name for name in config.pool_sources if name != self.source] + list(self.parts)


@dataclass(frozen=True)
class Drop:
    """Sources leave the mixture."""

    sources: tuple[str, ...]

    on_the_hub = False

    def done(self, config: StudyConfig, root: Path) -> bool:
        """Whether the study file says it already."""
        known = set(self.sources) <= set(config.sources)
        split = {name for step in config.descent.steps for name in step.before}
        return known and split.isdisjoint(self.sources) and set(config.pool_sources).isdisjoint(self.sources)

    def check(self, config: StudyConfig) -> None:
        """Raises ConfigError where it cannot be."""
        _check_pool(config, self.sources, "drop")
        if len(self.pool(config)) < 2:
            raise ConfigError(
                f"cannot drop {', '.join(self.sources)}: a mixture needs two sources, and of "
                f"{', '.join(config.pool_sources)} fewer would be left"
            )
        _check_limits(config, self.sources)

    def pool(self, config: StudyConfig) -> list[str]:
        """The pool afterwards."""
        return [name for name in config.pool_sources if name not in self.sources]


@dataclass(frozen=True)
class Merge:
    """Several sources become one that holds their text."""

    sources: tuple[str, ...]
    name: str

    on_the_hub = False

    def done(self, config: StudyConfig, root: Path) -> bool:
        """Whether the study file says it already."""
        known = config.sources.get(self.name)
        return known is not None and sorted(known.made_from) == sorted(self.sources)

    def check(self, config: StudyConfig) -> None:
        """Raises ConfigError where it cannot be."""
        _check_pool(config, self.sources, "merge")
        if len(self.sources) < 2:
            raise ConfigError("a merge takes two sources or more")
        _check_new(config, self.name)
        if len(self.pool(config)) < 2:
            raise ConfigError(f"'{self.name}' alone would leave nothing to decide; keep another source apart")
        _check_limits(config, self.sources)
        _check_alike(config, self.sources)

    def pool(self, config: StudyConfig) -> list[str]:
        """The pool afterwards."""
        return [name for name in config.pool_sources if name not in self.sources] + [self.name]


Change = Split | Drop | Merge


def _check_pool(config: StudyConfig, sources: tuple[str, ...] | list[str], verb: str) -> None:
    pool = list(config.pool_sources)
    for name in sources:
        if name not in pool:
            why = "it is out of the pool" if name in config.sources else "there is no such source"
            raise ConfigError(f"cannot {verb} '{name}': {why}{did_you_mean(name, pool)}")
    if len(set(sources)) < len(sources):
        raise ConfigError(f"cannot {verb} {', '.join(sources)}: name each once")


def _check_new(config: StudyConfig, name: str) -> None:
    if name in config.sources or name in config.evaluation_names:
        what = "a source" if name in config.sources else "an evaluation"
        raise ConfigError(f"there is already {what} '{name}', whose runs keep that name; choose another")


def _check_limits(config: StudyConfig, sources: tuple[str, ...] | list[str]) -> None:
    """No bound of a source says what is meant for its parts, or for the whole that it becomes part of."""
    limits = config.limits
    places = {"limits.minimum": limits.minimum, "limits.maximum": limits.maximum}
    places |= {f"limits.ratios.{index}": group for index, group in enumerate(limits.ratios)}
    for place, group in places.items():
        if named := [name for name in sources if name in group]:
            raise ConfigError(
                f"{place} names '{named[0]}', which leaves the mixture; take it out of the limits first, and "
                "say afterwards what is to hold"
            )


def _check_alike(config: StudyConfig, sources: tuple[str, ...]) -> None:
    first = config.sources[sources[0]]
    for name in sources[1:]:
        other = config.sources[name]
        for key in ("text_field", "allow_broken", "chunk_characters", "format"):
            one, two = getattr(first, key), getattr(other, key)
            if one != two:
                raise ConfigError(
                    f"'{sources[0]}' and '{name}' are read differently ({key}: {one!r} and {two!r}); write "
                    "their text in one format first, or tie them: limits.ratios"
                )
        if config.seen_by_seed(sources[0]) != config.seen_by_seed(name):
            raise ConfigError(
                f"the seed model has seen one of '{sources[0]}' and '{name}' and not the other, so that "
                "their text is divided differently; tie them instead: limits.ratios"
            )
