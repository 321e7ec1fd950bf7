"""Merges of adapters are the weighted sums of their products: exact, whatever the factors are."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cuvee.errors import MixtureError
from cuvee.merging.adapted import AdaptedPool, SummedProducts, with_model
from cuvee.merging.geometry import Geometry
from cuvee.merging.linear import LinearMerge
from cuvee.merging.pool import Branch, FlatPool
from cuvee.merging.registry import ADAPTED_MERGERS, LINEAR, MERGERS, merger_of
from cuvee.models.adapted import AdaptedModel
from cuvee.models.checkpoint import save_checkpoint
from tests.merging.tiny_pools import roster
from tests.models.test_adapters import KINDS, adapted, dense, random_factors
from tests.models.tiny_models import batch

SOURCES = ["web", "web", "code", "books"]
MEMBERS = len(SOURCES)


def pool_of(model: AdaptedModel) -> AdaptedPool:
    rows = [model.initial(0), *(random_factors(model, seed) for seed in range(MEMBERS))]
    return AdaptedPool(roster(SOURCES), torch.stack(rows), model=model)


def whole(pool: AdaptedPool) -> FlatPool:
    """The same members as whole models."""
    return FlatPool(pool.roster, torch.stack([dense(pool.model, row) for row in pool.bank]))


WEIGHTS = [*np.random.default_rng(0).dirichlet(np.ones(MEMBERS), 3), np.array([0.0, 0.7, 0.0, 0.3])]


@pytest.mark.parametrize("kind", KINDS)
def test_a_merge_is_the_weighted_sum_of_dense_products(tmp_path: Path, kind: str) -> None:
    pool = pool_of(adapted(tmp_path, kind))
    for weights in WEIGHTS:
        merged = SummedProducts().merge(pool, weights)
        expected = pool.seed.double()
        for weight, row in zip(weights, pool.branches, strict=True):
            expected = expected + weight * (dense(pool.model, row).double() - pool.seed.double())
        torch.testing.assert_close(merged, expected.float(), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(merged, LinearMerge().merge(whole(pool), weights), rtol=1e-5, atol=1e-5)


def test_the_average_of_factors_is_another_model(tmp_path: Path) -> None:
    pool = pool_of(adapted(tmp_path, "gqa"))
    weights = np.full(MEMBERS, 1 / MEMBERS)
    averaged = pool.model.full(pool.branches.mean(dim=0))
    merged = SummedProducts().merge(pool, weights)
    assert (averaged - merged).norm() > 0.3 * (merged - pool.seed).norm()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("member", range(MEMBERS))
def test_a_merge_of_one_branch_is_that_branch_to_the_byte(tmp_path: Path, kind: str, member: int) -> None:
    pool = pool_of(adapted(tmp_path, kind))
    merged = SummedProducts().merge(pool, np.eye(MEMBERS)[member])
    assert torch.equal(merged, pool.model.full(pool.branches[member]))
    inputs, targets = batch(2, 12)
    assert torch.equal(
        pool.model.base.token_log_probs(merged, inputs, targets),
        pool.model.token_log_probs(pool.branches[member], inputs, targets),
    )


def test_a_merge_of_nothing_is_the_seed(tmp_path: Path) -> None:
    pool = pool_of(adapted(tmp_path, "gpt2"))
    assert torch.equal(SummedProducts().merge(pool, np.zeros(MEMBERS)), pool.seed)


def test_a_merge_does_not_depend_on_the_buffer_and_leaves_the_pool(tmp_path: Path) -> None:
    pool = pool_of(adapted(tmp_path, "gpt2"))
    before, buffer = pool.seed.clone(), torch.full((pool.size,), torch.nan)
    for weights in (*WEIGHTS, np.eye(MEMBERS)[2]):
        assert SummedProducts().merge(pool, weights, buffer) is buffer
        assert torch.equal(buffer, SummedProducts().merge(pool, weights))
    assert torch.equal(pool.seed, before)


@pytest.mark.parametrize("kind", KINDS)
def test_the_vector_jacobian_product_is_that_of_autograd(tmp_path: Path, kind: str) -> None:
    pool = pool_of(adapted(tmp_path, kind))
    direction = torch.randn(pool.size, generator=torch.Generator().manual_seed(3))
    deltas = torch.stack([dense(pool.model, row) for row in pool.branches]).double() - pool.seed.double()
    found = SummedProducts().vjp(pool, WEIGHTS[0], direction)
    np.testing.assert_allclose(found, (deltas @ direction.double()).numpy(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_and_angles_are_those_of_the_products(tmp_path: Path, kind: str) -> None:
    pool = pool_of(adapted(tmp_path, kind))
    ours, expected = Geometry.of(pool), Geometry.of(whole(pool))
    np.testing.assert_allclose(ours.gram, expected.gram, rtol=1e-3, atol=1e-3)
    assert ours.seed_norm == expected.seed_norm


@pytest.mark.parametrize("weights", [np.ones(3), np.array([0.5, 0.5, np.nan, 0.0])])
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, weights: np.ndarray) -> None:
    with pytest.raises(MixtureError):
        SummedProducts().merge(pool_of(adapted(tmp_path, "gqa")), weights)


def test_the_table_gives_each_pool_its_row(tmp_path: Path) -> None:
    pool = pool_of(adapted(tmp_path, "gqa"))
    assert isinstance(merger_of(LINEAR, pool), SummedProducts)
    assert isinstance(merger_of(LINEAR, whole(pool)), LinearMerge)
    assert set(ADAPTED_MERGERS) <= set(MERGERS)
    for merger in ADAPTED_MERGERS.values():
        assert merger.paper.startswith("https://") and merger.deviations.endswith(".")
    with pytest.raises(TypeError, match="whole models"):
        SummedProducts().merge(whole(pool), WEIGHTS[0])


def test_a_pool_on_disk_is_small_and_gives_the_same_merges(tmp_path: Path) -> None:
    model = adapted(tmp_path / "model", "gqa", ("q_proj", "v_proj"))
    seed = save_checkpoint(tmp_path / "start", model, model.initial(0))
    branches = [
        Branch(
            f"{source}/{row}",
            source,
            100,
            save_checkpoint(
                tmp_path / f"branch-{row}", model, random_factors(model, row), ancestor=seed.content_hash
            ),
        )
        for row, source in enumerate(SOURCES)
    ]
    built = with_model(FlatPool.build(model, seed, branches, tmp_path / "pools"), model)
    assert isinstance(built, AdaptedPool)
    in_memory = pool_of(model)
    for weights in WEIGHTS:
        assert torch.equal(SummedProducts().merge(built, weights), SummedProducts().merge(in_memory, weights))
    assert 10 * built.bank.numel() < whole(built).bank.numel()
    assert built.to("cpu").model is model
    queries, values = 32 * 32, 16 * 32
    assert built.merge_flops == 2 * 3 * MEMBERS * 2 * (queries + values)
