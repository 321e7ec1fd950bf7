"""Values by source: means weighted by tokens, and their intervals."""

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.types import FloatArray
from cuvee.valuation.ratio_mean import ratio_mean
from cuvee.valuation.values import Values
from tests.valuation.conftest import Tables


def values_of(tables: Tables, values: FloatArray) -> Values:
    return Values("method", "unit", values, tables.pool.key)


def test_a_source_is_worth_the_mean_of_its_documents_by_tokens(tables: Tables) -> None:
    values = np.random.default_rng(0).normal(size=len(tables.pool))
    first, _ = values_of(tables, values).by_source(tables.pool, 0.95)
    mine = tables.pool.source == 0
    assert first.mean == pytest.approx(np.average(values[mine], weights=tables.pool.length[mine]))
    assert first.interval[0] < first.mean < first.interval[1]
    assert first.documents == mine.sum()
    assert first.tokens == tables.pool.length[mine].sum()


def test_documents_without_a_value_are_counted_out_and_one_is_no_sample(tables: Tables) -> None:
    values = np.full(len(tables.pool), np.nan)
    values[3] = 2.0
    first, second = values_of(tables, values).by_source(tables.pool, 0.95)
    assert (first.documents, first.mean, first.interval) == (1, 2.0, (-np.inf, np.inf))
    assert second.documents == 0 and np.isnan(second.mean)
    assert values_of(tables, values).coverage == pytest.approx(1 / len(tables.pool))


def test_values_that_are_infinite_or_none_are_refused(tables: Tables) -> None:
    values = np.zeros(len(tables.pool))
    values[5] = np.inf
    with pytest.raises(ConfigError, match="document 5 is infinite"):
        values_of(tables, values)
    with pytest.raises(ConfigError, match="none of 40"):
        values_of(tables, np.full(len(tables.pool), np.nan))


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    rng, inside = np.random.default_rng(1), 0
    for _ in range(2000):
        tokens = rng.integers(20, 200, size=25).astype(np.float64)
        sums = tokens * 0.5 + np.sqrt(tokens) * rng.normal(size=25)
        _, low, high = ratio_mean(sums, tokens, 0.9)
        inside += low < 0.5 < high
    assert 0.88 <= inside / 2000 <= 0.92
