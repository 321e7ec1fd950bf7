"""The algebra of merges on parameters, for every method of the table and for the linear one in detail."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cuvee.errors import MixtureError
from cuvee.merging.interface import Merger
from cuvee.merging.linear import Linear, merge_block
from cuvee.merging.merge import Merge
from cuvee.merging.pool import FlatPool
from cuvee.merging.registry import MERGERS
from cuvee.merging.roster import Roster
from tests.merging.tiny_pools import random_pool

POOL = random_pool(["web", "web", "code", "books", "code"], 5000)
MEMBERS = len(POOL.roster.members)


def by_hand(pool: FlatPool, weights: np.ndarray, scale: float) -> np.ndarray:
    """The definition, element by element in float64."""
    seed = pool.seed.double().numpy()
    total = seed.copy()
    for weight, branch in zip(weights, pool.branches.double().numpy(), strict=True):
        total += scale * weight * (branch - seed)
    return total


def relative_error(vector: torch.Tensor, truth: np.ndarray) -> float:
    return float(np.abs(vector.double().numpy() - truth).max() / np.abs(truth).max())


@pytest.mark.parametrize("merger", MERGERS.values(), ids=MERGERS.keys())
@pytest.mark.parametrize("member", range(MEMBERS))
def test_merging_one_model_returns_it_bit_for_bit(merger: Merger, member: int) -> None:
    bank = POOL.bank.clone()
    bank[1:, 0] = -0.0
    pool = FlatPool(POOL.roster, bank)
    merged = merger.merge(pool, np.eye(MEMBERS)[member])
    assert merged.numpy().tobytes() == pool.branches[member].numpy().tobytes()


@pytest.mark.parametrize("merger", MERGERS.values(), ids=MERGERS.keys())
def test_every_method_says_where_it_is_from(merger: Merger) -> None:
    assert merger.paper.startswith("https://")
    assert merger.deviations.endswith(".")


@given(
    st.lists(st.floats(0, 1), min_size=MEMBERS, max_size=MEMBERS).filter(lambda w: sum(w) > 0.01),
    st.floats(-1, 2),
    st.integers(0, MEMBERS),
)
def test_agrees_with_a_loop_in_float64(numbers: list[float], scale: float, zeros: int) -> None:
    weights = np.array(numbers) / sum(numbers)
    weights[:zeros] = 0.0
    assert relative_error(Linear().merge(POOL, weights, scale), by_hand(POOL, weights, scale)) <= 1e-6


def test_agrees_with_a_loop_in_float64_for_many_members() -> None:
    pool = random_pool([f"s{i}" for i in range(100)], 1000)
    weights = np.random.default_rng(0).dirichlet(np.ones(100))
    assert relative_error(Linear().merge(pool, weights), by_hand(pool, weights, 1.0)) <= 1e-6


@given(st.permutations(range(MEMBERS)))
def test_the_order_of_members_does_not_matter(order: list[int]) -> None:
    weights = np.random.default_rng(1).dirichlet(np.ones(MEMBERS))
    turned = FlatPool(
        Roster(POOL.roster.seed, tuple(POOL.roster.members[i] for i in order)),
        torch.cat([POOL.seed[None], POOL.branches[order]]),
    )
    left, right = Linear().merge(POOL, weights), Linear().merge(turned, weights[order])
    torch.testing.assert_close(left, right, rtol=1e-6, atol=1e-6)


def test_scale_zero_is_the_seed_bit_for_bit() -> None:
    assert torch.equal(Linear().merge(POOL, Merge.micro(POOL.roster).weights, 0.0), POOL.seed)


def test_macro_of_merges_is_one_linear_merge() -> None:
    merged = [
        Linear().merge(POOL, Merge.micro(POOL.roster, [source]).weights) for source in POOL.roster.sources
    ]
    at_once = Linear().merge(POOL, Merge.macro(POOL.roster).weights)
    torch.testing.assert_close(torch.stack(merged).mean(0), at_once, rtol=1e-6, atol=1e-6)


def test_a_block_gives_the_same_bits_as_single_merges() -> None:
    weights = np.random.default_rng(2).dirichlet(np.ones(MEMBERS), 6)
    weights[3] = np.eye(MEMBERS)[2]
    for row, flat in zip(weights, merge_block(POOL, weights), strict=True):
        assert torch.equal(flat, Linear().merge(POOL, row))


@pytest.mark.parametrize("weights", [[1.0], [np.nan] * MEMBERS])
def test_wrong_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(MixtureError):
        Linear().merge(POOL, np.array(weights))
