"""RegMix: the published protocol to its printed digits, and the honest one that never sees the test runs."""

import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import spearmanr

from benchmarks.laws import PILE, PILE_CC_OPTIMUM, published_optimum
from cuvee.errors import ConfigError
from cuvee.laws.regmix import TREES, RegMix, boosted
from cuvee.types import FloatArray
from tests.laws.samples import mixtures, runs
from tests.published import shared


@pytest.fixture
def lightgbm() -> None:
    pytest.importorskip("lightgbm", reason="the extra 'trees' is not installed")


def published(size: str) -> tuple[FloatArray, FloatArray, list[str], list[str]]:
    """Shares as they were published (rounded), losses, names of the losses, and the part of every run."""
    table = pq.read_table(shared(f"runs/regmix_{size}/runs.parquet")).to_pydict()
    shares, losses = (
        np.array([table[name] for name in table if name.startswith(kind)]).T for kind in ("w:", "m:")
    )
    return shares, losses, [name[2:] for name in table if name.startswith("m:")], table["split"]


def rank(predicted: FloatArray, measured: FloatArray) -> float:
    return 100.0 * float(spearmanr(predicted, measured).statistic)


def test_without_lightgbm_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ConfigError, match=r"pip install 'cuvee\[trees\]'"):
        RegMix().fit(runs(60))


@pytest.mark.usefixtures("lightgbm")
def test_all_trees_are_kept_unless_other_runs_say_when_to_stop() -> None:
    data, other = runs(120, 0, noise=0.05), runs(60, 1, noise=0.05)
    whole = boosted(data.shares, data.costs[:, 0])
    stopped = boosted(data.shares, data.costs[:, 0], (other.shares, other.costs[:, 0]))
    assert whole.num_trees() == TREES
    kept = stopped.best_iteration
    assert 1 <= kept < TREES - 3

    def after(trees: int) -> FloatArray:
        predicted = whole.predict(other.shares, num_iteration=trees, num_threads=1)
        return np.asarray(predicted) - other.costs[:, 0]

    np.testing.assert_array_equal(
        stopped.predict(other.shares, num_threads=1), after(kept) + other.costs[:, 0]
    )
    squares, sizes = (
        [float(np.mean(np.abs(after(kept + more)) ** power)) for more in range(4)] for power in (2, 1)
    )
    assert min(squares) == squares[0] or min(sizes) == sizes[0]


@pytest.mark.usefixtures("lightgbm")
def test_trees_follow_the_runs_and_leave_what_was_not_measured_out() -> None:
    data = runs(200)
    costs = data.costs.copy()
    costs[::4, 0] = np.nan
    holes = type(data)(data.sources, data.metrics, data.shares, costs, data.scale, data.own)
    fitted, asked = RegMix().fit(holes), runs(100, 7)
    for index in range(len(data.metrics)):
        assert rank(fitted.predict(asked.shares)[:, index], asked.costs[:, index]) > 90.0
    measured = np.isfinite(costs[:, 0])
    alone = boosted(data.shares[measured], costs[measured, 0])
    np.testing.assert_array_equal(
        fitted.predict(asked.shares)[:, 0], alone.predict(asked.shares, num_threads=1)
    )
    assert not fitted.convex


@pytest.mark.usefixtures("lightgbm")
def test_slopes_are_differences_over_two_hundredths_of_a_share() -> None:
    fitted, asked = RegMix().fit(runs(100)), mixtures(9, 4)
    slopes = fitted.gradient(asked)
    assert slopes.shape == (9, 3, 4)
    for source in range(4):
        moved = np.eye(4)[source] * 0.01
        expected = (fitted.costs(asked + moved) - fitted.costs(asked - moved)) / 0.02
        np.testing.assert_allclose(slopes[:, :, source], expected, rtol=1e-12)
    assert (slopes != 0).any()


@pytest.mark.usefixtures("lightgbm")
def test_the_published_figures_for_pile_cc() -> None:
    shares, losses, names, split = published("1m")
    large = published("60m")[1]
    train, target = np.array(split) == "train", names.index("pile_cc")
    model = boosted(shares[train], losses[train, target], (shares[~train], losses[~train, target]))
    predicted = model.predict(shares[~train], num_threads=1)
    assert rank(predicted, losses[~train, target]) == pytest.approx(98.92, abs=0.005)
    assert rank(predicted, large[:, target]) == pytest.approx(98.49, abs=0.005)
    optimum = published_optimum(lambda asked: model.predict(asked, num_threads=1), np.array(PILE))
    assert np.abs(optimum - PILE_CC_OPTIMUM).sum() < 1e-6


@pytest.mark.slow
@pytest.mark.usefixtures("lightgbm")
@pytest.mark.parametrize(("stops", "at_1m", "at_60m"), [(True, 98.95, 98.39), (False, 98.96, 98.41)])
def test_the_mean_of_all_metrics(stops: bool, at_1m: float, at_60m: float) -> None:
    shares, losses, names, split = published("1m")
    large = published("60m")[1]
    train = np.array(split) == "train"
    found = []
    for index in range(len(names)):
        seen = (shares[~train], losses[~train, index]) if stops else None
        predicted = boosted(shares[train], losses[train, index], seen).predict(shares[~train], num_threads=1)
        found.append([rank(predicted, losses[~train, index]), rank(predicted, large[:, index])])
    assert np.mean(found, axis=0) == pytest.approx([at_1m, at_60m], abs=0.01)
