"""The training stream: pure in the step, true to the mixture, each window once an epoch."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuvee.errors import ConfigError, EmptySource, MissingSource, SourceError
from cuvee.mixture.mixture import Mixture
from cuvee.sources.shards import TokenShard
from cuvee.sources.stream import MixedStream
from tests.sources.helpers import make_shard, token_shard

T = 4


def shards(windows: dict[str, int], length: int = T) -> dict[str, list[TokenShard]]:
    """A source of n windows holds the tokens base, base + 1, ...: each token names its source and place."""
    return {
        name: [token_shard(name, range(1000 * i, 1000 * i + n * length + 1))]
        for i, (name, n) in enumerate(windows.items())
    }


def stream(windows: dict[str, int], shares: dict[str, float], **changes: Any) -> MixedStream:
    settings: dict[str, Any] = {"context_length": T, "batch_sequences": 3, "seed": 0} | changes
    return MixedStream(shards(windows), Mixture.of(shares), **settings)


mixtures = st.lists(st.integers(1, 20), min_size=1, max_size=5).map(
    lambda weights: {f"s{i}": weight / sum(weights) for i, weight in enumerate(weights)}
)


def test_targets_are_the_inputs_moved_by_one_and_tokens_come_from_one_window() -> None:
    inputs, targets = stream({"a": 5, "b": 7}, {"a": 0.5, "b": 0.5}).batch(3)
    assert inputs.shape == targets.shape == (3, T)
    assert inputs.dtype == targets.dtype == np.int64
    np.testing.assert_array_equal(targets, inputs + 1)
    assert (inputs[:, 0] % 1000 % T == 0).all()
    assert inputs.flags.c_contiguous
    assert targets.flags.c_contiguous


@settings(max_examples=40)
@given(mixtures, st.integers(1, 9), st.integers(0, 60), st.integers(0, 5))
def test_realised_counts_are_those_of_the_batches(
    shares: dict[str, float], batch_sequences: int, steps: int, seed: int
) -> None:
    windows = {name: 3 + 2 * i for i, name in enumerate(shares)}
    mixed = stream(windows, shares, batch_sequences=batch_sequences, seed=seed)
    counted: Counter[str] = Counter(dict.fromkeys(shares, 0))
    for step in range(steps):
        inputs, _ = mixed.batch(step)
        counted.update(mixed.sources[i] for i in inputs[:, 0] // 1000 for _ in range(T))
    assert mixed.realised(steps) == dict(counted)
    total = steps * batch_sequences * T
    for name, share in shares.items():
        assert abs(mixed.realised(steps)[name] - share * total) <= len(shares) * T
    expected = {name: counted[name] / (windows[name] * T) for name in shares}
    assert mixed.epochs(steps) == pytest.approx(expected)


@settings(max_examples=40)
@given(st.integers(1, 40), st.integers(1, 7), st.integers(0, 1000))
def test_every_window_is_visited_once_in_each_epoch(windows: int, batch_sequences: int, seed: int) -> None:
    mixed = stream({"a": windows}, {"a": 1.0}, batch_sequences=batch_sequences, seed=seed)
    epochs = 3
    steps = -(-epochs * windows // batch_sequences)
    visited = np.concatenate([mixed.draws(step)[1] for step in range(steps)])
    for epoch in range(epochs):
        assert sorted(visited[epoch * windows : (epoch + 1) * windows]) == list(range(windows))


def test_batches_are_pure_and_resume_anywhere() -> None:
    shares = {"a": 0.3, "b": 0.7}
    first = stream({"a": 11, "b": 5}, shares)
    forwards = [first.batch(step) for step in range(20)]
    for step in (19, 0, 7, 7):
        np.testing.assert_array_equal(stream({"a": 11, "b": 5}, shares).batch(step), forwards[step])


def test_orders_differ_between_epochs_seeds_and_sources() -> None:
    def order(seed: int, source: str, epoch: int) -> tuple[int, ...]:
        mixed = stream({source: 30}, {source: 1.0}, batch_sequences=30, seed=seed)
        return tuple(mixed.draws(epoch)[1].tolist())

    orders = {order(seed, source, epoch) for seed in (0, 1) for source in "ab" for epoch in (0, 1)}
    assert len(orders) == 8


def test_the_seed_does_not_change_the_turns_of_the_sources() -> None:
    shares = {"a": 0.4, "b": 0.6}
    first, second = (stream({"a": 9, "b": 9}, shares, seed=seed).draws(2)[0] for seed in (0, 1))
    np.testing.assert_array_equal(first, second)


@settings(max_examples=40)
@given(st.integers(1, 50), st.floats(0.01, 1.0), st.integers(0, 100))
def test_a_fraction_keeps_the_same_windows_in_every_epoch_and_seed(
    windows: int, fraction: float, seed: int
) -> None:
    def visited(seed: int, fraction: float, epoch: int) -> set[int]:
        mixed = stream({"a": windows}, {"a": 1.0}, batch_sequences=1, seed=seed, fractions={"a": fraction})
        used = mixed.unique_tokens["a"] // T
        assert used == max(1, int(np.ceil(fraction * windows - 1e-9)))
        steps = range(epoch * used, (epoch + 1) * used)
        seen = [int(mixed.draws(step)[1][0]) for step in steps]
        assert len(set(seen)) == used
        return set(seen)

    kept = visited(seed, fraction, 0)
    assert kept == visited(seed, fraction, 1) == visited(seed + 1, fraction, 0)
    assert kept <= visited(seed, min(1.0, fraction * 1.5), 0)


def test_an_exact_fraction_is_not_rounded_up() -> None:
    assert stream({"a": 100}, {"a": 1.0}, fractions={"a": 0.07}).unique_tokens == {"a": 7 * T}


def test_sources_without_a_share_need_no_shard_and_are_never_drawn() -> None:
    mixed = stream({"a": 4}, {"a": 1.0, "gone": 0.0})
    assert mixed.sources == ("a",)
    assert mixed.realised(10) == {"a": 10 * 3 * T}


def test_the_order_of_the_names_does_not_matter() -> None:
    windows = {"a": 9, "b": 4, "c": 5}
    left = stream(windows, {"a": 0.2, "b": 0.3, "c": 0.5})
    right = stream(windows, {"c": 0.5, "a": 0.2, "b": 0.3})
    for step in range(12):
        np.testing.assert_array_equal(left.batch(step), right.batch(step))


def test_windows_run_over_the_borders_of_shards() -> None:
    tokens = list(range(2 * T + 1))
    pieces = [token_shard("a", part) for part in (tokens[:3], tokens[3:4], tokens[4:])]
    settings: dict[str, Any] = {"context_length": T, "batch_sequences": 2, "seed": 3}
    one = MixedStream({"a": [token_shard("a", tokens)]}, Mixture.of({"a": 1.0}), **settings)
    many = MixedStream({"a": pieces}, Mixture.of({"a": 1.0}), **settings)
    np.testing.assert_array_equal(one.batch(0), many.batch(0))


def test_real_shards(tmp_path: Path) -> None:
    shard = make_shard(tmp_path / "x", ["abcdefgh", "ijklmnop"])
    mixed = MixedStream({"s": [shard]}, Mixture.of({"s": 1.0}), context_length=8, batch_sequences=2, seed=0)
    inputs, targets = mixed.batch(0)
    rows = {tuple(row) for row in np.concatenate([inputs, targets[:, -1:]], axis=1).tolist()}
    assert rows == {tuple(shard.tokens[:9].tolist()), tuple(shard.tokens[8:17].tolist())}


@pytest.mark.parametrize(
    ("error", "says", "changes"),
    [
        (MissingSource, "share of source 'b' but", {"shares": {"a": 0.5, "b": 0.5}}),
        (EmptySource, "5 tokens, fewer than one window of 10", {"context_length": 9}),
        (ConfigError, r"\(0, 1\]", {"fractions": {"a": 0.0}}),
        (ConfigError, r"\(0, 1\]", {"fractions": {"a": 1.5}}),
        (ConfigError, "at least 1", {"batch_sequences": 0}),
        (ConfigError, "at least 1", {"context_length": 0}),
    ],
)
def test_mistakes_are_told(error: type[Exception], says: str, changes: dict[str, Any]) -> None:
    shares = changes.pop("shares", {"a": 1.0})
    with pytest.raises(error, match=says):
        stream({"a": 1}, shares, **changes)


def test_steps_count_from_zero() -> None:
    with pytest.raises(ConfigError, match="count from 0"):
        stream({"a": 4}, {"a": 1.0}).batch(-1)


def test_shards_of_different_tokenizers_do_not_mix() -> None:
    pieces = [token_shard("a", range(9), "one"), token_shard("a", range(9), "two")]
    with pytest.raises(SourceError, match="2 different tokenizers"):
        MixedStream({"a": pieces}, Mixture.of({"a": 1.0}), context_length=2, batch_sequences=1, seed=0)
