"""Observations: everything that was ever measured, as arrays of one row per run.

One row is a mixture at a scale, how it came to be, and its metrics. Laws read only this. Letters of
the shapes: ``R`` runs, ``S`` sources, ``E`` metrics.
"""

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cuvee.errors import ConfigError, MixtureError
from cuvee.mixture.mixture import Mixture
from cuvee.quantities import counted
from cuvee.types import AnyArray, BoolArray, FloatArray, IntArray

KINDS = ("trained", "merged", "ensembled", "imported", "checkpoint")
"""How a row came to be: a really trained run, a parameter merge of pool models, a mixture of their
token probabilities, a table of somebody else, a trained run on its way, its learning rate still high."""

SHARE_TOLERANCE = 1e-6
_LARGEST_COUNT = 2.0**53


@dataclass(frozen=True, eq=False)
class Observations:
    """Rows of (mixture, scale, kind, seed) -> metrics. Immutable; arrays are copied and read-only.

    Equal when all names, rows and their order are equal; numbers exactly, missing equal to missing.

    Raises:
        ConfigError: lengths that differ, repeated names or keys, an unknown kind, numbers out of range.
        MixtureError: a row of shares is no mixture.
    """

    sources: tuple[str, ...]
    """Names [S] of the columns of ``shares``."""
    metrics: tuple[str, ...]
    """Names [E] of the columns of ``values``, each with its unit in the name."""
    keys: tuple[str, ...]
    """Keys [R] of the runs, unique."""
    shares: FloatArray
    """Token shares [R, S]; each row sums to one."""
    params: FloatArray
    """Parameters of the model [R], whole numbers; NaN where unknown."""
    tokens: FloatArray
    """Tokens trained on [R], whole numbers; NaN where unknown."""
    kind: tuple[str, ...]
    """One of ``KINDS`` for each row [R]."""
    seed: IntArray
    """Random seed [R]."""
    estimand: tuple[str, ...]
    """What a merged row stands for [R]: ``equal_budget`` or ``union``."""
    role: tuple[str, ...]
    """What the run is for [R]: ``seed``, ``branch``, ``candidate``, ``reference``, ..."""
    values: FloatArray
    """Metrics [R, E]; NaN where not measured."""
    flops: FloatArray
    """Floating point operations spent on the row [R]; NaN where unknown."""

    def __post_init__(self) -> None:
        for name in ("sources", "metrics", "keys", "kind", "estimand", "role"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        rows = len(self.keys)
        _check_names("source", self.sources)
        _check_names("metric", self.metrics)
        _check_names("key", self.keys)
        for name in ("kind", "estimand", "role"):
            texts = getattr(self, name)
            if len(texts) != rows:
                raise ConfigError(f"observations have {rows} keys but {len(texts)} entries of {name}")
            for text in set(texts):
                check_text(name, text)
        if unknown := sorted(set(self.kind) - set(KINDS)):
            raise ConfigError(f"unknown kind {unknown[0]!r}; use one of {', '.join(KINDS)}")
        self._freeze("shares", np.float64, (rows, len(self.sources)))
        self._freeze("values", np.float64, (rows, len(self.metrics)))
        self._freeze("seed", np.int64, (rows,))
        for name in ("params", "tokens", "flops"):
            self._freeze(name, np.float64, (rows,))
        self._check_numbers()

    def _freeze(self, name: str, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> None:
        given = np.asarray(getattr(self, name))
        array = np.array(given, dtype=dtype) + np.zeros((), dtype=dtype)  # the sum turns -0.0 into 0.0
        if array.size == 0 and 0 in shape:
            array = array.reshape(shape)
        if array.shape != shape:
            raise ConfigError(f"{name} of observations has shape {array.shape}; expected {shape}")
        if name == "seed" and not np.array_equal(array, given):
            raise ConfigError("seeds must be whole numbers of at most 64 bits")
        array.setflags(write=False)
        object.__setattr__(self, name, array)

    def _check_numbers(self) -> None:
        for name in ("params", "tokens"):
            self._refuse(
                name, lambda x: (x < 0) | (x > _LARGEST_COUNT) | (x != np.floor(x)), "a whole number"
            )
        self._refuse("flops", lambda x: (x < 0) | np.isinf(x), "finite and not negative")
        self._refuse("values", np.isinf, "finite, or NaN where not measured")
        if not len(self):
            return
        with np.errstate(invalid="ignore"):
            wrong = ~np.all(np.isfinite(self.shares) & (self.shares >= 0), axis=1)
            wrong |= ~(np.abs(self.shares.sum(axis=1) - 1.0) <= SHARE_TOLERANCE)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise MixtureError(
                f"shares of run {self.keys[row]!r} (row {row}) are no mixture: they must be finite, not "
                f"negative and sum to 1, but sum to {self.shares[row].sum()!r}"
            )

    def _refuse(self, name: str, wrong: Any, rule: str) -> None:
        array: FloatArray = getattr(self, name)
        bad = wrong(array) & ~np.isnan(array)
        if bad.any():
            place = np.argwhere(bad)[0]
            column = f" of metric {self.metrics[place[1]]!r}" if len(place) == 2 else ""
            raise ConfigError(
                f"{name}{column} of run {self.keys[place[0]]!r} is {array[tuple(place)]}; it must be {rule}"
            )

    # Reading

    def __len__(self) -> int:
        return len(self.keys)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Observations):
            return NotImplemented
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if isinstance(mine, np.ndarray):
                if not np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f"):
                    return False
            elif mine != theirs:
                return False
        return True

    def __hash__(self) -> int:
        return hash((self.sources, self.metrics, self.keys))

    def __repr__(self) -> str:
        counts = ", ".join(f"{self.kind.count(kind)} {kind}" for kind in KINDS if kind in self.kind)
        return (
            f"Observations({counts or 'empty'}; {counted(len(self.sources), 'source')}, "
            f"{counted(len(self.metrics), 'metric')})"
        )

    def _repr_html_(self) -> str:
        from cuvee.runs.preview import preview

        return preview(repr(self), self._fields)

    def mixtures(self) -> list[Mixture]:
        """The mixture of each row [R]."""
        return [Mixture(self.sources, row) for row in self.shares]

    def metric(self, name: str) -> FloatArray:
        """The column [R] of one metric; NaN where not measured.

        Raises:
            ConfigError: no such metric.
        """
        if name not in self.metrics:
            known = ", ".join(self.metrics) or "none"
            raise ConfigError(f"no metric {name!r} among the observations; there are: {known}")
        column: FloatArray = self.values[:, self.metrics.index(name)]
        return column

    def values_of(self, unit: str) -> FloatArray:
        """The columns [R, e] of all metrics of a unit (``runs/metric_names.py``), in their order."""
        columns = [place for place, name in enumerate(self.metrics) if name.startswith(unit)]
        return np.ascontiguousarray(self.values[:, columns])  # sums depend on the layout in their last bits

    def with_values(self, metrics: Sequence[str], values: FloatArray) -> Self:
        """The same rows with other metrics [E] and their values [R, E]."""
        return replace(self, metrics=tuple(metrics), values=values)

    # Choosing rows

    def select(self, rows: BoolArray | IntArray | Sequence[int] | Sequence[bool]) -> Self:
        """The rows of a mask [R] or of indices, in the order of the indices."""
        index = np.asarray(rows)
        if index.dtype == np.bool_:
            if index.shape != (len(self),):
                raise ConfigError(
                    f"a mask of shape {index.shape} cannot select from {len(self)} observations"
                )
            index = np.flatnonzero(index)
        index = index.astype(np.int64)
        columns: dict[str, Any] = {"sources": self.sources, "metrics": self.metrics}
        for field in fields(self):
            if field.name not in columns:
                column = getattr(self, field.name)
                columns[field.name] = (
                    column[index] if isinstance(column, np.ndarray) else [column[int(row)] for row in index]
                )
        return type(self)(**columns)

    def where(self, **conditions: Any) -> Self:
        """The rows whose columns equal the given values, or one of them for a list, tuple or set.

        Columns are ``key``, ``kind``, ``role``, ``estimand``, ``seed``, ``params``, ``tokens``:
        ``observations.where(kind="merged", seed=(0, 1))``.
        """
        mask = np.ones(len(self), dtype=np.bool_)
        for name, wanted in conditions.items():
            if name not in CONDITIONS:
                raise ConfigError(f"observations cannot be chosen by {name!r}; use {', '.join(CONDITIONS)}")
            column = getattr(self, "keys" if name == "key" else name)
            accepted = accepted_values(wanted)
            mask &= np.array([value in accepted for value in _plain(column)], dtype=np.bool_)
        return self.select(mask)

    def sorted(self) -> Self:
        """Canonical order: by kind, role, estimand, parameters, tokens, seed, then key; unknown last."""

        def order(row: int) -> tuple[Any, ...]:
            scale = [np.inf if np.isnan(x) else float(x) for x in (self.params[row], self.tokens[row])]
            return (
                KINDS.index(self.kind[row]), self.role[row], self.estimand[row],
                *scale, int(self.seed[row]), self.keys[row],
            )  # fmt: skip

        return self.select(sorted(range(len(self)), key=order))

    # Joining

    def __add__(self, other: "Observations") -> Self:
        """Both, over the union of their sources (share zero) and metrics (not measured).

        Raises:
            ConfigError: a key is in both.
        """
        if not isinstance(other, Observations):
            return NotImplemented
        sources = tuple(dict.fromkeys(self.sources + other.sources))
        metrics = tuple(dict.fromkeys(self.metrics + other.metrics))
        parts = (self, other)
        joined: dict[str, Any] = {"sources": sources, "metrics": metrics}
        joined["shares"] = np.vstack([_spread(p.shares, p.sources, sources, 0.0) for p in parts])
        joined["values"] = np.vstack([_spread(p.values, p.metrics, metrics, np.nan) for p in parts])
        for field in fields(self):
            if field.name not in joined:
                columns = [getattr(part, field.name) for part in parts]
                arrays = isinstance(columns[0], np.ndarray)
                joined[field.name] = np.concatenate(columns) if arrays else columns[0] + columns[1]
        return type(self)(**joined)

    @classmethod
    def empty(cls, sources: Sequence[str] = (), metrics: Sequence[str] = ()) -> Self:
        """No rows."""
        none = np.zeros(0)
        return cls(
            tuple(sources), tuple(metrics), (), np.zeros((0, len(sources))), none, none, (),
            np.zeros(0, dtype=np.int64), (), (), np.zeros((0, len(metrics))), none,
        )  # fmt: skip

    # Tables (see cuvee.runs.tables, which loads pyarrow)

    @property
    def _fields(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def _of(cls, found: dict[str, Any], where: str) -> "Observations":
        try:
            return cls(**found)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error

    def to_table(self) -> Any:
        """A ``pyarrow.Table`` of columns key, kind, role, estimand, seed, params, tokens, flops,
        ``w:<source>`` and ``m:<metric>``; unknown and not measured are null."""
        from cuvee.runs import tables

        return tables.to_table(self._fields)

    def to_pandas(self) -> Any:
        """The same as a ``pandas.DataFrame``.

        Raises:
            ConfigError: pandas is not installed.
        """
        from cuvee.runs import frames

        return frames.to_pandas(self.to_table())

    def to_polars(self) -> Any:
        """The same as a ``polars.DataFrame``.

        Raises:
            ConfigError: polars is not installed.
        """
        from cuvee.runs import frames

        return frames.to_polars(self.to_table())

    @classmethod
    def from_table(cls, table: Any) -> "Observations":
        """The inverse of ``to_table``, exactly. For tables of others see ``import_runs``."""
        from cuvee.runs import tables

        return cls._of(tables.from_table(table), "the table")

    def write_csv(self, path: Path) -> None:
        """Write the table as CSV, atomically; numbers so that they read back exactly."""
        from cuvee.runs import tables

        tables.write_csv(self._fields, path)

    @classmethod
    def read_csv(cls, path: Path) -> "Observations":
        """The inverse of ``write_csv``, exactly."""
        from cuvee.runs import tables

        return cls._of(tables.read_csv(path), str(path))

    def write_parquet(self, path: Path) -> None:
        """Write the table as Parquet, atomically."""
        from cuvee.runs import tables

        tables.write_parquet(self._fields, path)

    @classmethod
    def read_parquet(cls, path: Path) -> "Observations":
        """The inverse of ``write_parquet``, exactly."""
        from cuvee.runs import tables

        return cls._of(tables.read_parquet(path), str(path))


CONDITIONS = ("key", "kind", "role", "estimand", "seed", "params", "tokens")
"""Columns by which rows can be chosen."""


def accepted_values(wanted: Any) -> Collection[Any]:
    """A condition as the collection of values it accepts."""
    if isinstance(wanted, (list, tuple, set, frozenset, range)):
        return wanted
    if isinstance(wanted, np.ndarray):
        return list(wanted.tolist())
    return (wanted,)


_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Embeddings, overrides and isolates of bidirectional text: with them, a name shows as another (UAX 9)."""


def check_text(what: str, text: str) -> None:
    """Refuse text that some table or terminal cannot hold.

    Raises:
        ConfigError: not a string, or one with control characters, halves of surrogate pairs, or characters
            that turn the direction of what stands behind them.
    """
    if not isinstance(text, str):
        raise ConfigError(f"{what} {text!r} must be a string")
    if text.isprintable():
        return  # the usual case, and quick; what follows allows special spaces and the like
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise ConfigError(f"{what} {text!r} has a control character (a line break, a tab, ...); remove it")
    if not _TURNING.isdisjoint(text):
        raise ConfigError(f"{what} {text!r} has a character that turns the direction of text; remove it")


def _check_names(what: str, names: Sequence[str]) -> None:
    for name in names:
        check_text(what, name)
        if not name:
            raise ConfigError(f"observations have an empty {what} name")
    if len(set(names)) < len(names):
        seen: set[str] = set()
        repeated = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ConfigError(f"{what} {repeated!r} occurs twice in the observations")


def _plain(column: AnyArray | Iterable[str]) -> list[Any]:
    return column.tolist() if isinstance(column, np.ndarray) else list(column)


def _spread(array: FloatArray, old: Sequence[str], new: Sequence[str], fill: float) -> FloatArray:
    """The columns ``old`` of an array [R, len(old)] among the columns ``new``, others filled."""
    result = np.full((len(array), len(new)), fill)
    result[:, [new.index(name) for name in old]] = array
    return result
