"""Descent: which sources of a study were split off or merged from which others.

A source is never edited: a split writes its parts behind it, a merge the whole behind its members, and what
they came from leaves the pool. So the names of one study file mean the same text for ever, and everything
here follows from them: no record is kept beside the file.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Step:
    """One split (a source before, several after) or merge (several before, one after)."""

    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def is_split(self) -> bool:
        return len(self.before) == 1


@dataclass(frozen=True)
class Descent:
    """The sources of a study file, in its order, with what each was made from."""

    made_from: Mapping[str, tuple[str, ...]]
    """Source -> the one that it was split off, or those that it was merged from; empty for most."""

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """What happened, in its order."""
        found: dict[tuple[str, ...], list[str]] = {}
        for name, origins in self.made_from.items():
            if len(origins) == 1:
                found.setdefault(origins, []).append(name)
            elif origins:
                found[(*origins, name)] = [name]
        return tuple(Step(key if len(key) == 1 else key[:-1], tuple(after)) for key, after in found.items())

    def ancestors(self, name: str) -> frozenset[str]:
        """All sources that hold text of this one and stand before it."""
        found: set[str] = set()
        left = list(self.made_from.get(name, ()))
        while left:
            if (one := left.pop()) not in found:
                found.add(one)
                left += self.made_from.get(one, ())
        return frozenset(found)

    def related(self, one: str, other: str) -> bool:
        """Whether one holds text of the other by descent, or both are one."""
        return one == other or one in self.ancestors(other) or other in self.ancestors(one)

    @property
    def measured(self) -> tuple[str, ...]:
        """The sources whose held-out text shows what became of all sources, each text once.

        The parts of a split stand for the whole: they can be weighed apart. Merged sources stand for
        themselves: what was wanted of each can still be measured.
        """
        kept = [name for name, origins in self.made_from.items() if not origins]
        for step in self.steps:
            if step.is_split:
                kept = [name for name in kept if name not in self.replaced_by(step)] + list(step.after)
        return tuple(kept)

    def replaced_by(self, step: Step) -> frozenset[str]:
        """The sources whose held-out text the parts of a split stand for."""
        (whole,) = step.before
        return self.ancestors(whole) | {whole}

    def home(self, name: str, pool: Collection[str]) -> str | None:
        """The source of the pool that holds all text of a source: itself, or what it was merged into."""
        for step in self.steps:
            if name not in pool and not step.is_split and name in step.before:
                name = step.after[0]
        return name if name in pool else None
