"""A law says the same in every unit of its metrics, and holds on to what no run tells."""

from dataclasses import replace

import numpy as np
import pytest

from cuvee.laws.interface import LawData
from cuvee.laws.registry import LAWS, law_named
from tests.laws import test_contract as contract
from tests.laws.samples import SOURCES, mixtures, runs, truth

UNITS = (1e-12, 1e-6, 1e6, 1e12)
QUICK = [name for name in LAWS if name not in ("regmix", "ensemble")]


def in_unit(data: LawData, unit: float) -> LawData:
    return replace(data, costs=unit * data.costs)


@pytest.mark.parametrize("name", QUICK)
def test_the_unit_of_a_metric_changes_no_prediction(name: str) -> None:
    data = contract.data_of(name)
    spread = np.nanstd(data.costs, axis=0)
    expected = contract.fitted(name).predict(contract.ASKED, contract.AT)
    for unit in UNITS:
        found = law_named(name).fit(in_unit(data, unit)).predict(contract.ASKED, contract.AT) / unit
        assert (np.abs(found - expected) < 1e-5 * spread).all(), unit


@pytest.mark.parametrize("name", ["regmix", "ensemble"])
def test_nor_does_it_where_many_laws_or_trees_are_fitted(name: str) -> None:
    data, expected = contract.DATA, contract.fitted(name).predict(contract.ASKED, contract.AT)
    spread = np.nanstd(data.costs, axis=0)
    found = law_named(name).fit(in_unit(data, 1e-12)).predict(contract.ASKED, contract.AT) / 1e-12
    assert (np.abs(found - expected) < 1e-5 * spread).all()


@pytest.mark.parametrize("name", ["log_linear", "data_mixing_m4", "data_mixing_m1", "data_mixing_m2"])
def test_a_source_that_is_hardly_in_the_runs_is_held_near_the_others(name: str) -> None:
    """One run with a thousandth of it, a little off, said that a run on it alone costs e^1000 more."""
    data = runs(40, noise=0.02)
    shares = np.where(np.arange(len(SOURCES)) == 1, 0.0, data.shares)
    shares /= shares.sum(axis=1, keepdims=True)
    shares[0] = [0.5, 1e-3, 0.299, 0.2]
    costs = truth(shares) + 0.02 * np.random.default_rng(5).normal(size=data.costs.shape)
    law = law_named(name).fit(replace(data, shares=shares, costs=costs))
    alone = law.predict(np.eye(len(SOURCES))[1])[0]
    assert (np.abs(alone - costs.mean(axis=0)) < 10.0 * np.ptp(costs, axis=0)).all()


def test_a_source_in_many_runs_is_not_held_at_all() -> None:
    shares = mixtures(60, 3)
    costs = 1.5 + np.exp(shares @ np.array([[-1.0, 0.3, -0.2, 0.5]]).T)
    data = replace(runs(60), metrics=("loss",), shares=shares, costs=costs, own=np.array([-1]))
    np.testing.assert_allclose(law_named("log_linear").fit(data).predict(shares), costs, rtol=1e-6)
