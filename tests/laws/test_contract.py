"""What every row of ``LAWS`` must do, and what its file must tell."""

import json
import math
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.laws.interface import FittedLaw, LawData, Scale
from cuvee.laws.registry import LAWS, law_named
from cuvee.types import FloatArray
from tests.laws.samples import METRICS, SOURCES, mixtures, runs, truth

LAW_NAMES = list(LAWS)


def sized(count: int = 60, seed: int = 0) -> LawData:
    """Runs of several sizes; one metric misses in three of them."""
    data = runs(count, seed, noise=0.003)
    rng = np.random.default_rng(seed + 9)
    params, tokens = (10.0 ** rng.uniform(*ends, count) for ends in ((6, 8), (8, 10)))
    costs = data.costs + (0.4 * (params / 1e7) ** -0.3 + 0.3 * (tokens / 1e9) ** -0.4)[:, None]
    costs[:3, 1] = np.nan
    return replace(data, costs=costs, scale=Scale(params, tokens))


def curves(seed: int = 0) -> LawData:
    """Twelve mixtures at three sizes, each told at four lengths; one metric misses in three of the rows."""
    params, tokens = (part.ravel() for part in np.meshgrid([3e6, 1e7, 4e7], [4e8, 1e9, 2e9, 4e9]))
    shares = np.repeat(mixtures(12, seed), len(params), axis=0)
    params, tokens = np.tile(params, 12), np.tile(tokens, 12)
    costs = truth(shares) + (0.4 * (params / 1e7) ** -0.3 + 0.3 * (tokens / 1e9) ** -0.4)[:, None]
    costs += 0.003 * np.random.default_rng(seed + 1).normal(size=costs.shape)
    costs[:3, 1] = np.nan
    return LawData(SOURCES, METRICS, shares, costs, Scale(params, tokens), runs(1).own)


DATA = sized()
CURVES = {"nested": curves()}
"""For laws that extend learning curves; runs that share neither mixture nor size have none."""
ASKED = 0.02 + 0.92 * mixtures(7, 77)
AT = Scale(2e7, 3e9)
FITTED: dict[str, FittedLaw] = {}


def data_of(name: str) -> LawData:
    return CURVES.get(name, DATA)


def fitted(name: str) -> FittedLaw:
    if name not in FITTED:
        if name == "regmix":
            pytest.importorskip("lightgbm", reason="the extra 'trees' is not installed")
        FITTED[name] = law_named(name).fit(data_of(name))
    return FITTED[name]


@pytest.mark.parametrize("name", LAW_NAMES)
def test_a_row_tells_what_it_is(name: str) -> None:
    law = LAWS[name]
    assert law.name == name
    assert law.paper.startswith("https://")
    assert law.needs and law.cost and law.deviations
    assert law.parameters(5) >= 1


@pytest.mark.parametrize("name", LAW_NAMES)
def test_shapes_and_sense(name: str) -> None:
    law = fitted(name)
    assert (law.law, law.sources, law.metrics) == (name, SOURCES, METRICS)
    assert law.predict(ASKED, AT).shape == law.deviation(ASKED, AT).shape == (7, 3)
    assert law.gradient(ASKED, AT).shape == (7, 3, 4)
    assert (law.deviation(ASKED, AT) >= 0).all()
    data = data_of(name)
    measured = np.isfinite(data.costs)
    error = np.where(measured, law.predict(data.shares, data.scale) - data.costs, 0.0)
    spread = np.nanstd(data.costs, axis=0)
    if name != "data_mixing_m3":  # one number for all sources: the paper's own counter-example
        assert (np.sqrt((error**2).sum(axis=0) / measured.sum(axis=0)) < spread).all()


@pytest.mark.parametrize("name", [name for name in LAW_NAMES if name != "regmix"])
def test_gradients_are_differences(name: str) -> None:
    law = fitted(name)
    step = 1e-6
    for source in range(len(SOURCES)):
        moved = np.zeros(len(SOURCES))
        moved[source] = step
        slope = (law.costs(ASKED + moved, AT) - law.costs(ASKED - moved, AT)) / (2 * step)
        size = np.abs(law.gradient(ASKED, AT)).max()
        assert np.abs(law.gradient(ASKED, AT)[:, :, source] - slope).max() < 1e-5 * max(size, 1.0)


@pytest.mark.parametrize("name", LAW_NAMES)
def test_the_same_runs_give_the_same_law_here_and_in_another_process(name: str) -> None:
    law = fitted(name)
    assert json.dumps(law_named(name).fit(data_of(name)).as_json()) == json.dumps(law.as_json())
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(law)).predict(ASKED, AT), law.predict(ASKED, AT))


@pytest.mark.parametrize("name", LAW_NAMES)
def test_a_law_that_says_it_is_convex_is_so(name: str) -> None:
    law = fitted(name)
    if not law.convex:
        return
    ends = mixtures(400, 5)
    left, right = ends[:200], ends[200:]
    middle = law.predict((left + right) / 2.0, AT)
    assert (middle <= (law.predict(left, AT) + law.predict(right, AT)) / 2.0 + 1e-9).all()


