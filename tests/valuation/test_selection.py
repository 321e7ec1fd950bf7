"""Selections under a token budget."""

from itertools import pairwise

import numpy as np
import pytest

from cuvee.errors import ConfigError, EmptySource
from cuvee.sources.tokenizer import Tokenizer
from cuvee.types import IntArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.selection import select
from tests.valuation.conftest import Tables


def test_the_best_documents_are_kept_until_the_budget_is_spent(tables: Tables) -> None:
    pool = tables.pool
    values = np.random.default_rng(0).normal(size=len(pool))
    budget = pool.size // 4
    kept = select(values, pool, budget)
    assert kept.tokens <= budget
    assert budget - kept.tokens < int(pool.length.max())
    out = np.setdiff1d(np.arange(len(pool)), kept.rows)
    lowest = values[kept.rows].min()
    better = out[values[out] > lowest]  # passed over as they did not fit any more
    assert (pool.length[better] > budget - kept.tokens).all()
    assert kept.shares.sum() == pytest.approx(1.0)


def test_documents_that_are_dropped_gated_or_without_a_value_are_never_kept(tables: Tables) -> None:
    pool = tables.pool
    values = np.arange(len(pool), dtype=np.float64)
    values[-1] = np.nan
    dropped = np.zeros(len(pool), dtype=bool)
    dropped[-2] = True
    kept = select(values, pool, pool.size, dropped=dropped, gate=0.5)
    assert set(kept.rows.tolist()) == set(range(len(pool) // 2 - 1, len(pool) - 2))


def test_a_budget_beyond_the_pool_repeats_documents_as_often_as_allowed(tables: Tables) -> None:
    pool = tables.pool
    values = np.arange(len(pool), dtype=np.float64)
    assert select(values, pool, 10 * pool.size).tokens == pool.size
    twice = select(values, pool, 10 * pool.size, max_epochs=2)
    assert twice.tokens == 2 * pool.size
    assert (np.bincount(twice.rows) == 2).all()


def test_draws_at_a_temperature_have_the_odds_of_their_values(tokenizer: Tokenizer) -> None:
    pool = DocumentTable.of_texts([f"word {one}" for one in "abc"], tokenizer)
    values = np.log([0.5, 0.3, 0.2])
    first = [
        int(select(values, pool, int(pool.length.max()), temperature=1.0, seed=s).rows[0])
        for s in range(2000)
    ]
    np.testing.assert_allclose(np.bincount(first, minlength=3) / 2000, [0.5, 0.3, 0.2], atol=0.04)


def test_diversity_chooses_among_what_passes_the_gate(tables: Tables) -> None:
    pool = tables.pool
    values = np.arange(len(pool), dtype=np.float64)

    def last_first(rows: IntArray, count: int) -> IntArray:
        return rows[::-1][:count]

    kept = select(values, pool, pool.size // 10, gate=0.5, diversify=last_first)
    assert kept.rows[0] == len(pool) // 2


def test_equal_values_are_not_kept_in_the_order_of_the_file_and_seeds_repeat(tables: Tables) -> None:
    pool, values = tables.pool, np.zeros(len(tables.pool))
    one, again, other = (select(values, pool, pool.size // 4, seed=seed).rows for seed in (0, 0, 1))
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != other.tobytes()
    assert one.tolist() != sorted(one.tolist())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget_tokens": 0}, "at least one token"),
        ({"budget_tokens": 1}, "no document fits"),
        ({"gate": 1.0}, "gate"),
        ({"max_epochs": 0}, "max_epochs"),
        ({"temperature": np.nan}, "temperature"),
        ({"values": np.zeros(3)}, "3 values for 40"),
        ({"values": np.full(40, np.inf)}, "infinite"),
        ({"values": np.full(40, np.nan)}, "no document fits"),
    ],
)
def test_what_makes_no_sense_is_refused(tables: Tables, changes: dict[str, object], message: str) -> None:
    given = {"values": np.zeros(40), "documents": tables.pool, "budget_tokens": 100, **changes}
    with pytest.raises(ConfigError, match=message):
        select(**given)  # type: ignore[arg-type]


def test_documents_without_text_or_with_one_id_twice_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(EmptySource, match="number 1 of source 'documents'"):
        DocumentTable.of_texts(["a", ""], tokenizer)
    with pytest.raises(EmptySource, match="there is none"):
        DocumentTable.of_texts([], tokenizer)
    with pytest.raises(ConfigError, match="id 'x' stands twice, at 0 and 2"):
        DocumentTable.of_texts(["a", "b", "c"], tokenizer, ids=["x", "y", "x"])
    with pytest.raises(ConfigError, match="1 sources for 2 texts"):
        DocumentTable.of_texts(["a", "b"], tokenizer, sources=["one"])


def test_a_table_gives_back_its_documents_in_blocks_of_any_size(tables: Tables) -> None:
    pool = tables.pool
    for tokens in (1, 100, 10**6):
        rows, found = [], []
        for block, flat, starts in pool.blocks(tokens):
            rows += block.tolist()
            found += [flat[a:b].tolist() for a, b in pairwise(starts.tolist())]
        assert rows == list(range(len(pool)))
        assert found == [pool.document(row).tolist() for row in rows]
    assert pool.text(3).split()[0] in pool.text(3)
    assert pool.select(np.array([5, 2])).id_of(0) == pool.id_of(5)
    assert pool.select(np.array([5, 2])).key != pool.select(np.array([2, 5])).key
