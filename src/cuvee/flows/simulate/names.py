"""Fidelities by name: parameters and tokens, as people write them."""

import math
from collections.abc import Sequence

from cuvee.errors import ConfigError
from cuvee.quantities import size
from cuvee.runs.formats.part import listed
from cuvee.search.space import Fidelity

_SUFFIXES = {"k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
_CLOSE = 0.01
"""Part by which a written size may be off: names are rounded."""

_SHOWN = 12


def fidelity_names(fidelities: Sequence[Fidelity]) -> tuple[str, ...]:
    """``58.98M/1.049B`` for each; with the kind before it, as ``merged:10M/1B``, where there are several."""
    kinds = len({fidelity.kind for fidelity in fidelities}) > 1
    return tuple(
        (f"{fidelity.kind}:" if kinds else "") + f"{size(fidelity.params)}/{size(fidelity.tokens)}"
        for fidelity in fidelities
    )


def fidelity_named(fidelities: Sequence[Fidelity], name: str) -> int:
    """The fidelity nearest to a name of that form; sizes may be off by one per cent.

    Raises:
        ConfigError: the name is not of that form, no fidelity is so near, or two are as near; the error
            lists all.
    """
    known = f"there are: {listed(fidelity_names(fidelities), _SHOWN)}"
    kind, _, sizes = name.rpartition(":")
    params, slash, tokens = sizes.partition("/")
    wanted = (_number(params), _number(tokens))
    if not slash or math.isnan(sum(wanted)):
        raise ConfigError(f"target fidelity {name!r}: say PARAMS/TOKENS, such as 60M/1B; {known}")
    off = {
        place: max(abs(fidelity.params / wanted[0] - 1.0), abs(fidelity.tokens / wanted[1] - 1.0))
        for place, fidelity in enumerate(fidelities)
        if kind in ("", fidelity.kind)
    }
    nearest = min(off.values(), default=math.inf)
    found = [place for place, distance in off.items() if distance == nearest]
    if nearest > _CLOSE:
        raise ConfigError(f"no run is of the target fidelity {name!r}; {known}")
    if len(found) > 1:
        raise ConfigError(f"target fidelity {name!r} is that of several kinds; {known}")
    return found[0]


def _number(text: str) -> float:
    """Positive; NaN for anything else."""
    text = text.strip().lower()
    unit = _SUFFIXES.get(text[-1:], 1.0)
    try:
        value = float(text[:-1] if unit > 1.0 else text) * unit
    except ValueError:
        return math.nan
    return value if math.isfinite(value) and value > 0 else math.nan