@pytest.mark.parametrize("name", LAW_NAMES)
def test_the_file_is_enough_to_predict_by_hand(name: str) -> None:
    law = fitted(name)
    document = json.loads(json.dumps(law.as_json(), allow_nan=False))
    assert document["law"] == name
    assert document["sources"] == list(SOURCES)
    np.testing.assert_allclose(by_hand(document), law.predict(ASKED, AT), rtol=1e-9)


def by_hand(document: Any) -> FloatArray:
    """Predictions [7, 3] from the file alone."""
    if "members" in document:
        parts = [
            weight * by_hand(m) for weight, m in zip(document["weights"], document["members"], strict=True)
        ]
        return np.sum(parts, axis=0)
    if document["law"] in TOGETHER:
        return TOGETHER[document["law"]](document)
    return np.stack([EVALUATED[document["law"]](p) for p in document["metrics"].values()], axis=1)


W, N, D = ASKED, AT.params, AT.tokens
A = np.asarray


def gaussian_process(p: Any, feature: FloatArray) -> FloatArray:
    x, points = (feature - A(p["centre"])) / p["size"], A(p["points"])
    away = (x[:, None, :] - points[None]) * A(p["inverse_lengths"])
    d = np.sqrt(5.0 * (away**2).sum(axis=2))
    k = p["signal"] * (1 + d + d**2 / 3) * np.exp(-d) + p["linear"] * (x @ points.T / len(SOURCES) + 1)
    result: FloatArray = p["shift"] + p["spread"] * (k @ A(p["weights"]))
    return result


def trees(p: Any) -> FloatArray:
    def leaf(node: Any, w: FloatArray) -> float:
        while "leaf_value" not in node:
            left = w[node["split_feature"]] <= node["threshold"]
            node = node["left_child" if left else "right_child"]
        return float(node["leaf_value"])

    return np.array([sum(leaf(tree, w) for tree in p["trees"]) for w in W])


def nested(document: Any) -> FloatArray:
    """Curves to D, mixtures to N, and M4 on these, as ``data_mixing_m4`` fits it."""
    shares = A(document["mixtures"])
    costs = np.full((len(shares), len(document["metrics"])), np.nan)
    for index, p in enumerate(document["metrics"].values()):
        ends: dict[int, list[tuple[float, float]]] = {}
        for c in p["curves"]:
            end = (c["N"] ** -document["alpha"], c["E"] + c["B"] * D ** -c["beta"])
            ends.setdefault(c["mixture"], []).append(end)
        points = {mixture: A(end).T for mixture, end in ends.items()}
        slopes = {m: max(0.0, np.polyfit(x, y, 1)[0]) for m, (x, y) in points.items() if len(x) > 1}
        for mixture, (x, y) in points.items():
            slope = slopes.get(mixture, np.mean(list(slopes.values())))
            costs[mixture, index] = (y - slope * x).mean() + slope * N ** -document["alpha"]
    names, unknown = tuple(document["metrics"]), np.full(len(shares), np.nan)
    data = LawData(SOURCES, names, shares, costs, Scale(unknown, unknown), CURVES["nested"].own)
    return law_named("data_mixing_m4").fit(data).predict(W)


def capacity_allocation(document: Any) -> FloatArray:
    """The capacities by bisection on log lambda."""
    c, b, a = (A(document[name]) for name in "cba")
    counted = W + A(document["eps"])
    low, high = np.full((len(W), 1), -100.0), np.full((len(W), 1), 100.0)
    for _ in range(100):
        price = (low + high) / 2
        x = (counted * b * c / np.exp(price)) ** (1 / (1 + b))
        over = x.sum(axis=1, keepdims=True) > N
        low, high = np.where(over, price, low), np.where(over, high, price)
    left = c * x**-b + A(document["A"]) * (D * counted) ** -a
    return np.stack([p["E"] + left @ A(p["v"]) for p in document["metrics"].values()], axis=1)


def effective(p: Any) -> FloatArray:
    total = p.get("eps", 0.0) + (A(p["C"]) * W ** A(p["g"])).sum(axis=1)
    result: FloatArray = p["E"] + total ** -p.get("b", 1.0)
    return result


def projektor(document: Any) -> FloatArray:
    ot = (A(document["heights"])[:, None] + A(document["slopes"]) @ W.T).max(axis=0)
    rows = [
        p["c0"] + (W**2 @ p["b2"] + W @ p["b1"]) * ot + W**2 @ p["c2"] + W @ p["c1"]
        for p in document["metrics"].values()
    ]
    return np.stack(rows, axis=1)


