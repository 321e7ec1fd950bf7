"""Runs and observations for the tests of cuvee.runs."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from cuvee.mixture.mixture import Mixture
from cuvee.runs import KINDS, Observations, Run

# Names that turn the direction of text are refused: all that do are format characters (Cf).
CHARACTERS = st.characters(exclude_categories=("Cs", "Cc", "Cf"))
NAMES = st.text(CHARACTERS, min_size=1, max_size=6)
TEXTS = st.text(CHARACTERS, max_size=6)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 2**53)


def run(key: str = "k", **changes: Any) -> Run:
    fields: dict[str, Any] = {
        "key": key,
        "kind": "merged",
        "role": "candidate",
        "estimand": "equal_budget",
        "mixture": Mixture.of({"web": 0.75, "code": 0.25}),
        "params": 1000,
        "tokens": 5000,
        "seed": 0,
        "metrics": {"web/bits_per_byte": 1.1, "code/bits_per_byte": 0.7},
        "flops": 3e9,
    }
    return Run(**(fields | changes))


@st.composite
def mixtures(draw: st.DrawFn) -> Mixture:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    weights = draw(st.lists(st.floats(1e-9, 1), min_size=len(names), max_size=len(names)))
    return Mixture.normalised(dict(zip(names, weights, strict=True)))


@st.composite
def runs(draw: st.DrawFn) -> Run:
    return Run(
        key=draw(NAMES),
        kind=draw(st.sampled_from(KINDS)),
        role=draw(TEXTS),
        estimand=draw(st.sampled_from(["equal_budget", "union", ""])),
        mixture=draw(mixtures()),
        params=draw(st.none() | COUNTS),
        tokens=draw(st.none() | COUNTS),
        seed=draw(st.integers(-(2**63) + 1, 2**63 - 1)),
        metrics=draw(st.dictionaries(NAMES, FLOATS, max_size=3)),
        flops=draw(st.none() | st.floats(0, allow_infinity=False)),
        details=draw(st.dictionaries(TEXTS, FLOATS | TEXTS | st.integers() | st.none(), max_size=2)),
    )


@st.composite
def observations(draw: st.DrawFn) -> Observations:
    rows = draw(st.integers(0, 4))
    sources = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    metrics = draw(st.lists(NAMES, max_size=3, unique=True))

    def column(strategy: st.SearchStrategy[Any], unique: bool = False) -> list[Any]:
        return draw(st.lists(strategy, min_size=rows, max_size=rows, unique=unique))

    size = len(sources)
    weights = np.array(column(st.lists(st.floats(1e-6, 1), min_size=size, max_size=size))).reshape(rows, size)
    return Observations(
        sources=tuple(sources),
        metrics=tuple(metrics),
        keys=tuple(column(NAMES, unique=True)),
        shares=weights / weights.sum(axis=1, keepdims=True),
        params=np.array(column(COUNTS | st.just(float("nan"))), dtype=float),
        tokens=np.array(column(COUNTS | st.just(float("nan"))), dtype=float),
        kind=tuple(column(st.sampled_from(KINDS))),
        seed=np.array(column(st.integers(-(2**63), 2**63 - 1)), dtype=np.int64),
        estimand=tuple(column(TEXTS)),
        role=tuple(column(TEXTS)),
        values=np.array(
            [
                draw(st.lists(FLOATS | st.just(float("nan")), min_size=len(metrics), max_size=len(metrics)))
                for _ in range(rows)
            ]
        ).reshape(rows, len(metrics)),
        flops=np.array(column(st.floats(0, allow_infinity=False) | st.just(float("nan"))), dtype=float),
    )
