"""The table of laws at its edges: shares of zero, metrics without a value, few runs, costs below zero."""

import dataclasses
import json

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.laws.interface import LawData, Scale
from cuvee.laws.registry import LAWS, law_named
from cuvee.types import FloatArray
from tests.laws import test_contract as contract
from tests.laws.samples import SOURCES, mixtures

NAMES = {
    "linear", "data_mixing_m1", "data_mixing_m2", "data_mixing_m3", "data_mixing_m4", "log_linear", "bimix",
    "regmix", "effective_data", "gp_sqrt", "gp_log", "ensemble", "additive_scaling", "joint_scaling",
    "effective_data_scaling", "nested", "capacity_allocation", "projektor",
}  # fmt: skip
FEWEST = {"gp_sqrt": 2, "gp_log": 2, "ensemble": 3, "regmix": 4, "projektor": 4, "nested": 9}
"""Runs that a law asks for; all others take one."""


def changed(name: str, costs: FloatArray) -> LawData:
    data = contract.data_of(name)
    return dataclasses.replace(data, costs=costs)


def lightgbm_for(name: str) -> None:
    if name == "regmix":
        pytest.importorskip("lightgbm", reason="the extra 'trees' is not installed")


def test_the_laws_that_are_promised_are_there() -> None:
    assert set(LAWS) == NAMES
    for name in NAMES:
        assert law_named(name) is LAWS[name]


