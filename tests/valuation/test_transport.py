"""Entropic transport: its potentials are derivatives of its cost, whole and in batches."""

import sys

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.progress import Silent
from cuvee.types import FloatArray
from cuvee.valuation import transport
from cuvee.valuation.ground_cost import SquaredDistances
from cuvee.valuation.substrates import NotAtHand
from cuvee.valuation.transport import Duals, Transport, entropic_duals

ot = pytest.importorskip("ot")


def cloud(seed: int, count: int, middle: float = 0.0, width: int = 8) -> FloatArray:
    """Unit vectors around a direction."""
    vectors = np.random.default_rng(seed).standard_normal((count, width)) + middle
    result: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return result


def taken_evenly(count: int, row: int, step: float) -> FloatArray:
    """Masses of which one row has more, at the cost of all others."""
    masses = np.full(count, (1.0 - step * count / (count - 1)) / count)
    masses[row] += step * count / (count - 1)
    return masses


def differences(costs: SquaredDistances, how: Transport, rows: list[int], step: float = 1e-5) -> FloatArray:
    count = costs.shape[0]
    ahead, behind = (
        [how.duals(costs, 0, taken_evenly(count, row, sign * step)).cost for row in rows]
        for sign in (1.0, -1.0)
    )
    return (np.array(ahead) - np.array(behind)) / (2.0 * step)


@pytest.mark.parametrize("smoothing", [0.02, 0.05, 0.2])
def test_the_calibrated_gradient_is_the_central_difference(smoothing: float) -> None:
    """Acceptance: within 1e-6."""
    costs, how = SquaredDistances(cloud(0, 60), cloud(1, 40, 0.3)), Transport(smoothing)
    rows = [0, 7, 31, 59]
    found = how.duals(costs, 0).calibrated
    assert np.abs(found).mean() > 0.01
    assert differences(costs, how, rows) == pytest.approx(found[rows], abs=1e-7)


def test_in_batches_it_is_the_derivative_of_transport_between_batches() -> None:
    """Also of mass that moves from batch to batch, which SAVA leaves out."""
    costs, how = SquaredDistances(cloud(0, 60), cloud(1, 40, 0.3)), Transport(0.1, batch=16)
    rows = [0, 7, 31, 59]
    found = how.duals(costs, 0)
    assert differences(costs, how, rows) == pytest.approx(found.calibrated[rows], abs=1e-6)
    assert found.f.mean() + found.g.mean() == pytest.approx(found.cost, abs=1e-12)


def test_batches_rank_documents_as_the_whole_does() -> None:
    costs = SquaredDistances(cloud(0, 1200), cloud(1, 900, 0.5))
    whole = Transport(0.1).duals(costs, 0).calibrated
    batched = Transport(0.1, batch=300).duals(costs, 0).calibrated
    assert np.corrcoef(whole, batched)[0, 1] > 0.98


def test_without_smoothing_it_is_the_linear_programme() -> None:
    """POT's exact solver as oracle: the cost, and potentials that are feasible and complementary."""
    costs = SquaredDistances(cloud(0, 30), cloud(1, 20, 0.3))
    matrix = costs.block(np.arange(30), np.arange(20))
    a, b = np.full(30, 1 / 30), np.full(20, 1 / 20)
    exact = float(ot.emd2(a, b, matrix))
    for epsilon in (0.3, 0.1, 0.03, 0.02):
        found = entropic_duals(matrix, a, b, epsilon)
        assert -1e-9 < found.cost - exact <= epsilon * np.log(20)  # no plan tells more of a column than which
        assert (found.f[:, None] + found.g - matrix).max() <= epsilon * np.log(600)
        assert exact - 1e-9 < found.plan_cost <= found.cost


def test_two_points_have_a_closed_form() -> None:
    """By symmetry the plan is diagonal or not: half of e^-(d / e) each."""
    d, epsilon = 1.5, 0.5
    found = entropic_duals(np.array([[0.0, d], [d, 0.0]]), np.full(2, 0.5), np.full(2, 0.5), epsilon)
    expected = -epsilon * np.log((1.0 + np.exp(-d / epsilon)) / 2.0)
    assert found.cost == pytest.approx(expected, abs=1e-9)


