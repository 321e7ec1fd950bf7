"""Gaussian processes on shares: interpolation, derivatives, uncertainty."""

import numpy as np
import pytest

from cuvee.laws.gaussian_process import FEATURES, GaussianProcess
from tests.laws.samples import METRICS, mixtures, runs, truth


@pytest.mark.parametrize("feature", FEATURES)
def test_it_predicts_runs_it_has_not_seen(feature: str) -> None:
    fitted = GaussianProcess(feature).fit(runs(120))
    asked = mixtures(100, 9)
    spread = truth(asked).std(axis=0)
    assert (np.abs(fitted.predict(asked) - truth(asked)).mean(axis=0) < 0.1 * spread).all()


@pytest.mark.parametrize("feature", FEATURES)
def test_gradients_are_those_of_differences(feature: str) -> None:
    fitted = GaussianProcess(feature).fit(runs(30))
    shares = mixtures(5, 3) + 0.02
    gradient = fitted.slopes(shares)
    for column in range(shares.shape[1]):
        step = np.zeros(shares.shape[1])
        step[column] = 1e-5
        difference = (fitted.costs(shares + step) - fitted.costs(shares - step)) / 2e-5
        np.testing.assert_allclose(gradient[:, :, column], difference, atol=1e-6, rtol=1e-4)


def test_it_is_sure_at_the_runs_and_not_away_from_them() -> None:
    data = runs(60)
    near = data.shares[:, 1] < 0.4
    fitted = GaussianProcess("sqrt").fit(data.select(near))
    at_runs, away = fitted.deviation(data.shares[near]), fitted.deviation(np.eye(4)[1:2])
    assert (away > 5 * at_runs.mean(axis=0)).all()


def test_json_is_enough_to_predict() -> None:
    fitted = GaussianProcess("log").fit(runs(25))
    document, shares = fitted.as_json(), mixtures(4, 8)
    for index, name in enumerate(METRICS):
        p = {key: np.array(value) for key, value in document["metrics"][name].items()}
        x = (np.log(shares + 1e-3) - p["centre"]) / p["size"]
        d = np.sqrt(5 * (((x[:, None] - p["points"]) * p["inverse_lengths"]) ** 2).sum(axis=2))
        k = p["signal"] * (1 + d + d**2 / 3) * np.exp(-d) + p["linear"] * (x @ p["points"].T / 4 + 1)
        np.testing.assert_allclose(
            p["shift"] + p["spread"] * k @ p["weights"], fitted.predict(shares)[:, index], rtol=1e-8
        )


def test_a_refit_near_another_fit_ends_where_a_fresh_one_does() -> None:
    data = runs(60, noise=0.005)
    law = GaussianProcess("sqrt")
    whole, part = law.fit(data), data.select(np.arange(60) % 5 != 0)
    asked = mixtures(40, 2)
    np.testing.assert_allclose(law.refit(part, whole).predict(asked), law.fit(part).predict(asked), atol=0.02)
