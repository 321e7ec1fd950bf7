"""Lengths, angles and warnings, on deltas whose geometry is known."""

import numpy as np
import pytest
import torch

from cuvee.merging.geometry import Geometry, barrier, barrier_warnings
from cuvee.merging.pool import FlatPool
from tests.merging.tiny_pools import roster

SEED = torch.full((4,), 10.0)


def geometry(*deltas: list[float]) -> Geometry:
    bank = torch.cat([SEED[None], SEED + torch.tensor(deltas)])
    return Geometry.of(FlatPool(roster([f"s{i}" for i in range(len(deltas))]), bank))


def test_lengths_and_angles() -> None:
    found = geometry([3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0], [-6.0, -8.0, 0.0, 0.0])
    np.testing.assert_allclose(found.norms, [5, 5, 10])
    np.testing.assert_allclose(found.cosines, [[1, 0, -1], [0, 1, 0], [-1, 0, 1]], atol=1e-12)
    assert found.seed_norm == pytest.approx(20)
    assert found.warnings() == []


def test_unequal_lengths_are_told() -> None:
    (told,) = geometry([1.0, 0, 0, 0], [0, 2.5, 0, 0]).warnings()
    assert "'s1/1'" in told
    assert "2.5 times" in told


def test_members_far_from_the_seed_are_told() -> None:
    (told,) = geometry([25.0, 0, 0, 0], [0, 24.0, 0, 0]).warnings()
    assert "1.25 times the length of the seed model" in told


def test_a_member_that_never_moved_is_told() -> None:
    found = geometry([1.0, 0, 0, 0], [0.0, 0, 0, 0])
    assert "'s1/1' has not moved" in found.warnings()[0]
    np.testing.assert_array_equal(found.cosines, np.eye(2))


def test_barriers() -> None:
    members = np.array([[2.0, 4.0], [4.0, 2.0]])
    heights = barrier(np.array([[2.5, 3.5], [2.0, 1.0]]), members, np.array([[0.5, 0.5], [1.0, 0.0]]))
    np.testing.assert_allclose(heights, [[-0.5, 0.5], [0.0, -3.0]])
    (told,) = barrier_warnings(["web", "code"], heights)
    assert told.startswith("code: 1 of 2 merges")
    assert "0.500" in told
