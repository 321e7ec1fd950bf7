"""The contract of methods of valuation, over every row of the table."""

from dataclasses import FrozenInstanceError, is_dataclass, replace

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.types import FloatArray
from cuvee.valuation.methods.knn_shapley import KnnShapley
from cuvee.valuation.methods.registry import VALUERS, valuer_named
from cuvee.valuation.substrates import NotAtHand, Substrates
from cuvee.valuation.valuer import Valuer
from tests.valuation.conftest import Tables

ROWS = pytest.mark.parametrize("method", VALUERS.values(), ids=VALUERS)


@pytest.fixture
def at_hand(learnt: Substrates) -> Substrates:
    """What rows of the table may need, as far as a test of all of them can have it."""
    return learnt


def valued(method: Valuer, tables: Tables, substrates: Substrates, seed: int) -> FloatArray:
    """Values; a method that says that it needs something may lack it here."""
    try:
        return method.value(tables.pool, tables.target, substrates, seed)
    except NotAtHand as missing:
        if not method.needs:
            raise
        pytest.skip(str(missing))


@ROWS
def test_a_row_says_what_it_is(method: Valuer) -> None:
    assert is_dataclass(method)
    with pytest.raises(FrozenInstanceError):
        method.name = "other"
    assert VALUERS[method.name] is method is valuer_named(method.name)
    assert method.name == "random" or method.paper.startswith("https://")
    assert method.unit and method.cost
    assert all(isinstance(one, str) for one in (method.needs, method.deviations))


@ROWS
def test_values_are_one_a_document_and_repeat_themselves(
    method: Valuer, tables: Tables, at_hand: Substrates
) -> None:
    first = valued(method, tables, at_hand, 5)
    assert first.shape == (len(tables.pool),) and first.dtype == np.float64
    assert not np.isinf(first).any() and np.isfinite(first).any()
    assert first.tobytes() == valued(method, tables, at_hand, 5).tobytes()


@ROWS
def test_needs_are_stated(method: Valuer, tables: Tables) -> None:
    if not method.needs:
        assert len(method.value(tables.pool, tables.target, Substrates(), 0)) == len(tables.pool)
        return
    with pytest.raises(NotAtHand, match=r"\w{3,}"):
        method.value(tables.pool, tables.target, Substrates(), 0)


@ROWS
def test_order_changes_nothing_where_nothing_is_drawn(
    method: Valuer, tables: Tables, at_hand: Substrates
) -> None:
    values = valued(method, tables, at_hand, 0)
    if not np.array_equal(values, valued(method, tables, at_hand, 1), equal_nan=True):
        return  # it draws
    order = np.random.default_rng(0).permutation(len(tables.pool))
    other = valued(method, replace(tables, pool=tables.pool.select(order)), at_hand, 0)
    size = float(np.nanmax(np.abs(values)))
    assert other == pytest.approx(values[order], rel=1e-4, abs=1e-5 * size, nan_ok=True)


@ROWS
def test_one_document_is_valued_or_refused(method: Valuer, tables: Tables, at_hand: Substrates) -> None:
    """A pool of one document and a target of one."""
    one = Tables(tables.pool.select(np.array([3])), tables.target.select(np.array([0])))
    try:
        values = valued(method, one, at_hand, 0)
    except ConfigError:
        return
    assert values.shape == (1,) and not np.isinf(values).any()


def test_a_name_that_is_none_is_refused_with_all_names() -> None:
    with pytest.raises(ConfigError, match="knn_shapley"):
        valuer_named("knn")


def test_a_method_with_a_proxy_takes_its_states(tables: Tables, proxy_substrates: Substrates) -> None:
    values = KnnShapley().value(tables.pool, tables.target, proxy_substrates, 0)
    assert np.isfinite(values).all()