EVALUATED: dict[str, Any] = {
    "linear": lambda p: W @ A(p["B"]),
    "log_linear": lambda p: p["c"] + np.exp(W @ A(p["t"])),
    "data_mixing_m1": lambda p: p["c"] + (A(p["k"]) * np.exp(A(p["t"]) * W)).sum(axis=1),
    "data_mixing_m2": lambda p: p["c"] + (p["k"] * np.exp(A(p["t"]) * W)).sum(axis=1),
    "data_mixing_m3": lambda p: p["c"] + p["k"] * np.exp(p["t"] * (p["S"] * W).prod(axis=1)),
    "data_mixing_m4": lambda p: p["c"] + p["k"] * np.exp(W @ A(p["t"])),
    "bimix": lambda p: (A(p["F"]) * (W + 1e-4) ** -A(p["a"])).sum(axis=1) * (1 + p["B"] * D ** -p["beta"]),
    "regmix": trees,
    "effective_data": lambda p: effective(p) + W @ A(p["B"]),
    "gp_sqrt": lambda p: gaussian_process(p, np.sqrt(W)),
    "gp_log": lambda p: gaussian_process(p, np.log(W + 1e-3)),
    "effective_data_scaling": lambda p: (
        p["E"]
        + (p["eps"] + (A(p["C"]) * (W * D) ** A(p["g"])).sum(axis=1)) ** -p["b"]
        + p["A"] * N ** -p["alpha"]
        + p["T"] * D ** -p["tau"]
        + W @ A(p["B"])
    ),
    "additive_scaling": lambda p: effective(p) + p["A"] * N ** -p["alpha"] + p["B"] * D ** -p["beta"],
    "joint_scaling": lambda p: (
        effective(p)
        + p["P0"] * (W @ A(p["P"])) ** p["p"] * N ** -p["alpha"]
        + p["Q0"] * (W @ A(p["Q"])) ** p["q"] * D ** -p["beta"]
    ),
}

TOGETHER: dict[str, Callable[[Any], FloatArray]] = {
    "nested": nested,
    "projektor": projektor,
    "capacity_allocation": capacity_allocation,
}
"""Laws whose metrics share what the file tells once."""


def test_a_law_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"no law 'linaer' \(did you mean 'linear'\?\).*bimix"):
        law_named("linaer")


@pytest.mark.parametrize(
    "name", ["additive_scaling", "joint_scaling", "effective_data_scaling", "nested", "capacity_allocation"]
)
def test_laws_of_scale_ask_for_scale(name: str) -> None:
    with pytest.raises(ConfigError, match="needs the parameters of every run"):
        law_named(name).fit(runs(30))


@pytest.mark.parametrize(
    "name", ["additive_scaling", "joint_scaling", "effective_data_scaling", "bimix", "nested"]
)
def test_laws_of_scale_fall_with_tokens(name: str) -> None:
    law = fitted(name)
    few, many = (law.predict(ASKED, Scale(2e7, tokens)) for tokens in (1e9, 4e9))
    assert (many <= few).all()


def test_linear_is_least_squares() -> None:
    data = runs(40, noise=0.05)
    law = law_named("linear").fit(data)
    expected, *_ = np.linalg.lstsq(data.shares, data.costs, rcond=None)
    np.testing.assert_allclose(law.predict(ASKED), ASKED @ expected, rtol=1e-9)
    # The variance of a prediction, from the textbook formula on S columns without intercept.
    inverse = np.linalg.inv(data.shares.T @ data.shares)
    noise = ((data.costs - data.shares @ expected) ** 2).sum(axis=0) / (40 - 4)
    textbook = np.sqrt(noise * np.einsum("ms,st,mt->m", ASKED, inverse, ASKED)[:, None])
    np.testing.assert_allclose(law.deviation(ASKED), textbook, rtol=1e-6)


def test_log_linear_finds_the_law_that_made_the_runs() -> None:
    shares = mixtures(60, 3)
    slopes = np.array([[-1.0, 0.3, -0.2, 0.5]])
    costs = 1.5 + np.exp(shares @ slopes.T)
    unknown = Scale(np.full(60, math.nan), np.full(60, math.nan))
    data = LawData(SOURCES, ("loss",), shares, costs, unknown, np.array([-1]))
    p = law_named("log_linear").fit(data).as_json()["metrics"]["loss"]
    assert p["c"] == pytest.approx(1.5, abs=1e-4)
    assert p["t"] == pytest.approx(slopes[0], abs=1e-4)


def test_additive_scaling_finds_the_law_that_made_the_runs() -> None:
    data = sized(200)
    effective_shares = np.array([0.8, 1.5, 0.5, 1.0])
    costs = 1.2 + 1 / (effective_shares * data.shares**0.5).sum(axis=1)
    costs += 0.5 * (data.scale.params / 1e7) ** -0.4 + 0.3 * (data.scale.tokens / 1e9) ** -0.3
    one = LawData(SOURCES, ("loss",), data.shares, costs[:, None], data.scale, np.array([-1]))
    p = law_named("additive_scaling").fit(one).as_json()["metrics"]["loss"]
    assert p["alpha"] == pytest.approx(0.4, abs=0.01)
    assert p["beta"] == pytest.approx(0.3, abs=0.01)
    assert p["C"] == pytest.approx(effective_shares, rel=0.05)
