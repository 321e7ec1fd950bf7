"""Calibration of proxies on few references: known worlds, honest folds, belief."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from cuvee.errors import ConfigError
from cuvee.honesty.calibration import (
    FittedCalibrator,
    fit,
    fit_folds,
    leave_one_out_rows,
    left_out,
    left_out_differences,
)
from cuvee.honesty.calibrators import (
    ALL_LEARNT,
    BASELINES,
    FEATURES,
    PARTS_ALONE,
    SHARES_ALONE,
    Calibrator,
    calibrators_for,
)
from cuvee.honesty.evidence import Evidence, single_unit_baselines
from cuvee.honesty.hierarchical_ridge import Design, fit_hierarchical, left_out_residuals
from cuvee.honesty.proxy_choice import choose_proxy, refit
from cuvee.types import FloatArray

SOURCES, OUTSIDE = 5, 2
EVALUATIONS = SOURCES + OUTSIDE
OWN = np.array([*range(SOURCES), *[-1] * OUTSIDE])
DRAWS = 200
NO_DIFFERENCE = Calibrator()
CALIBRATORS = calibrators_for(("merge", "ensemble"))
RAW = CALIBRATORS["merge, as it is"]
AFFINE = Calibrator(("merge",))
OWN_SHARE = Calibrator(("merge",), ("own curve",))
SHARES = Calibrator(("merge",), ("own curve", "root shares"))


def leave_one_out(calibrator: Calibrator, evidence: Evidence) -> FloatArray:
    """[R, E] prediction of each reference by a fit that never saw its truth."""
    return left_out(fit_folds(calibrator, evidence, leave_one_out_rows(evidence)).predictions)


def world(
    references: int,
    seed: int,
    *,
    own_bias: float = 0.0,
    slope: float = 1.0,
    noise: float = 0.02,
    proxy_noise: float = 0.0,
) -> Evidence:
    """Truth = level + slope * proxy + bias * own share + noise; the ensemble is a worse proxy."""
    rng = np.random.default_rng(seed)
    # What a share does to an evaluation belongs to the world, not to the draw of references.
    effect = np.random.default_rng(99).normal(size=(SOURCES, EVALUATIONS)) * 0.3
    shares = rng.dirichlet(np.ones(SOURCES), references)
    latent = np.sqrt(shares) @ effect + 0.1 * rng.normal(size=(references, EVALUATIONS))
    own = np.where(OWN >= 0, shares[:, OWN], 0.0)
    level = np.linspace(-0.2, 0.2, EVALUATIONS)
    truth = 3 + level + slope * latent + own_bias * own + noise * rng.normal(size=latent.shape)
    proxies = {
        "merge": 3 + latent + proxy_noise * rng.normal(size=latent.shape),
        "ensemble": 3 + latent + 0.1 * rng.normal(size=latent.shape),
    }
    units = 3 + effect
    return Evidence(
        sources=tuple("abcde"),
        evaluations=tuple(f"e{k}" for k in range(EVALUATIONS)),
        shares=shares,
        truth=truth,
        proxies=proxies,
        baselines=single_unit_baselines(units, shares),
        own=OWN,
        replicates=(),
        target=np.full(EVALUATIONS, 1 / EVALUATIONS),
    )


def error(predicted: FloatArray, truth: FloatArray) -> float:
    """Root mean squared error of differences."""
    missed = predicted - truth
    return float(np.sqrt(np.square(missed - missed.mean(axis=0)).mean()))


def tables(evidence: Evidence) -> dict[str, FloatArray]:
    return {**evidence.proxies, **evidence.baselines}


@pytest.mark.parametrize("name", CALIBRATORS)
class TestEveryCalibrator:
    def test_predicts_keeps_and_cross_validates(self, name: str) -> None:
        known, new = world(6, 0, own_bias=-1), world(20, 1, own_bias=-1)
        fitted = fit(CALIBRATORS[name], known)
        prediction = fitted.predict(new.shares, tables(new))
        assert prediction.mean.shape == prediction.spread.shape == (20, EVALUATIONS)
        assert np.isfinite(prediction.mean).all() and (prediction.spread > 0).all()
        again = FittedCalibrator.from_json(json.loads(json.dumps(fitted.to_json(), allow_nan=False)))
        assert (again.predict(new.shares, tables(new)).mean == prediction.mean).all()
        assert (again.predict(new.shares, tables(new)).spread == prediction.spread).all()
        assert leave_one_out(CALIBRATORS[name], known).shape == known.truth.shape

    def test_few_references_are_safe(self, name: str) -> None:
        new = world(50, 100)
        nothing = error(np.zeros_like(new.truth), new.truth)
        row = CALIBRATORS[name]
        # Without a proxy four references may mislead; with one they hardly may.
        bound = 1.2 if row.proxies and row.anchored else 3.0
        for seed in range(3):
            prediction = fit(row, world(4, seed)).predict(new.shares, tables(new))
            assert error(prediction.mean, new.truth) < bound * nothing
        two = fit(CALIBRATORS[name], world(2, 0)).predict(new.shares, tables(new))
        assert np.isfinite(two.mean).all() and np.isfinite(two.spread).all()

    def test_left_out_prediction_is_a_fit_without_the_row(self, name: str) -> None:
        known = world(6, 2, own_bias=-1)
        kept = np.arange(6) != 3
        without = replace(
            known,
            shares=known.shares[kept],
            truth=known.truth[kept],
            proxies={k: v[kept] for k, v in known.proxies.items()},
            baselines={k: v[kept] for k, v in known.baselines.items()},
        )
        direct = fit(CALIBRATORS[name], without).predict(known.shares, tables(known)).mean[3]
        folded = leave_one_out(CALIBRATORS[name], known)[3]
        # The two differ by the scale of the features only, which is taken over all references.
        assert folded == pytest.approx(direct, abs=0.1 * known.truth.std())

    def test_truth_of_a_left_out_reference_is_never_seen(self, name: str) -> None:
        known = world(6, 3)
        truth = known.truth.copy()
        truth[2] += 5.0
        before = leave_one_out(CALIBRATORS[name], known)[2]
        after = leave_one_out(CALIBRATORS[name], replace(known, truth=truth))[2]
        assert after == pytest.approx(before, abs=1e-9)

    def test_order_of_references_is_free(self, name: str) -> None:
        known, new = world(8, 4), world(5, 5)
        order = np.random.default_rng(0).permutation(8)
        turned = replace(
            known,
            shares=known.shares[order],
            truth=known.truth[order],
            proxies={k: v[order] for k, v in known.proxies.items()},
            baselines={k: v[order] for k, v in known.baselines.items()},
        )
        left = fit(CALIBRATORS[name], known).predict(new.shares, tables(new))
        right = fit(CALIBRATORS[name], turned).predict(new.shares, tables(new))
        assert left.mean == pytest.approx(right.mean, abs=1e-6)
        assert left.spread == pytest.approx(right.spread, rel=1e-4)

    def test_unit_of_loss_is_free(self, name: str) -> None:
        known, new = world(8, 4), world(5, 5)
        factor = 1 / math.log(2)
        scaled = replace(
            known,
            truth=known.truth * factor,
            proxies={k: v * factor for k, v in known.proxies.items()},
            baselines={k: v * factor for k, v in known.baselines.items()},
        )
        nats = fit(CALIBRATORS[name], known).predict(new.shares, tables(new))
        bits = fit(CALIBRATORS[name], scaled).predict(
            new.shares, {k: v * factor for k, v in tables(new).items()}
        )
        assert bits.mean == pytest.approx(nats.mean * factor, rel=1e-6)


class TestKnownWorlds:
    def test_no_difference_predicts_the_mean(self) -> None:
        known = world(7, 0)
        prediction = fit(NO_DIFFERENCE, known).predict(known.shares, {})
        assert prediction.mean == pytest.approx(np.repeat(known.truth.mean(axis=0)[None], 7, axis=0))
        assert left_out_differences(
            fit_folds(NO_DIFFERENCE, known, leave_one_out_rows(known)).predictions
        ) == pytest.approx(np.zeros_like(known.truth), abs=1e-9)

    def test_raw_is_the_proxy(self) -> None:
        known = world(4, 0)
        prediction = fit(RAW, known).predict(known.shares, known.proxies)
        assert (prediction.mean == known.proxies["merge"]).all()
        assert prediction.spread[0] == pytest.approx(
            np.sqrt(np.square(known.truth - known.proxies["merge"]).mean(axis=0))
        )

    def test_slope_is_shared_by_evaluations(self) -> None:
        known, new = world(5, 0, slope=0.6), world(200, 1, slope=0.6)
        fitted = fit(AFFINE, known)
        assert 1 + fitted.coefficients[:, 1] == pytest.approx(np.full(EVALUATIONS, 0.6), abs=0.15)
        calibrated = fitted.predict(new.shares, new.proxies).mean
        assert error(calibrated, new.truth) < 0.5 * error(new.proxies["merge"], new.truth)

    def test_own_share_bias_is_recovered_from_few_references(self) -> None:
        known, new = world(6, 0, own_bias=-1.0), world(200, 1, own_bias=-1.0)
        raw = error(new.proxies["merge"], new.truth)
        affine, own = (
            error(fit(row, known).predict(new.shares, new.proxies).mean, new.truth)
            for row in (AFFINE, OWN_SHARE)
        )
        assert own < 0.4 * raw and own < 0.6 * affine
        assert own == pytest.approx(0.02, abs=0.03)  # the noise alone is 0.02

    def test_shares_learn_what_the_proxy_misses(self) -> None:
        def with_shift(references: int, seed: int) -> Evidence:
            plain = world(references, seed)
            shift = plain.shares @ np.random.default_rng(5).normal(size=(SOURCES, EVALUATIONS)) * 0.5
            return replace(plain, truth=plain.truth + shift)

        known, new = with_shift(30, 0), with_shift(100, 1)
        affine, shares = (
            error(fit(row, known).predict(new.shares, new.proxies).mean, new.truth)
            for row in (AFFINE, SHARES)
        )
        assert shares < 0.5 * affine

    def test_left_out_error_is_the_error_on_new_mixtures(self) -> None:
        ratios = []
        for seed in range(6):
            known, new = world(10, seed, own_bias=-0.5), world(100, 100 + seed, own_bias=-0.5)
            row = OWN_SHARE
            inside = error(leave_one_out(row, known), known.truth)
            ratios.append(inside / error(fit(row, known).predict(new.shares, new.proxies).mean, new.truth))
        assert 0.75 < float(np.mean(ratios)) < 1.35

    def test_spread_covers_new_trainings(self) -> None:
        inside = []
        for seed in range(6):
            known, new = world(8, seed, own_bias=-0.5), world(50, 50 + seed, own_bias=-0.5)
            prediction = fit(OWN_SHARE, known).predict(new.shares, new.proxies)
            inside.append((np.abs(prediction.mean - new.truth) < 1.96 * prediction.spread).mean())
        assert 0.85 < float(np.mean(inside)) <= 1.0


class TestHierarchicalRidge:
    def test_closed_form_left_out_residuals_are_refits_at_the_same_variances(self) -> None:
        rng = np.random.default_rng(0)
        features, response = rng.normal(size=(9, 3, 2)), rng.normal(size=(9, 3))
        scales = np.full((1, 2), 0.7)
        design = Design(features, np.array([0, 1]), scales, scales)
        everything = np.ones((1, 9))
        state = fit_hierarchical(design, response, everything)
        residuals, variances = left_out_residuals(state, design, response, everything)
        found = state.variances
        # The joint Gaussian written out in full: intercepts with a very wide prior.
        index = np.arange(27)
        row, evaluation = index // 3, index % 3
        flat = features.reshape(27, 2)
        same_row, same = row[:, None] == row[None], evaluation[:, None] == evaluation[None]
        covariance = 1e4 * same + found.row[0] * same_row + np.diag(found.noise[0][evaluation])
        for column in range(2):
            outer = np.outer(flat[:, column], flat[:, column])
            covariance += outer * (found.shared[0, column] + found.deviation[0, column] * same)
        values = response.reshape(27)
        for left in range(9):
            out, kept = row == left, row != left
            cross = covariance[np.ix_(out, kept)]
            inside = covariance[np.ix_(kept, kept)]
            expected = values[out] - cross @ np.linalg.solve(inside, values[kept])
            spread = np.diag(covariance[np.ix_(out, out)] - cross @ np.linalg.solve(inside, cross.T))
            assert residuals[0, left] == pytest.approx(expected, abs=1e-3)
            assert variances[0, left] == pytest.approx(spread, rel=1e-3)

    def test_row_effects_are_not_mistaken_for_evidence(self) -> None:
        rng = np.random.default_rng(1)
        features = np.repeat(rng.normal(size=(8, 1, 1)), 10, axis=1)
        response = np.repeat(rng.normal(size=(8, 1)), 10, axis=1) + 0.01 * rng.normal(size=(8, 10))
        scales = np.ones((1, 1))
        design = Design(features, np.array([0]), scales, 0.1 * scales)
        state = fit_hierarchical(design, response, np.ones((1, 8)))
        # Eight rows seen ten times are eight rows: the slope stays as unsure as from eight.
        sure = float(np.sqrt(state.covariance()[0, 0, 1, 1]))
        assert sure > 0.1
        assert state.variances.row[0] > 10 * state.variances.noise[0].max()


class TestChoice:
    def test_a_good_proxy_is_believed_and_predicts(self) -> None:
        # The target is one evaluation: over all of them what a source does for its own cancels.
        target = np.eye(EVALUATIONS)[0]
        known, new = replace(world(12, 0, own_bias=-1.0), target=target), world(100, 1, own_bias=-1.0)
        choice = choose_proxy(known, 0, DRAWS)
        assert choice.believed and choice.probability > 0.9
        predicted = choice.fitted.predict(new.shares, tables(new)).mean
        assert error(predicted, new.truth) < 0.5 * error(new.proxies["merge"], new.truth)
        assert [e.target for e in choice.errors] == sorted(e.target for e in choice.errors)
        by_name = {e.name: e for e in choice.errors}
        assert by_name[choice.name].target_spearman > 0.7 and by_name[choice.best_baseline].is_baseline
        assert by_name[PARTS_ALONE].target_spearman < by_name[choice.name].target_spearman
        json.dumps(choice.to_json(), allow_nan=False)

    def test_what_is_left_out_ranks_as_its_error_says(self) -> None:
        """Plain left-out levels rank backwards: leaving out a high value lowers the mean of the rest."""
        for seed in range(4):
            choice = choose_proxy(known := world(9, seed, own_bias=-1.0), 0, DRAWS)
            own = next(one for one in choice.errors if one.name == choice.name)
            ranked = spearmanr(choice.left_out @ known.target, known.truth @ known.target).statistic
            assert ranked == pytest.approx(own.target_spearman)
            missed = (choice.left_out - known.truth) @ known.target
            assert np.sqrt(np.square(missed).mean()) == pytest.approx(own.target)

    def test_a_proxy_of_noise_is_not_believed(self) -> None:
        believed = []
        for seed in range(5):
            known = world(9, seed, own_bias=-1.0)
            noise = 3 + 0.2 * np.random.default_rng(seed + 50).normal(size=known.truth.shape)
            believed.append(choose_proxy(replace(known, proxies={"merge": noise}), 0, DRAWS).believed)
        assert sum(believed) <= 1  # chance alone may give one

    def test_the_number_of_parts_alone_makes_no_proxy_believed(self) -> None:
        believed = []
        for seed in range(4):
            known = world(12, seed)
            rng = np.random.default_rng(seed)
            parts = np.log(known.effective_number)[:, None]
            truth, proxy = (3 - 0.3 * parts + 0.03 * rng.normal(size=(12, EVALUATIONS)) for _ in range(2))
            choice = choose_proxy(replace(known, truth=truth, proxies={"merge": proxy}), 0, DRAWS)
            believed.append(choice.believed)
        assert sum(believed) <= 1

    def test_the_choice_is_repeatable_and_kept(self) -> None:
        known, new = world(8, 0, own_bias=-0.5), world(10, 1)
        choice = choose_proxy(known, 1, DRAWS)
        assert json.dumps(choice.to_json()) == json.dumps(choose_proxy(known, 1, DRAWS).to_json())
        again = FittedCalibrator.from_json(json.loads(json.dumps(choice.fitted.to_json())))
        before, after = (one.predict(new.shares, new.proxies) for one in (choice.fitted, again))
        assert (before.mean == after.mean).all() and (before.spread == after.spread).all()

    def test_the_rule_is_the_lowest_left_out_error_among_those_that_read_a_proxy(self) -> None:
        for seed in range(4):
            choice = choose_proxy(world(10, seed, own_bias=-0.5), 0, DRAWS)
            readers = [one for one in choice.errors if not one.is_baseline]
            assert choice.name == min(readers, key=lambda one: one.target).name
            assert len(choice.errors) == 5

    def test_the_error_is_that_of_a_choice_that_saw_no_reference_it_is_judged_on(self) -> None:
        """Chosen anew without each reference by hand; never below what the winner alone shows by much."""
        for seed in range(3):
            known = world(10, seed, own_bias=-0.5)
            choice = choose_proxy(known, 0, DRAWS)
            table = {n: c for n, c in calibrators_for(tuple(known.proxies)).items() if n not in BASELINES}
            rows = leave_one_out_rows(known)
            truth = known.truth - known.truth.mean(axis=0)
            errors = {
                name: left_out_differences(fit_folds(row, known, rows).predictions) - truth
                for name, row in table.items()
            }
            squares = []
            for left in range(10):
                kept = [row for row in range(10) if row != left]
                best = min(errors, key=lambda n: np.square(errors[n][kept] @ known.target).mean())
                squares.append(np.square([*errors[best][left], errors[best][left] @ known.target]))
            np.testing.assert_allclose(choice.error, np.sqrt(np.mean(squares, axis=0)))
            winner = next(one for one in choice.errors if one.name == choice.name)
            assert choice.error[-1] >= winner.target - 1e-12

    def test_learning_again_from_all_references_is_the_choice(self) -> None:
        known, new = world(9, 2, own_bias=-0.5), world(10, 1)
        choice = choose_proxy(known, 0, DRAWS)
        again = refit(choice.name, known, np.ones(9))
        expected = choice.fitted.predict(new.shares, new.proxies).mean
        np.testing.assert_allclose(again.predict(new.shares, new.proxies).mean, expected, atol=1e-6)

    def test_too_little_is_told(self) -> None:
        with pytest.raises(ConfigError, match="references"):
            choose_proxy(world(3, 0), 0)
        with pytest.raises(ConfigError, match="too few"):
            fit(AFFINE, world(1, 0))


class TestTable:
    def test_rows_follow_the_proxies(self) -> None:
        table = calibrators_for(("merge 0.5",))
        assert list(table) == ["merge 0.5, as it is", ALL_LEARNT, PARTS_ALONE, SHARES_ALONE]
        assert all(feature in FEATURES for row in CALIBRATORS.values() for feature in row.features)

    def test_learning_curves_stand_for_the_plain_proxies_where_those_are_taken_as_they_are(self) -> None:
        four = ("merge", "ensemble", "merge, own curve", "ensemble, own curve")
        table = calibrators_for(four)
        assert list(table)[:2] == ["merge, own curve, as it is", "ensemble, own curve, as it is"]
        assert table[ALL_LEARNT].proxies == four
        assert len(table) == 5

    def test_missing_things_are_named(self) -> None:
        known = world(5, 0)
        with pytest.raises(ConfigError, match="fisher"):
            fit(Calibrator(("fisher",)), known)
        with pytest.raises(ConfigError, match="moon"):
            fit(Calibrator(features=("moon",)), known)
        fitted = fit(AFFINE, known)
        with pytest.raises(ConfigError, match="merge"):
            fitted.predict(known.shares, {})
        with pytest.raises(ConfigError, match="shape"):
            fitted.predict(known.shares, {"merge": np.ones((2, 2))})
        with pytest.raises(ConfigError, match="shares"):
            fitted.predict(np.ones((2, 3)), known.proxies)
