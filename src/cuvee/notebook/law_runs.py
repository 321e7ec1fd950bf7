"""The runs behind a law: in words, over the sources of a pool, refused where they are not alike."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cuvee.errors import ConfigError, MixtureError
from cuvee.laws.at_scale import OF_SCALE
from cuvee.quantities import counted, quantity
from cuvee.question.run_scales import ALIKE
from cuvee.runs.observations import KINDS, Observations
from cuvee.runs.roles import FRESH, ORDER, SELECTED
from cuvee.types import FloatArray

_HOW = "choose some by runs=observations.where(...)"


def in_words(runs: Observations) -> str:
    """``10 trained runs (8 reference, 2 replicate), 103k parameters, 2.56k tokens``."""
    kinds = ", ".join(dict.fromkeys(runs.kind))
    roles = ", ".join(
        f"{count} {role}" for role, count in Counter(runs.role).items() if role not in ("", *KINDS)
    )
    sizes = (f"{_between(values)} {what}" for what, values in _sizes(runs).items())
    return ", ".join((f"{counted(len(runs), f'{kinds} run')}{f' ({roles})' if roles else ''}", *sizes))


def check_alike(runs: Observations, several_sizes: bool) -> None:
    """Refuse runs whose metrics are not measurements of one thing.

    Args:
        runs: to be fitted to.
        several_sizes: the law knows sizes.

    Raises:
        ConfigError: none, several kinds, estimands or sizes, fresh trainings or those under another condition
            among others, one training twice.
    """
    if not len(runs):
        raise ConfigError(f"there are no runs to fit a law to; {_HOW}")
    _check_one(runs, "kind")
    _check_one(runs, "estimand")
    if FRESH in runs.role and set(runs.role) != {FRESH}:
        raise ConfigError(
            f"fresh trainings (role {FRESH!r}) are measured on the documents that no choice has seen, the "
            f"other runs on other ones; {_HOW}"
        )
    if SELECTED in runs.role:
        raise ConfigError(
            f"trainings on selected documents (role {SELECTED!r}) say nothing of whole sources; {_HOW}"
        )
    if (others := sorted(set(runs.role).intersection(ORDER))) and len(set(runs.role)) > 1:
        raise ConfigError(
            f"trainings under another condition (role {others[0]!r}) are by another recipe than the other "
            f"runs; {_HOW}"
        )
    for what, values in _sizes(runs).items() if not several_sizes else ():
        if values[-1] > ALIKE * values[0]:
            raise ConfigError(
                f"these runs have {_between(values)} {what}, and a law of mixtures is fitted at one size; "
                f"{_HOW}, or take a law of several: {', '.join(OF_SCALE)}"
            )
    if "trained" in runs.kind:
        _check_once(runs)


def _check_one(runs: Observations, column: str) -> None:
    if len(found := Counter(getattr(runs, column))) > 1:
        these = ", ".join(f"{count} {one or 'unnamed'}" for one, count in found.items())
        raise ConfigError(f"a law is fitted to runs of one {column}, these are {these}; {_HOW}")


def _check_once(runs: Observations) -> None:
    seen: dict[tuple[object, ...], str] = {}
    for row, key in enumerate(runs.keys):
        one = (runs.shares[row].tobytes(), runs.params[row], runs.tokens[row], runs.seed[row])
        if one in seen:
            raise ConfigError(
                f"runs {seen[one]!r} and {key!r} have one mixture, size and seed: one training on two "
                "states of the evaluations, or two recipes; keep one by runs=observations.where(key=[...])"
            )
        seen[one] = key


def _sizes(runs: Observations) -> dict[str, FloatArray]:
    """What is known of parameters and tokens: every value once, ascending."""
    given = {"parameters": runs.params, "tokens": runs.tokens}
    known = {what: np.unique(values[np.isfinite(values)]) for what, values in given.items()}
    return {what: values for what, values in known.items() if len(values)}


def _between(values: FloatArray) -> str:
    ends = dict.fromkeys(quantity(float(values[end])) for end in (0, -1))
    return " to ".join(ends)


def over(runs: Observations, names: Sequence[str]) -> Observations:
    """The same runs, their shares over other sources [S].

    Raises:
        MixtureError: a run reads a source that is not among them.
    """
    left = [name for name in runs.sources if name not in names]
    for name in left:
        if (reads := runs.shares[:, runs.sources.index(name)] > 0).any():
            key = runs.keys[int(reads.argmax())]
            raise MixtureError(
                f"run {key!r} reads {name!r}, which is no source of the pool ({', '.join(names)}); choose "
                "others by runs=observations.select(...)"
            )
    columns = [
        runs.shares[:, runs.sources.index(name)] if name in runs.sources else np.zeros(len(runs))
        for name in names
    ]
    return replace(runs, sources=tuple(names), shares=np.stack(columns, axis=1))
