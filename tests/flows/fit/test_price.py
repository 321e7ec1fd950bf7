"""What a fit costs is said first, and what would cost too much to compare with is left out and named."""

from dataclasses import replace

import numpy as np
import pytest

from cuvee.execution.local import InProcess
from cuvee.flows.fit import price as fit_price
from cuvee.flows.fit.fitting import fitted_laws
from cuvee.flows.fit.price import in_words, price_of
from cuvee.laws import hierarchical, least_squares
from cuvee.laws.effective_data import EffectiveData
from cuvee.laws.interface import LawData, Scale
from cuvee.laws.registry import law_named
from cuvee.laws.validation import validate
from cuvee.progress import Silent
from cuvee.question.question import LAWS_COMPARED
from tests.laws.samples import mixtures, runs, truth


class Heard(Silent):
    """Keeps what is told, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def stage(self, title: str, total: float, unit: str) -> None:
        self.told.append(f"stage {title} {total:g} {unit}")

    def advance(self, amount: float, note: str = "") -> None:
        self.told.append(note)

    def message(self, text: str) -> None:
        self.told.append(text)


def sized(runs_: int, sources: int, metrics: int) -> LawData:
    nothing = np.zeros((runs_, metrics))
    names = tuple(f"s{i}" for i in range(sources)), tuple(f"m{i}" for i in range(metrics))
    return LawData(*names, np.zeros((runs_, sources)), nothing, Scale(np.nan, np.nan))


def test_the_price_comes_first_and_progress_goes_on_inside_a_law() -> None:
    heard = Heard()
    found = fitted_laws(runs(30, noise=0.02), "effective_data", ("linear",), 0, InProcess(), heard)
    assert heard.told[0].startswith("2 laws, 30 runs of 4 sources and 3 metrics: about ")
    assert heard.told[1] == "stage fitting laws 22 fits"
    assert "effective_data, fold 1" in heard.told and "effective_data, fold 10" in heard.told
    assert list(found.held_out) == ["linear", "effective_data"] and found.notes == ()


def test_laws_and_folds_in_pieces_give_the_numbers_of_a_law_as_a_whole() -> None:
    data = runs(50, noise=0.02)
    found = fitted_laws(data, "effective_data", ("linear", "gp_sqrt"), 0, InProcess(), Silent()).held_out
    for name, one in found.items():
        whole = validate(law_named(name), data)
        np.testing.assert_array_equal(one.predicted, whole.held_out.predicted)
        np.testing.assert_array_equal(one.deviation, whole.held_out.deviation)


def test_what_is_too_dear_to_compare_with_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_price, "SECONDS", 1e-3)
    data = runs(50, noise=0.02)
    found = fitted_laws(data, "effective_data", LAWS_COMPARED, 0, InProcess(), Silent())
    assert "gp_sqrt" not in found.held_out and list(found.held_out)[-1] == "effective_data"
    assert "Name one with --law" in found.notes[0] and "gp_sqrt" in found.notes[0]
    named = fitted_laws(data, "gp_sqrt", (), 0, InProcess(), Silent())
    assert list(named.held_out) == ["gp_sqrt"] and named.notes == ()


def test_prices_of_small_middle_and_large_tables() -> None:
    small, middle, large = sized(512, 17, 13), sized(200, 64, 110), sized(5000, 100, 200)
    for name in ("linear", "log_linear", "effective_data", "gp_sqrt"):
        assert not price_of(law_named(name), small, 5).much
    assert price_of(law_named("gp_sqrt"), middle, 5).much
    assert price_of(law_named("gp_sqrt"), large, 5).bytes > 4e9
    assert 60 < price_of(EffectiveData(), large, 5).seconds < 2400
    assert [in_words(s) for s in (0.1, 40, 100, 3600, 10_000)] == [
        "1 second", "40 seconds", "2 minutes", "60 minutes", "3 hours",
    ]  # fmt: skip


def many(seed: int = 0) -> LawData:
    shares = mixtures(250, seed)
    costs = truth(shares) + 0.02 * np.random.default_rng(seed + 1).normal(size=(250, 3))
    return replace(runs(250), shares=shares, costs=costs)


def test_no_number_depends_on_how_many_problems_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    data = runs(40, noise=0.02)
    whole = EffectiveData().fit(data)
    monkeypatch.setattr(least_squares, "_MOST_NUMBERS", 1)
    parts = EffectiveData().fit(data)
    np.testing.assert_allclose(parts.theta, whole.theta, rtol=1e-9)
    np.testing.assert_allclose(parts.deviation(np.eye(4)), whole.deviation(np.eye(4)), rtol=1e-9)


def test_spared_steps_of_large_tables_lose_next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data, asked = many(), mixtures(50, 9)
    whole = EffectiveData().fit(data)
    counts = np.random.default_rng(0).multinomial(250, np.full(250, 1 / 250), 12).astype(float)
    drawn = np.stack([whole.with_parameters(one).costs(asked) for one in whole.resampled(data, counts)])
    monkeypatch.setattr(hierarchical, "_MUCH", 0.0)
    spared = EffectiveData().fit(data)
    spread = data.costs.std(axis=0)
    assert (np.abs(spared.costs(asked) - whole.costs(asked)) < 0.02 * spread).all()
    once = np.stack([whole.with_parameters(one).costs(asked) for one in whole.resampled(data, counts)])
    left, right = (part - whole.costs(asked) for part in (drawn, once))
    assert np.corrcoef(left.ravel(), right.ravel())[0, 1] > 0.9
    assert right.std() == pytest.approx(left.std(), rel=0.3)


def test_a_fit_to_very_many_runs_begins_with_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    data, asked = many(), mixtures(50, 9)
    whole = EffectiveData().fit(data)
    monkeypatch.setattr(hierarchical, "VERY_MUCH", 0.0)
    begun = EffectiveData().fit(data)
    miss = np.abs(begun.costs(asked) - whole.costs(asked)) / data.costs.std(axis=0)
    assert miss.max() < 0.05
    again = EffectiveData().fit(data)
    np.testing.assert_array_equal(again.theta, begun.theta)
