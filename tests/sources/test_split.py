"""Which document goes to which part."""

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuvee.errors import ConfigError, EmptySource
from cuvee.sources.permutation import mix64
from cuvee.sources.split import SplitOptions, unit_part


def digests(count: int, salt: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    data = b"".join(hashlib.sha256(f"{salt}/{i}".encode()).digest() for i in range(count))
    return np.frombuffer(data, dtype=np.uint8).reshape(-1, 32)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (SplitOptions(), ("eval", "seed", "unit-0")),
        (SplitOptions(units=2), ("eval", "seed", "unit-0", "unit-1")),
        (SplitOptions(seed_fraction=0), ("eval", "unit-0")),
        (SplitOptions(eval_fraction=0), ("seed", "unit-0")),
        (SplitOptions(eval_fraction=0, seed_fraction=0), ("unit-0",)),
    ],
)
def test_parts(options: SplitOptions, parts: tuple[str, ...]) -> None:
    assert options.parts == parts
    counts = np.bincount(options.assign(digests(20_000)), minlength=len(parts))
    held_out = options.eval_fraction
    seed = (1 - held_out) * options.seed_fraction
    unit = (1 - held_out - seed) / options.units
    expected = [share for share in (held_out, seed) if share] + [unit] * options.units
    np.testing.assert_allclose(counts / 20_000, expected, atol=0.015)


def test_the_rule_by_hand() -> None:
    options = SplitOptions(eval_fraction=0.25, seed_fraction=0.5, units=2)
    table = digests(200)
    mixed = mix64(np.array([int.from_bytes(row[:8].tobytes(), "big") for row in table], dtype=np.uint64))

    def part(value: int) -> str:
        if value < 2**62:
            return "eval"
        if value < 2**62 + 3 * 2**61:
            return "seed"
        return f"unit-{value % 2}"

    assert [options.parts[i] for i in options.assign(table)] == [part(int(value)) for value in mixed]


def test_a_corpus_that_was_cut_by_its_hashes_is_divided_like_any_other() -> None:
    table = digests(20_000)
    smallest = table[table[:, 0] == 0]
    counts = np.bincount(SplitOptions(eval_fraction=0.3).assign(smallest), minlength=3) / len(smallest)
    np.testing.assert_allclose(counts, [0.3, 0.14, 0.56], atol=0.15)


def test_a_document_stays_when_others_come_and_the_held_out_part_only_grows() -> None:
    few, many = (SplitOptions().assign(digests(n)) for n in (100, 1000))
    np.testing.assert_array_equal(few, many[:100])
    larger = SplitOptions(eval_fraction=0.2).assign(digests(1000))
    assert (larger[many == 0] == 0).all()


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 50))
def test_no_part_stays_empty(count: int, units: int, salt: int) -> None:
    options = SplitOptions(units=units)
    if count < units + 2:
        with pytest.raises(EmptySource, match=f"'s' has {count} documents? to use but {units + 2} parts"):
            options.divide("s", digests(count, salt))
        return
    table = digests(count, salt)
    assigned, moved = options.divide("s", table)
    assert set(assigned.tolist()) == set(range(units + 2))
    assert moved == int((assigned != options.assign(table)).sum())
    order = np.random.default_rng(salt).permutation(count)
    np.testing.assert_array_equal(options.divide("s", table[order])[0], assigned[order])


def test_the_document_of_lowest_hash_of_the_largest_part_moves() -> None:
    options = SplitOptions(eval_fraction=0.001)
    table = digests(6)
    before = options.assign(table)
    assert np.bincount(before, minlength=3).tolist() == [0, 1, 5]
    after, moved = options.divide("s", table)
    assert moved == 1
    (document,) = np.flatnonzero(after == 0)
    in_unit = [row.tobytes() for row in table[before == 2]]
    assert table[document].tobytes() == min(in_unit)


@pytest.mark.parametrize(
    "changes", [{"eval_fraction": 1.0}, {"eval_fraction": -0.1}, {"seed_fraction": 1.0}, {"units": 0}]
)
def test_impossible_options_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        SplitOptions(**changes)


def test_names_of_units() -> None:
    assert unit_part(3) == "unit-3"