def test_one_pair_costs_what_lies_between() -> None:
    found = Transport().duals(SquaredDistances(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])), 0)
    assert found.cost == pytest.approx(2.0)
    assert found.calibrated.tolist() == [0.0]


def test_equal_vectors_cost_nothing() -> None:
    same = np.full((5, 3), 0.1)
    found = Transport().duals(SquaredDistances(same, same[:2]), 0)
    assert (found.cost, found.f.tolist()) == (0.0, [0.0] * 5)


def test_costs_that_kernels_cannot_hold_are_solved_on_logarithms() -> None:
    """Same costs, once with a pair so dear that exp(-C / e) is zero in double precision."""
    matrix = SquaredDistances(cloud(0, 12), cloud(1, 9)).block(np.arange(12), np.arange(9))
    a, b = np.full(12, 1 / 12), np.full(9, 1 / 9)
    plain = entropic_duals(matrix, a, b, 0.1)
    dear = matrix.copy()
    dear[0, 0] += 1e4
    found = entropic_duals(dear, a, b, 0.1)
    assert np.isfinite(found.f).all()
    plan = np.outer(a, b) * np.exp((found.f[:, None] + found.g - dear) / 0.1)
    assert plan.sum(axis=0) == pytest.approx(b, abs=1e-7)
    assert found.cost > plain.cost


def test_the_mean_cost_is_that_of_all_pairs() -> None:
    costs = SquaredDistances(cloud(0, 50).astype(np.float32), cloud(1, 30, 0.2).astype(np.float32))
    assert costs.mean == pytest.approx(costs.block(np.arange(50), np.arange(30)).mean(), rel=1e-6)


def test_the_same_seed_gives_the_same_bytes() -> None:
    costs, how = SquaredDistances(cloud(0, 100), cloud(1, 40)), Transport(0.1, batch=30)
    first, again, other = (how.duals(costs, seed).f.tobytes() for seed in (0, 0, 1))
    assert first == again != other


def test_progress_hears_of_each_pair_of_batches() -> None:
    heard: list[float] = []

    class Listener(Silent):
        def stage(self, title: str, total: float, unit: str) -> None:
            heard.append(-total)

        def advance(self, amount: float, note: str = "") -> None:
            heard.append(amount)

    Transport(0.2, batch=50).duals(SquaredDistances(cloud(0, 100), cloud(1, 40)), 0, progress=Listener())
    assert heard == [-2.0, 1.0, 1.0]


def test_what_does_not_converge_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ITERATIONS", 3)
    with pytest.raises(
        ConfigError, match=r"of the mass is in a wrong place after 3 iterations; raise the smoothing"
    ):
        Transport(0.01).duals(SquaredDistances(cloud(0, 60), cloud(1, 40, 1.0)), 0)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((0, 3)), np.ones((2, 3)), "the pool is empty"),
        (np.ones((2, 3)), np.ones((0, 3)), "the target is empty"),
        (np.ones((2, 3)), np.ones((2, 4)), "widths must agree"),
        (np.array([[1.0], [np.nan]]), np.ones((2, 1)), "vector 1 of the pool is not finite"),
    ],
)
def test_vectors_that_are_none_are_refused(x: FloatArray, y: FloatArray, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SquaredDistances(x, y)


@pytest.mark.parametrize("masses", [np.array([0.5, 0.4]), np.array([1.0, 0.0]), np.array([1.0])])
def test_masses_that_are_none_are_refused(masses: FloatArray) -> None:
    with pytest.raises(ConfigError, match="2 masses are needed"):
        Transport().duals(SquaredDistances(cloud(0, 2), cloud(1, 3)), 0, masses)


@pytest.mark.parametrize(("smoothing", "batch"), [(0.0, 8), (-1.0, 8), (np.nan, 8), (0.1, 0)])
def test_settings_that_are_none_are_refused(smoothing: float, batch: int) -> None:
    with pytest.raises(ConfigError, match="smoothing must be positive"):
        Transport(smoothing, batch)


def test_without_pot_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(NotAtHand, match=r"cuvee\[ot\]"):
        Transport().duals(SquaredDistances(cloud(0, 2), cloud(1, 3)), 0)


def test_one_row_has_nothing_to_take_from() -> None:
    assert Duals(np.array([3.0]), np.zeros(2), 1.0, 1.0).calibrated.tolist() == [0.0]
