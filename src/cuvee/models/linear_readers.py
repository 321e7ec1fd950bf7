"""Linear readers: the linear layers of a module of transformers, found by running it once.

``nn.Linear`` and the ``Conv1D`` of GPT-2, whose matrix lies the other way. Layers that read one and the same
tensor share an input. Left out: a matrix that another module has, too (a tied head: as an embedding it is no
linear layer), and layers that did not run (experts that no token chose).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cuvee.models.layout import Layout
from cuvee.models.linear_inputs import LinearInput


@dataclass(frozen=True, eq=False)
class LinearReaders:
    """One module for each input."""

    inputs: tuple[LinearInput, ...]
    modules: tuple[nn.Module, ...]
    """The first that reads each."""

    @contextmanager
    def watched(self, seen: Callable[[int, Tensor], None]) -> Iterator[None]:
        """Show what each reads while the context lasts."""
        hooks = [
            module.register_forward_pre_hook(lambda _, given, place=place: seen(place, given[0]))
            for place, module in enumerate(self.modules)
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def readers_of(module: nn.Module, layout: Layout, run: Callable[[], Any]) -> LinearReaders:
    """Find them.

    Args:
        module: the model.
        layout: of its parameters.
        run: calls it on some tokens.
    """
    names = _candidates(module)
    read: list[tuple[str, Tensor]] = []
    found = LinearReaders((), tuple(names.values()))
    order = tuple(names)
    with torch.no_grad(), found.watched(lambda place, given: read.append((order[place], given))):
        run()
    groups: dict[tuple[int, bool], list[str]] = {}
    for name, given in read:
        if not any(name in group for group in groups.values()):
            groups.setdefault((id(given), _is_turned(names[name])), []).append(name)
    entries = {entry.name: entry for entry in layout.entries}
    inputs = [
        LinearInput(_width(names[group[0]]), tuple(entries[f"{name}.weight"] for name in group), turned)
        for (_, turned), group in groups.items()
    ]
    return LinearReaders(tuple(inputs), tuple(names[group[0]] for group in groups.values()))


def _candidates(module: nn.Module) -> dict[str, nn.Module]:
    """Linear layers whose matrix is theirs alone, by name."""
    owners = Counter(id(one) for _, one in module.named_parameters(remove_duplicate=False))
    return {
        name: one
        for name, one in module.named_modules()
        if (isinstance(one, nn.Linear) or _is_turned(one)) and owners[id(one.weight)] == 1
    }


def _is_turned(module: nn.Module) -> bool:
    return type(module).__name__ == "Conv1D"


def _width(module: nn.Module) -> int:
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight.shape[0] if _is_turned(module) else weight.shape[1]