def test_the_names_are_told_to_who_asks_for_another() -> None:
    with pytest.raises(ConfigError) as caught:
        law_named("tea leaves")
    assert all(name in str(caught.value) for name in NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_rows_cannot_be_changed(name: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        LAWS[name].paper = "elsewhere"  # type: ignore[misc]


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_file_says_what_happens_at_shares_of_zero(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    law = contract.fitted(name)
    asked = np.vstack([mixtures(20, 5), np.eye(len(SOURCES))])
    assert (asked == 0).any(axis=1).sum() > len(SOURCES)
    monkeypatch.setattr(contract, "W", asked)
    by_hand = contract.by_hand(json.loads(json.dumps(law.as_json())))
    np.testing.assert_allclose(by_hand, law.predict(asked, contract.AT), rtol=1e-9)
    assert np.isfinite(law.gradient(asked, contract.AT)).all()


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_metric_without_any_value_is_refused_by_name(name: str) -> None:
    lightgbm_for(name)
    costs = contract.data_of(name).costs.copy()
    costs[:, 1] = np.nan
    with pytest.raises(ConfigError, match="code_loss"):
        law_named(name).fit(changed(name, costs))


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("count", [1, 3, 8])
def test_few_runs_give_numbers_or_are_refused(name: str, count: int) -> None:
    lightgbm_for(name)
    few = contract.data_of(name).select(np.arange(5, 5 + count))
    if count < FEWEST.get(name, 1):
        with pytest.raises(ConfigError, match=f"{count} runs are too few"):
            law_named(name).fit(few)
        return
    fitted = law_named(name).fit(few)
    assert np.isfinite(fitted.predict(contract.ASKED, contract.AT)).all()
    assert np.isfinite(fitted.deviation(contract.ASKED, contract.AT)).all()


@pytest.mark.parametrize("name", sorted(NAMES - {"bimix"}))
def test_costs_may_fall_below_zero(name: str) -> None:
    lightgbm_for(name)
    data = contract.data_of(name)
    lowered = law_named(name).fit(changed(name, data.costs - 10.0))
    spread = np.nanstd(data.costs, axis=0)
    # The scaling laws take logarithms where they can: what they make of noise differs a little.
    near = 0.3 if name in ("additive_scaling", "joint_scaling") else 0.05
    expected = contract.fitted(name).predict(contract.ASKED, contract.AT) - 10.0
    assert (np.abs(lowered.predict(contract.ASKED, contract.AT) - expected) < near * spread).all()


def test_bimix_refuses_costs_below_zero() -> None:
    with pytest.raises(ConfigError, match=r"'books_loss': bimix predicts positive losses only"):
        law_named("bimix").fit(changed("bimix", contract.DATA.costs - 10.0))


def test_a_metric_that_never_changes_is_predicted() -> None:
    for name in sorted(NAMES - {"regmix", "effective_data", "effective_data_scaling", "ensemble"}):
        costs = contract.data_of(name).costs.copy()
        costs[:, 0] = 3.0
        found = law_named(name).fit(changed(name, costs)).predict(contract.ASKED, contract.AT)
        assert np.abs(found[:, 0] - 3.0).max() < 2e-3, name


def test_linear_with_fewer_runs_than_sources_meets_them_and_knows_no_more() -> None:
    data = contract.DATA.select(np.arange(5, 8))
    fitted = law_named("linear").fit(data)
    np.testing.assert_allclose(fitted.predict(data.shares), data.costs, rtol=1e-9)
    # Of all slopes that meet the runs, these vary least: across what the runs span they do not vary at all.
    away = data.shares - data.shares.mean(axis=0)
    slopes = fitted.gradient(data.shares[:1])[0]
    centred = slopes - slopes.mean(axis=1, keepdims=True)
    outside = np.eye(len(SOURCES)) - np.linalg.pinv(away) @ away
    assert np.abs(centred @ (outside - 1.0 / len(SOURCES))).max() < 1e-9


def test_bimix_finds_the_law_that_made_the_runs() -> None:
    data = contract.sized(80)
    tokens = 1.0 + 0.3 * (data.scale.tokens[:, None] / 1e9) ** -0.4  # type: ignore[index]
    books, code = ((data.shares[:, i] + 1e-4) ** -0.15 for i in (0, 1))
    costs = np.stack([1.5 * books, 1.2 * code, 2.0 * (data.shares[:, 3] + 1e-4) ** -0.1], axis=1)
    costs = costs * tokens
    metrics = ("books_loss", "code_loss", "web_loss")
    fitted = law_named("bimix").fit(
        LawData(SOURCES, metrics, data.shares, costs, data.scale, np.array([0, 1, 3]))
    )
    p = fitted.as_json()["metrics"]
    for name, place, factor, power in (
        ("books_loss", 0, 1.5, 0.15), ("code_loss", 1, 1.2, 0.15), ("web_loss", 3, 2.0, 0.1)
    ):  # fmt: skip
        assert p[name]["F"][place] == pytest.approx(factor, rel=1e-3)
        assert p[name]["a"][place] == pytest.approx(power, rel=1e-3)
        assert p[name]["beta"] == pytest.approx(0.4, rel=1e-2)
        assert p[name]["B"] * 1e9**-0.4 == pytest.approx(0.3, rel=1e-1)


def test_joint_scaling_foretells_runs_larger_than_it_was_fitted_to() -> None:
    train, asked = contract.sized(300, 3), mixtures(100, 8)

    def made(shares: FloatArray, scale: Scale) -> FloatArray:
        effective = (np.array([0.8, 1.5, 0.5, 1.0]) * shares**0.5).sum(axis=1)
        return np.asarray(
            1.2
            + 1.0 / effective
            + 0.5 * (shares @ np.array([0.5, 1.0, 1.5, 1.0])) ** 0.8 * (scale.params / 1e7) ** -0.4
            + 0.3 * (shares @ np.array([1.2, 0.8, 1.0, 0.6])) ** 1.2 * (scale.tokens / 1e9) ** -0.3
        )[:, None]

    data = LawData(
        SOURCES, ("loss",), train.shares, made(train.shares, train.scale), train.scale, np.array([-1])
    )
    large = Scale(np.full(100, 1e9), np.full(100, 1e11))
    expected = made(asked, large)
    errors = {
        name: float(np.abs(law_named(name).fit(data).predict(asked, large) / expected - 1).mean())
        for name in ("additive_scaling", "joint_scaling")
    }
    assert errors["joint_scaling"] < 0.005
    assert errors["joint_scaling"] < errors["additive_scaling"]


def test_a_term_in_size_may_be_a_small_part_of_the_loss() -> None:
    """The prior of the joint law holds how sources differ in a term, and not how large the term is."""
    shares, large = np.repeat(mixtures(24, 3), 9, axis=0), Scale(np.full(40, 8e8), np.full(40, 4e10))
    params, tokens = np.meshgrid([2e7, 6e7, 2e8], [2e9, 5e9, 1e10])
    small = Scale(np.tile(params.ravel(), 24), np.tile(tokens.ravel(), 24))

    def made(shares: FloatArray, scale: Scale) -> FloatArray:
        effective = (np.array([0.4, 0.5, 0.3, 0.45]) * shares**0.5).sum(axis=1)
        falls = 0.6 * (scale.params / 6e7) ** -0.3 + 0.5 * (scale.tokens / 5e9) ** -0.35
        return np.asarray(1.5 + 1.0 / effective + falls)[:, None]

    own, asked = np.array([-1]), mixtures(40, 8)
    costs = made(shares, small) * np.exp(0.004 * np.random.default_rng(1).normal(size=(len(shares), 1)))
    fitted = law_named("joint_scaling").fit(LawData(SOURCES, ("loss",), shares, costs, small, own))
    assert float(np.abs(fitted.predict(asked, large) - made(asked, large)).mean()) < 0.03
