"""The algebra of merges on parameters, for every method of the table and for the linear one in detail."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cuvee.errors import ConfigError, MixtureError
from cuvee.merging.interface import Merger
from cuvee.merging.linear import LinearMerge
from cuvee.merging.pool import FlatPool
from cuvee.merging.registry import MERGERS, NEEDS
from cuvee.merging.roster import Roster
from tests.merging.measured_pools import measured
from tests.merging.tiny_pools import random_pool

POOL = random_pool(["web", "web", "code", "books", "code"], 5000)
MEMBERS = len(POOL.roster.members)


def by_hand(pool: FlatPool, weights: np.ndarray) -> np.ndarray:
    """The definition, element by element in float64."""
    seed = pool.seed.double().numpy()
    total = seed.copy()
    for weight, branch in zip(weights, pool.branches.double().numpy(), strict=True):
        total += weight * (branch - seed)
    return total


def relative_error(vector: torch.Tensor, truth: np.ndarray) -> float:
    return float(np.abs(vector.double().numpy() - truth).max() / np.abs(truth).max())


@pytest.mark.parametrize("method", MERGERS)
@pytest.mark.parametrize("member", range(MEMBERS))
def test_merging_one_model_returns_it_bit_for_bit(method: str, member: int) -> None:
    bank = POOL.bank.clone()
    bank[1:, 0] = -0.0
    pool = measured(FlatPool(POOL.roster, bank), method)
    merged = MERGERS[method].merge(pool, np.eye(MEMBERS)[member])
    assert merged.numpy().tobytes() == pool.branches[member].numpy().tobytes()


@pytest.mark.parametrize("merger", MERGERS.values(), ids=MERGERS.keys())
def test_every_method_says_where_it_is_from(merger: Merger) -> None:
    assert merger.paper.startswith("https://")
    assert merger.deviations.endswith(".")


@pytest.mark.parametrize("method", MERGERS)
def test_a_merge_does_not_depend_on_the_buffer_it_is_written_to(method: str) -> None:
    buffer, merger, pool = torch.full((POOL.size,), torch.nan), MERGERS[method], measured(POOL, method)
    for weights in (*np.random.default_rng(2).dirichlet(np.ones(MEMBERS), 6), np.eye(MEMBERS)[2]):
        assert merger.merge(pool, weights, buffer) is buffer
        assert torch.equal(buffer, merger.merge(pool, weights))


@pytest.mark.parametrize("method", MERGERS)
def test_the_vector_jacobian_product_is_that_of_differences_along_the_simplex(method: str) -> None:
    pool = measured(FlatPool(POOL.roster, POOL.bank[:, :200].clone()), method)
    merger, weights = (
        MERGERS[method],
        0.5 / MEMBERS + 0.5 * np.random.default_rng(3).dirichlet(np.ones(MEMBERS)),
    )
    direction = torch.randn(200, generator=torch.Generator().manual_seed(4))
    found = merger.vjp(pool, weights, direction)
    assert found.shape == (MEMBERS,) and found.dtype == np.float64
    for member in range(MEMBERS):
        step = 0.003 * (np.eye(MEMBERS)[member] - weights)
        ahead, behind = (merger.merge(pool, weights + sign * step).double() for sign in (1, -1))
        slope = float(direction.double() @ (ahead - behind)) / 0.006
        assert found[member] - weights @ found == pytest.approx(slope, rel=1e-2, abs=1e-2)


def test_the_linear_one_has_derivatives_off_the_simplex_too() -> None:
    weights, direction = (
        np.full(MEMBERS, 0.3),
        torch.randn(POOL.size, generator=torch.Generator().manual_seed(4)),
    )
    found = LinearMerge().vjp(POOL, weights, direction)
    for member, step in enumerate(0.01 * np.eye(MEMBERS)):
        ahead, behind = (LinearMerge().merge(POOL, weights + sign * step).double() for sign in (1, -1))
        slope = float(direction.double() @ (ahead - behind)) / 0.02
        assert found[member] == pytest.approx(slope, rel=1e-2, abs=1e-2)


@pytest.mark.parametrize("method", NEEDS)
@pytest.mark.parametrize(
    "weights", [[0.7, 0.7, 0, 0, 0], [1.5, -0.5, 0, 0, 0], [0.0] * 5, [np.nan] * 5, [1.0]]
)
def test_weights_that_mean_nothing_to_a_method_are_refused(method: str, weights: list[float]) -> None:
    pool, direction = measured(POOL, method), torch.zeros(POOL.size)
    with pytest.raises(MixtureError, match="merge: "):
        MERGERS[method].merge(pool, np.array(weights))
    with pytest.raises(MixtureError, match="merge: "):
        MERGERS[method].vjp(pool, np.array(weights), direction)


@pytest.mark.parametrize("method", NEEDS)
def test_a_pool_without_what_a_method_needs_is_refused(method: str) -> None:
    with pytest.raises(ConfigError, match="needs statistics of kind"):
        MERGERS[method].merge(POOL, np.full(MEMBERS, 0.2))


@given(
    st.lists(st.floats(0, 1), min_size=MEMBERS, max_size=MEMBERS).filter(lambda w: sum(w) > 0.01),
    st.floats(-1, 2),
    st.integers(0, MEMBERS),
)
def test_agrees_with_a_loop_in_float64_off_the_simplex_too(
    numbers: list[float], total: float, zeros: int
) -> None:
    weights = total * np.array(numbers) / sum(numbers)
    weights[:zeros] = 0.0
    assert relative_error(LinearMerge().merge(POOL, weights), by_hand(POOL, weights)) <= 1e-6


def test_agrees_with_a_loop_in_float64_for_many_members() -> None:
    pool = random_pool([f"s{i}" for i in range(100)], 1000)
    weights = np.random.default_rng(0).dirichlet(np.ones(100))
    assert relative_error(LinearMerge().merge(pool, weights), by_hand(pool, weights)) <= 1e-6


@given(st.permutations(range(MEMBERS)))
def test_the_order_of_members_does_not_matter(order: list[int]) -> None:
    weights = np.random.default_rng(1).dirichlet(np.ones(MEMBERS))
    turned = FlatPool(
        Roster(POOL.roster.seed, tuple(POOL.roster.members[i] for i in order)),
        torch.cat([POOL.seed[None], POOL.branches[order]]),
    )
    left, right = LinearMerge().merge(POOL, weights), LinearMerge().merge(turned, weights[order])
    torch.testing.assert_close(left, right, rtol=1e-6, atol=1e-6)


def test_no_weight_is_the_seed_bit_for_bit() -> None:
    assert torch.equal(LinearMerge().merge(POOL, np.zeros(MEMBERS)), POOL.seed)


def test_a_merge_of_merges_is_one_linear_merge() -> None:
    sources = POOL.roster.spread()
    merged = [LinearMerge().merge(POOL, row) for row in sources]
    at_once = LinearMerge().merge(POOL, sources.mean(axis=0))
    torch.testing.assert_close(torch.stack(merged).mean(0), at_once, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("weights", [[1.0], [np.nan] * MEMBERS])
def test_wrong_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(MixtureError):
        LinearMerge().merge(POOL, np.array(weights))
