"""Cross-validation by run, spread, ensembles, resamples, surrogates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuvee.errors import ConfigError
from cuvee.execution.local import LocalProcesses
from cuvee.laws.effective_data import EffectiveData
from cuvee.laws.ensemble import LawEnsemble
from cuvee.laws.gaussian_process import GaussianProcess
from cuvee.laws.interface import LawData, Scale
from cuvee.laws.resampling import Resamples, small_sample
from cuvee.laws.spread import Spread, coverage
from cuvee.laws.surrogate import CalibratedLaw
from cuvee.laws.validation import HeldOut, folds, validate
from cuvee.mixture.mixture import Mixture
from cuvee.types import FloatArray
from tests.laws.samples import METRICS, SOURCES, mixtures, runs, truth


class Spy:
    """Predicts the mean of what it was fitted to, and remembers the runs it saw."""

    name = "spy"

    def __init__(self) -> None:
        self.seen: list[FloatArray] = []

    def parameters(self, sources: int) -> int:
        return 1

    def fit(self, data: LawData, seed: int = 0) -> "Spy.Fitted":
        self.seen.append(data.shares)
        return Spy.Fitted(data)

    class Fitted:
        law, convex = "spy", True

        def __init__(self, data: LawData) -> None:
            self.sources, self.metrics = data.sources, data.metrics
            self.mean = data.costs.mean(axis=0)

        def costs(self, shares: FloatArray, scale: object = None) -> FloatArray:
            return np.tile(self.mean, (len(shares), 1))

        def uncertainty(self, shares: FloatArray, scale: object = None) -> FloatArray:
            return np.zeros((len(shares), len(self.metrics)))


def test_every_run_is_predicted_by_a_fit_without_it() -> None:
    data, spy = runs(23), Spy()
    held_out = validate(spy, data).held_out  # type: ignore[arg-type]
    assert len(spy.seen) == 1 + held_out.fold.max() + 1
    for fold, seen in enumerate(spy.seen[1:]):
        left_out = data.shares[held_out.fold == fold]
        assert not (left_out[:, None] == seen[None]).all(axis=2).any()
        expected = data.costs[held_out.fold != fold].mean(axis=0)
        np.testing.assert_allclose(
            held_out.predicted[held_out.fold == fold], expected[None].repeat(len(left_out), 0)
        )


def test_folds_are_of_about_one_size_and_depend_on_the_seed() -> None:
    sizes = np.bincount(folds(53, 0))
    assert sizes.max() - sizes.min() <= 1 and len(sizes) == 5
    assert len(np.bincount(folds(12, 0))) == 10
    assert (folds(53, 0) == folds(53, 0)).all() and (folds(53, 0) != folds(53, 1)).any()


def test_processes_give_what_one_process_gives() -> None:
    data = runs(30, noise=0.01)
    here = validate(EffectiveData(), data)
    there = validate(EffectiveData(), data, executor=LocalProcesses(2))
    np.testing.assert_array_equal(here.held_out.predicted, there.held_out.predicted)


def test_two_runs_are_too_few() -> None:
    with pytest.raises(ConfigError, match="2 runs are too few"):
        validate(EffectiveData(), runs(2))


def test_scores_of_held_out_predictions() -> None:
    costs = np.array([[1.0], [2.0], [3.0], [4.0]])
    predicted = np.array([[1.0], [2.0], [4.0], [3.0]])
    held_out = HeldOut(predicted, np.zeros_like(costs), costs, np.arange(4))
    assert held_out.spearman()[0] == pytest.approx(0.8)
    assert held_out.r_squared()[0] == pytest.approx(1 - 2 / 5)
    assert held_out.mean_absolute_error()[0] == pytest.approx(0.5)


def test_a_weighted_target_has_the_residuals_of_the_weighted_metrics() -> None:
    rng = np.random.default_rng(0)
    costs, predicted = rng.normal(size=(9, 2)), rng.normal(size=(9, 2))
    weights = np.array([0.3, 0.7])
    combined = HeldOut(predicted, np.ones((9, 2)), costs, np.arange(9)).combined(weights)
    np.testing.assert_allclose(combined.residuals[:, 0], (costs - predicted) @ weights)
    np.testing.assert_allclose(combined.deviation, np.sqrt(0.3**2 + 0.7**2))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e3), tail=st.sampled_from([2.5, 5.0, 50.0]))
def test_intervals_cover_new_residuals_whatever_their_size_and_tails(
    seed: int, scale: float, tail: float
) -> None:
    rng = np.random.default_rng(seed)
    deviation = scale * rng.uniform(0.5, 2.0, size=(4000, 1))
    residual = deviation * rng.standard_t(tail, size=(4000, 1))
    zeros = np.zeros_like(residual)
    known = HeldOut(zeros[:400], deviation[:400], residual[:400], np.zeros(400, dtype=np.int64))
    spread = Spread.of(known)
    for level in (0.5, 0.8, 0.95):
        inside = np.abs(residual[400:]) <= spread.half_width(deviation[400:], level)
        assert abs(float(inside.mean()) - level) < 0.08


def test_spread_uses_a_law_s_own_deviation_only_where_it_tells_something() -> None:
    rng = np.random.default_rng(0)
    deviation = rng.uniform(0.1, 3.0, size=(500, 2))
    residual = rng.normal(size=(500, 2))
    residual[:, 0] *= deviation[:, 0]
    spread = Spread.of(HeldOut(np.zeros((500, 2)), deviation, residual, np.zeros(500, dtype=np.int64)))
    assert spread.factor[0] == pytest.approx(1.0, abs=0.15) and spread.floor[0] < 0.4
    assert spread.factor[1] < 0.3 and spread.floor[1] == pytest.approx(1.0, abs=0.15)


def test_coverage_of_a_fold_does_not_use_its_own_residuals() -> None:
    fold = np.repeat(np.arange(5), 40)
    residual = np.random.default_rng(0).normal(size=(200, 1))
    residual[fold == 0] *= 50.0
    held_out = HeldOut(np.zeros((200, 1)), np.zeros((200, 1)), residual, fold)
    assert coverage(held_out, (0.8,))[0] < 0.85  # the outlying fold is not covered by what it does to others


def test_an_ensemble_is_about_as_good_as_its_best_member() -> None:
    data = runs(40, noise=0.01)
    validated = LawEnsemble().validate(data)
    fitted = validated.fitted
    assert fitted.weights.sum() == pytest.approx(1.0) and (fitted.weights >= 0).all()  # type: ignore[attr-defined]
    errors = [np.abs(validate(law, data).held_out.residuals).mean() for law in LawEnsemble().members]
    assert np.abs(validated.held_out.residuals).mean() < 1.15 * min(errors) < 0.7 * max(errors)
    asked = mixtures(20, 3)
    parts = np.stack([member.predict(asked) for member in fitted.members])  # type: ignore[attr-defined]
    expected = np.tensordot(fitted.weights, parts, 1)  # type: ignore[attr-defined]
    np.testing.assert_allclose(fitted.predict(asked), np.asarray(expected))


def test_resamples_spread_as_much_as_the_law_is_unsure() -> None:
    data = runs(80, noise=0.02)
    law = EffectiveData()
    fitted = law.fit(data)
    resamples = Resamples.draw(law, fitted, data, 60, np.random.default_rng(0))
    asked = mixtures(50, 3)
    ratio = resamples.predict(asked).std(axis=0) / fitted.deviation(asked)
    assert 0.5 < float(np.median(ratio)) < 2.0
    again = Resamples.draw(law, fitted, data, 60, np.random.default_rng(0))
    np.testing.assert_array_equal(resamples.predict(asked), again.predict(asked))


def test_a_factor_moves_resamples_further_apart() -> None:
    data = runs(80, noise=0.02)
    law = EffectiveData()
    fitted, asked = law.fit(data), mixtures(50, 3)
    plain, wide = (
        Resamples.draw(law, fitted, data, 20, np.random.default_rng(0), factor)
        .predict(asked)
        .std(axis=0)
        .mean()
        for factor in (np.ones(3), np.full(3, 2.0))
    )
    assert 1.5 < wide / plain < 2.5


def test_a_surrogate_speaks_in_the_unit_and_direction_of_the_metrics() -> None:
    plain = runs(60, noise=0.01)
    turned = LawData(SOURCES, METRICS, plain.shares, plain.costs, Scale(), plain.own)
    surrogate = CalibratedLaw.of(validate(EffectiveData(), turned), turned, dict.fromkeys(METRICS, "higher"))
    mixture = Mixture(SOURCES, np.array([0.1, 0.2, 0.3, 0.4]))
    prediction = surrogate.predict([mixture], level=0.9)
    np.testing.assert_allclose(-prediction.mean, truth(mixture.shares[None]), atol=0.03)
    assert (prediction.low < prediction.mean).all() and (prediction.mean < prediction.high).all()
    reordered = mixture.reindexed(SOURCES[::-1])
    np.testing.assert_array_equal(surrogate.predict([reordered]).mean, prediction.mean)
    with pytest.raises(ConfigError, match=r"level 1\.5"):
        surrogate.predict([mixture], level=1.5)


def test_a_stretched_law_moves_as_many_times_as_far() -> None:
    data = runs(40, noise=0.02)
    law = EffectiveData()
    fitted = law.fit(data)
    asked = 0.02 + 0.92 * mixtures(5, 8)
    plain = Resamples.draw(law, fitted, data, 3, np.random.default_rng(0))
    twice = Resamples.draw(law, fitted, data, 3, np.random.default_rng(0), np.array([1.0, 2.0, 9.0]))
    moved = plain.predict(asked) - fitted.predict(asked)
    # Draws of forty runs are stretched a little besides; a factor above two is taken for two.
    np.testing.assert_allclose(
        twice.predict(asked) - fitted.predict(asked), moved * [small_sample(40, 4), 2.0, 2.0], rtol=1e-9
    )
    slopes = [(one.gradient(asked) - fitted.gradient(asked))[:, 1] for one in (plain.laws[0], twice.laws[0])]
    np.testing.assert_allclose(slopes[1], 2.0 * slopes[0], rtol=1e-9)


def test_an_ensemble_is_validated_with_weights_of_the_other_folds() -> None:
    data = runs(30, noise=0.02)
    law = LawEnsemble((EffectiveData(), GaussianProcess("sqrt")))
    np.testing.assert_array_equal(
        validate(law, data).held_out.predicted, law.validate(data).held_out.predicted
    )


def test_a_refitted_ensemble_keeps_its_weights() -> None:
    data = runs(30, noise=0.02)
    law = LawEnsemble((EffectiveData(), GaussianProcess("sqrt")))
    fitted = law.fit(data)
    again = law.refit(data.select(np.arange(25)), fitted)
    np.testing.assert_array_equal(again.weights, fitted.weights)
    assert np.abs(again.predict(data.shares) - fitted.predict(data.shares)).max() > 0
