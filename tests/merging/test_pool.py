"""Pools: what they refuse, how they lie on disk, and what they measure."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cuvee.errors import CheckpointError, IncompatibleMembers
from cuvee.merging.pool import Branch, FlatPool
from cuvee.merging.roster import Member, Roster
from cuvee.models.checkpoint import content_hash
from cuvee.models.config import ModelConfig
from cuvee.models.llama import Llama
from tests.merging.tiny_pools import ClaimedCheckpoint, checkpoint, random_pool

MODEL = Llama(ModelConfig(vocabulary_size=8, context_length=4, width=2, layers=1, heads=1, hidden=2))
SEED = checkpoint(torch.zeros(6), "seed", ancestor=None, recipe="seed recipe")


def branch(name: str, **claims: str | None) -> Branch:
    return Branch(name, "web", 100, checkpoint(torch.full((6,), float(len(name))), name, **claims))


def test_builds_rows_in_order() -> None:
    pool = FlatPool.build(MODEL, SEED, [branch("a"), branch("bbb")])
    assert pool.roster.names == ("a", "bbb")
    assert pool.bank[:, 0].tolist() == [0, 1, 3]
    assert pool.branch("bbb")[0] == 3
    assert not pool.roster.forced


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"ancestor": "other"}, ["'a'", "'b'", "ancestor", "other"]),
        ({"ancestor": None}, ["'a'", "'b'", "ancestor", "unknown"]),
        ({"recipe": "other"}, ["'a'", "'b'", "recipe", "other"]),
        ({"tokenizer": "other"}, ["'seed'", "'b'", "tokenizer", "other"]),
        ({"model_hash": "other"}, ["'seed'", "'b'", "architecture", "other"]),
    ],
)
def test_members_that_do_not_belong_together_are_refused(
    claims: dict[str, str | None], told: list[str]
) -> None:
    with pytest.raises(IncompatibleMembers) as refusal:
        FlatPool.build(MODEL, SEED, [branch("a"), branch("b", **claims)])
    for word in told:
        assert word in str(refusal.value)


def test_a_pool_of_another_seed_is_refused() -> None:
    with pytest.raises(IncompatibleMembers, match=r"'seed' and 'a' differ in ancestor"):
        FlatPool.build(MODEL, SEED, [branch("a", ancestor="x"), branch("b", ancestor="x")])


def test_force_merges_strangers_and_says_so() -> None:
    pool = FlatPool.build(MODEL, SEED, [branch("a"), branch("b", ancestor="other")], force=True)
    assert pool.roster.forced
    with pytest.raises(IncompatibleMembers, match="architecture"):
        FlatPool.build(MODEL, SEED, [branch("a"), branch("b", model_hash="other")], force=True)


def test_broken_parameters_are_refused(tmp_path: Path) -> None:
    broken = Branch("b", "web", 100, checkpoint(torch.tensor([1.0, np.nan]), "b"))
    with pytest.raises(CheckpointError, match=r"'b'.*not finite"):
        FlatPool.build(MODEL, SEED, [broken])
    with pytest.raises(CheckpointError, match=r"'b'.*not finite"):
        FlatPool.build(
            MODEL,
            ClaimedCheckpoint(Path(), "model", "seed", flat=torch.zeros(2), tokenizer="words"),
            [broken],
            tmp_path,
        )
    assert not list(tmp_path.iterdir())


def test_a_pool_on_disk_is_the_pool_in_memory(tmp_path: Path) -> None:
    branches = [branch("a"), branch("bb")]
    memory, disk = FlatPool.build(MODEL, SEED, branches), FlatPool.build(MODEL, SEED, branches, tmp_path)
    saved = FlatPool.open(memory.save(tmp_path / "other"))
    for pool in (disk, saved, FlatPool.build(MODEL, SEED, branches, tmp_path)):
        assert pool.roster == memory.roster
        assert torch.equal(pool.bank, memory.bank)
    first, second = (path / "bank.npy" for path in sorted(tmp_path.rglob(memory.roster.key)))
    assert first.read_bytes() == second.read_bytes()


def test_writing_into_an_open_pool_does_not_reach_the_file(tmp_path: Path) -> None:
    pool = FlatPool.build(MODEL, SEED, [branch("a")], tmp_path)
    pool.bank.fill_(9.0)
    assert FlatPool.open(tmp_path / pool.roster.key).bank.max() == 1


def test_damaged_pools_are_told(tmp_path: Path) -> None:
    path = random_pool(["web"], 1000).save(tmp_path)
    file = path / "bank.npy"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="build again"):
        FlatPool.open(path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        FlatPool.open(tmp_path / "nowhere")


def test_one_flipped_bit_of_a_pool_is_refused(tmp_path: Path) -> None:
    path = random_pool(["web", "code"], 1000).save(tmp_path)
    file = path / "bank.npy"
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[-5000] ^= 0x40  # of the exponent, perhaps
    file.write_bytes(flipped)
    with pytest.raises(CheckpointError, match=r"parameters of web/0 in bank\.npy.*build again"):
        FlatPool.open(path)
    file.write_bytes(whole)
    assert FlatPool.open(path).size == 1000


def test_a_pool_of_an_earlier_version_is_compared_with_its_members(tmp_path: Path) -> None:
    models = torch.randn(2, 50)
    seed, member = (content_hash(one) for one in models)
    pool = FlatPool(Roster(seed, (Member("a", "web", 10, member),)), models)
    path = pool.save(tmp_path)
    (path / "roster.json").write_text(json.dumps(pool.roster.as_json()))
    assert torch.equal(FlatPool.open(path).bank, models)
    np.save(path / "bank.npy", models.numpy()[::-1])
    with pytest.raises(CheckpointError, match="the parameters of the seed model"):
        FlatPool.open(path)


def test_projection_and_gram_agree_with_float64() -> None:
    pool = random_pool(["a", "b", "c"], 200_000, spread=1e-3)
    deltas = (pool.branches.double() - pool.seed.double()).numpy()
    direction = torch.randn(200_000, generator=torch.Generator().manual_seed(3))
    np.testing.assert_allclose(pool.gram(), deltas @ deltas.T, rtol=1e-5, atol=1e-5 * (deltas[0] @ deltas[0]))
    exact = deltas @ direction.double().numpy()
    size = np.linalg.norm(deltas, axis=1) * float(direction.norm())
    assert (np.abs(pool.project(direction) - exact) / size).max() < 1e-6
