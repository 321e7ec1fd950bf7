"""The noise of runs, carried through DDO and AutoScale."""

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.laws.ddo import AutoScale, PowerLaw, optimal_amounts
from cuvee.laws.ddo_uncertainty import SourceRuns, drawn_amounts, drawn_scales

UNKNOWN = np.full((3, 3), np.inf)
AMOUNTS = (0.2, 1.0, 3.0)


def observed() -> dict[str, SourceRuns]:
    found = {}
    for name, (a, b) in {"books": (2.0, 1.5), "code": (3.0, 1.8), "web": (2.5, 1.2)}.items():
        law = PowerLaw(a, b, 0.0, UNKNOWN)
        base = float(law(np.array([1.0]))[0])
        level = PowerLaw(a, b, 1.0 - base, UNKNOWN)
        found[name] = SourceRuns(AMOUNTS, tuple(level(np.array(AMOUNTS)).tolist()))
    return found


def test_without_noise_every_draw_is_the_optimum() -> None:
    runs = observed()
    laws = {name: PowerLaw.fit(one.amounts, one.losses) for name, one in runs.items()}
    expected = list(optimal_amounts(laws, 3.0, 0.2).values())
    found = drawn_amounts(runs, 0.0, 3.0, 0.2, 3, np.random.default_rng(0))
    assert found == pytest.approx(np.array([expected] * 3), abs=1e-6)


def test_more_noise_gives_wider_draws_that_stay_allowed() -> None:
    runs = observed()
    narrow, wide = (
        drawn_amounts(runs, noise, 3.0, 0.2, 60, np.random.default_rng(1)) for noise in (0.0005, 0.005)
    )
    assert narrow.sum(axis=1) == pytest.approx(np.full(60, 3.0))
    assert wide.sum(axis=1) == pytest.approx(np.full(60, 3.0))
    assert min(narrow.min(), wide.min()) >= 0.2 - 1e-9
    assert (wide.std(axis=0) > narrow.std(axis=0)).all()
    again = drawn_amounts(runs, 0.005, 3.0, 0.2, 60, np.random.default_rng(1))
    np.testing.assert_array_equal(wide, again)


def test_a_source_that_does_not_help_gets_the_floor() -> None:
    runs = observed() | {"noise": SourceRuns(AMOUNTS, (0.98, 1.0, 1.05))}
    found = drawn_amounts(runs, 0.0, 4.0, 0.2, 2, np.random.default_rng(0))
    assert found[:, 3] == pytest.approx([0.2, 0.2])
    assert found.sum(axis=1) == pytest.approx([4.0, 4.0])


def test_scales_are_drawn_pair_by_pair() -> None:
    names = ("a", "b")
    small, large = np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([[2.0, 8.0], [1.0, 1.0]])
    shares = drawn_scales(names, [small, large], 68.0)
    expected = AutoScale({"a": 1.0, "b": 1.0}, {"a": 2.0, "b": 8.0}).for_tokens(68.0)
    assert shares[0] == pytest.approx([expected["a"] / 68.0, expected["b"] / 68.0])
    assert np.isnan(shares[1]).all()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: SourceRuns((0.2, 3.0), (1.1, 0.9)), "the base run among them"),
        (lambda: SourceRuns(AMOUNTS, (1.0, 0.9)), "a loss for each amount"),
        (lambda: drawn_amounts(observed(), -1.0, 3.0, 0.2, 1, np.random.default_rng(0)), "noise -1"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        make()  # type: ignore[operator]
