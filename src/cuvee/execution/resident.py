"""What a process keeps from one item to the next, by the key of what determines it.

Few things are kept, the last used ones. What has to go is dropped before what replaces it is made, since the
two may not fit into the memory of a device together. Nothing is kept of what failed.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

Made = TypeVar("Made")


@dataclass(eq=False)
class Resident:
    """Things of several kinds."""

    most: Mapping[str, int]
    """How many of each kind are kept, one at least."""
    made: Counter[str] = field(default_factory=Counter)
    """How many of each kind were made so far."""
    _kept: dict[str, OrderedDict[Hashable, Any]] = field(default_factory=dict)

    def get(self, kind: str, key: Hashable, make: Callable[[], Made]) -> Made:
        """What is kept under a key, made where there is nothing.

        Raises:
            KeyError: the kind has no place in ``most``.
        """
        kept = self._kept.setdefault(kind, OrderedDict())
        if key not in kept:
            while len(kept) >= self.most[kind]:
                kept.popitem(last=False)
            kept[key] = make()
            self.made[kind] += 1
        kept.move_to_end(key)
        return cast(Made, kept[key])

    def drop(self) -> None:
        """Keep nothing any longer."""
        self._kept.clear()
