"""What may be asked of a fitted law, and what is refused: every row of ``LAWS``, in one way."""

from typing import Any

import numpy as np
import pytest

from cuvee.errors import ConfigError, MixtureError
from cuvee.laws import CalibratedLaw, EffectiveData, GaussianProcess, Resamples, Scale, validate
from cuvee.laws.resampling import StretchedLaw
from cuvee.mixture import Mixture
from tests.laws import test_contract as contract
from tests.laws.samples import SOURCES, mixtures, runs

ROWS = mixtures(3, 5)
WRONG: list[tuple[Any, str]] = [
    ([0.5, 0.3, 0.2], r"shape \(1, 3\) for a law of 4 sources \(books, code, law, web\)"),
    (np.full((2, 5), 0.2), r"shape \(2, 5\) for a law of 4"),
    (np.full((1, 1, 4), 0.25), r"shape \(1, 1, 4\)"),
    (np.vstack([ROWS[0], 2.0 * ROWS[1]]), "row 1 of the shares sums to 2, not to 1"),
    ([0.25, 0.25, 0.25, 0.2499], r"row 0 of the shares sums to 0\.9999"),
    ([1.2, -0.2, 0.0, 0.0], r"row 0 of the shares has -0\.2 of 'code'"),
    ([np.nan, 0.5, 0.25, 0.25], "has nan of 'books'"),
    ([np.inf, 0.0, 0.0, 0.0], "has inf of 'books'"),
    ({"books": 1.0}, "not dict"),
    (Mixture.of({"books": 0.5, "maths": 0.5}), "knows no source 'maths'; it knows: books, code, law, web"),
    ([Mixture.of({"books": 1.0}), ROWS[0]], "among mixtures there is a ndarray"),
]


@pytest.mark.parametrize("name", contract.LAW_NAMES)
def test_every_law_refuses_what_is_no_mixture(name: str) -> None:
    law = contract.fitted(name)
    for question in (law.predict, law.gradient, law.deviation):
        for wrong, told in WRONG:
            with pytest.raises(MixtureError, match=told):
                question(wrong, contract.AT)
        with pytest.raises(ConfigError, match=r"tokens of shape \(2,\) for 3 mixtures"):
            question(ROWS, Scale(2e7, np.array([1e9, 2e9])))


@pytest.mark.parametrize("name", contract.LAW_NAMES)
def test_every_law_takes_mixtures_by_name(name: str) -> None:
    law = contract.fitted(name)
    named = [Mixture(SOURCES[::-1], row[::-1]) for row in ROWS]
    for question in (law.predict, law.gradient, law.deviation):
        by_position = question(ROWS, contract.AT)
        np.testing.assert_allclose(question(named, contract.AT), by_position, rtol=1e-12)
        np.testing.assert_allclose(question(named[1], contract.AT), by_position[1:2], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(law.predict(ROWS, contract.AT), law.costs(ROWS, contract.AT))


def test_a_source_that_is_not_named_has_no_share() -> None:
    law = contract.fitted("effective_data")
    named = Mixture.of({"web": 0.25, "maths": 0.0, "books": 0.75})
    np.testing.assert_array_equal(law.predict(named), law.predict([0.75, 0.0, 0.0, 0.25]))


def test_resamples_and_surrogates_ask_in_the_same_way() -> None:
    data = runs(40, noise=0.01)
    validated = validate(EffectiveData(), data)
    resamples = Resamples.draw(
        EffectiveData(), validated.fitted, data, 2, np.random.default_rng(0), np.ones(3)
    )
    assert isinstance(resamples.laws[0], StretchedLaw)
    surrogate = CalibratedLaw.of(validated, data)
    mixture = Mixture.uniform(SOURCES)
    np.testing.assert_array_equal(resamples.predict(mixture), resamples.predict(mixture.shares))
    np.testing.assert_array_equal(surrogate.predict(mixture).mean, surrogate.predict([mixture]).mean)
    for question in (resamples.predict, resamples.laws[0].predict, surrogate.predict):
        with pytest.raises(MixtureError, match="sums to 2"):
            question(np.full((1, 4), 0.5))


def test_a_process_refuses_roots_of_negative_shares() -> None:
    law = GaussianProcess("sqrt").fit(runs(20))
    with pytest.raises(MixtureError, match=r"has -1e-09 of 'books'"):
        law.predict([-1e-9, 0.5, 0.25, 0.25 + 1e-9])
