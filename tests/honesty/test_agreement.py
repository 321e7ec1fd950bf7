"""Agreement of proxies with the truth: closed forms, invariances, noise, baselines."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cuvee.errors import ConfigError
from cuvee.honesty.agreement import honesty_report
from cuvee.honesty.bootstrap import bootstrap_counts, percentile_interval
from cuvee.honesty.evidence import (
    BEST_SINGLE,
    NEGATIVE_LOG_PARTS,
    WEIGHTED_SINGLE,
    Evidence,
    single_unit_baselines,
)
from cuvee.honesty.scopes import (
    MACRO_IN_POOL,
    MACRO_OUT_OF_POOL,
    TARGET,
    WITHIN_SIZE,
    replicate_noise,
    scopes,
    subsets,
)
from cuvee.honesty.statistics import (
    correlation,
    pair_accuracy,
    partial_correlation,
    rank_correlation,
    ranks,
    regret,
    slope,
)
from cuvee.types import FloatArray, IntArray

DRAWS = 200


def one_group(n: int) -> tuple[IntArray, FloatArray]:
    return np.zeros(n, dtype=np.int64), np.ones(n)


def equal_subsets(rng: np.random.Generator, sizes: list[int], sources: int) -> FloatArray:
    shares = np.zeros((len(sizes), sources))
    for row, size in enumerate(sizes):
        shares[row, rng.choice(sources, size, replace=False)] = 1.0 / size
    return shares


def evidence(
    shares: FloatArray,
    truth: FloatArray,
    proxies: dict[str, FloatArray],
    baselines: dict[str, FloatArray] | None = None,
    replicates: tuple[tuple[int, FloatArray], ...] = (),
) -> Evidence:
    evaluations = truth.shape[1]
    return Evidence(
        sources=tuple(f"s{k}" for k in range(shares.shape[1])),
        evaluations=tuple(f"e{k}" for k in range(evaluations)),
        shares=shares,
        truth=truth,
        proxies=proxies,
        baselines=baselines or {},
        own=np.array([0] + [-1] * (evaluations - 1)),
        replicates=replicates,
        target=np.full(evaluations, 1 / evaluations),
    )


def simple(n: int = 20, seed: int = 0) -> Evidence:
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(4), n)
    truth = rng.normal(size=(n, 3)) + 3
    noisy = truth + 0.3 * rng.normal(size=truth.shape)
    units = rng.normal(size=(4, 3)) + 3
    return evidence(shares, truth, {"merge": noisy}, single_unit_baselines(units, shares))


columns = st.lists(st.floats(-10, 10, width=16), min_size=5, max_size=12)


class TestStatistics:
    @given(columns, st.integers(0, 2**32 - 1))
    @settings(max_examples=60, deadline=None)
    def test_rank_correlation_is_spearman(self, values: list[float], seed: int) -> None:
        x = np.array(values)
        y = np.round(np.random.default_rng(seed).normal(size=len(x)), 1)
        ours = float(rank_correlation(x, y, *one_group(len(x))))
        if len(set(values)) == 1 or len(set(y)) == 1:
            assert math.isnan(ours)
        else:
            assert ours == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)

    def test_pearson_is_numpys(self) -> None:
        x, y = np.random.default_rng(0).normal(size=(2, 15))
        assert float(correlation(x, y, *one_group(15))) == pytest.approx(np.corrcoef(x, y)[0, 1])

    @given(
        st.integers(0, 2**32 - 1),
        st.floats(0.01, 100),
        st.floats(-100, 100),
    )
    @settings(max_examples=40, deadline=None)
    def test_affine_maps_and_order_of_rows_change_nothing(
        self, seed: int, scale: float, shift: float
    ) -> None:
        rng = np.random.default_rng(seed)
        x, y, z = rng.normal(size=(3, 12))
        groups, order = rng.integers(0, 2, 12), rng.permutation(12)
        ones = np.ones(12)
        moved = scale * x + shift
        for statistic in (correlation, rank_correlation):
            value = statistic(x, y, groups, ones)
            assert statistic(moved, y, groups, ones) == pytest.approx(value, abs=1e-7)
            assert statistic(x[order], y[order], groups[order], ones) == pytest.approx(value, abs=1e-9)
        partial = partial_correlation(x, y, (z,), groups, ones)
        assert partial_correlation(moved, y, (z,), groups, ones) == pytest.approx(partial, abs=1e-6)
        pairs = pair_accuracy(x, y, groups, ones, 0.1)
        assert pair_accuracy(moved, y, groups, ones, 0.1) == pytest.approx(pairs)

    def test_partial_correlation_is_that_of_regression_residuals(self) -> None:
        rng = np.random.default_rng(1)
        x, y, z, u = rng.normal(size=(4, 20))
        controls = np.stack([np.ones(20), z, u], axis=1)
        rest = [v - controls @ np.linalg.lstsq(controls, v, rcond=None)[0] for v in (x, y)]
        expected = np.corrcoef(*rest)[0, 1]
        assert float(partial_correlation(x, y, (z, u), *one_group(20))) == pytest.approx(expected)
        constant = np.full(20, 2.0)
        assert float(partial_correlation(x, y, (constant,), *one_group(20))) == pytest.approx(
            np.corrcoef(x, y)[0, 1]
        )
        assert math.isnan(float(partial_correlation(z, y, (z,), *one_group(20))))

    def test_a_row_that_counts_twice_is_a_row_written_twice(self) -> None:
        rng = np.random.default_rng(2)
        x, y, z = np.round(rng.normal(size=(3, 8)), 1)
        counts = np.array([2.0, 0, 1, 1, 3, 0, 1, 0])
        written = np.repeat(np.arange(8), counts.astype(int))
        groups, _ = one_group(8)
        many = one_group(int(counts.sum()))
        assert correlation(x, y, groups, counts) == pytest.approx(correlation(x[written], y[written], *many))
        assert rank_correlation(x, y, groups, counts) == pytest.approx(
            rank_correlation(x[written], y[written], *many)
        )
        assert partial_correlation(x, y, (z,), groups, counts) == pytest.approx(
            partial_correlation(x[written], y[written], (z[written],), *many)
        )
        assert pair_accuracy(x, y, groups, counts, 0.0) == pytest.approx(
            pair_accuracy(x[written], y[written], *many, 0.0)
        )
        for left, right in zip(
            regret(x, y, groups, counts), regret(x[written], y[written], *many), strict=True
        ):
            assert left == pytest.approx(right)

    def test_ranks_of_ties_are_their_mean(self) -> None:
        assert ranks(np.array([3.0, 1, 3, 2]), *one_group(4)).tolist() == [3.5, 1, 3.5, 2]

    def test_pairs_within_the_noise_are_left_out(self) -> None:
        truth, proxy = np.array([0.0, 0.05, 1, 2]), np.array([0.1, 0.0, 1, 2])
        assert float(pair_accuracy(proxy, truth, *one_group(4), 0.0)) == pytest.approx(5 / 6)
        assert float(pair_accuracy(proxy, truth, *one_group(4), 0.1)) == 1.0

    def test_regret(self) -> None:
        truth, proxy = np.array([1.0, 2, 3, 4]), np.array([5.0, 1, 6, 7])
        lost, relative = regret(proxy, truth, *one_group(4))
        assert (float(lost), float(relative)) == (1.0, pytest.approx(1 / 1.5))
        assert float(regret(np.ones(4), truth, *one_group(4))[1]) == pytest.approx(1.0)

    def test_slope_and_error_are_least_squares(self) -> None:
        x, y = np.random.default_rng(3).normal(size=(2, 15))
        expected = stats.linregress(x, y)
        assert slope(x, y, one_group(15)[0]) == pytest.approx((expected.slope, expected.stderr))

    def test_constant_or_few_rows_give_nan(self) -> None:
        x = np.arange(6.0)
        assert math.isnan(float(correlation(x, np.full(6, 0.1), *one_group(6))))
        assert math.isnan(float(correlation(x[:3], x[:3], *one_group(3))))
        assert math.isnan(float(regret(x[:3], x[:3], *one_group(3))[0]))
        assert math.isnan(slope(np.full(6, 0.1), x, one_group(6)[0])[0])


class TestBootstrap:
    def test_groups_keep_their_size_and_seeds_repeat(self) -> None:
        groups = np.array([0, 0, 0, 1, 1])
        counts = bootstrap_counts(groups, 7, 50)
        assert (counts[:, :3].sum(axis=1) == 3).all() and (counts[:, 3:].sum(axis=1) == 2).all()
        assert (counts == bootstrap_counts(groups, 7, 50)).all()

    def test_interval_of_a_mean_has_the_known_width(self) -> None:
        values = np.random.default_rng(0).normal(size=400)
        low, high = percentile_interval(bootstrap_counts(np.zeros(400, dtype=np.int64), 0) @ values / 400)
        assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.15)
        assert math.isnan(percentile_interval(np.full(10, np.nan))[0])


class TestBaselines:
    def test_closed_forms(self) -> None:
        units = np.array([[1.0, 4.0], [3.0, 2.0], [0.0, 0.0]])
        table = single_unit_baselines(units, np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]))
        assert table[WEIGHTED_SINGLE].tolist() == [[2.0, 3.0], [3.0, 2.0]]
        assert table[BEST_SINGLE].tolist() == [[1.0, 2.0], [3.0, 2.0]]
        assert table[NEGATIVE_LOG_PARTS] == pytest.approx(np.array([[-math.log(2)] * 2, [0.0] * 2]))

    def test_shapes_must_agree(self) -> None:
        with pytest.raises(ConfigError, match="number of sources"):
            single_unit_baselines(np.ones((2, 1)), np.ones((1, 3)) / 3)


class TestEvidence:
    def test_is_valid_from_birth(self) -> None:
        good = simple(6)
        assert not good.truth.flags.writeable and good.losses("merge") is good.proxies["merge"]
        fields = {name: getattr(good, name) for name in good.__dataclass_fields__}
        for change, message in (
            ({"target": np.ones(3)}, "sum to one"),
            ({"shares": np.ones((6, 4))}, "no mixture"),
            ({"truth": np.full((6, 3), np.nan)}, "not finite"),
            ({"truth": np.ones((5, 3))}, "shape"),
            ({"own": np.array([0, 1, 9])}, "own"),
            ({"baselines": {"merge": np.ones((6, 3))}}, "both"),
            ({"replicates": ((9, np.ones((2, 3))),)}, "row 9"),
            ({"sources": ("a", "a", "b", "c")}, "distinct"),
        ):
            with pytest.raises(ConfigError, match=message):
                Evidence(**{**fields, **change})
        with pytest.raises(ConfigError, match="no proxy or baseline"):
            good.losses("fisher")


class TestReport:
    def test_a_perfect_proxy(self) -> None:
        base = simple()
        report = honesty_report(
            evidence(base.shares, base.truth, {"merge": 2 * base.truth + 1}, dict(base.baselines)), 0, DRAWS
        )
        for scope in (TARGET, MACRO_IN_POOL, MACRO_OUT_OF_POOL, "e0", "e2"):
            row = report.row("merge", scope)
            for estimate in (row.pearson, row.spearman, row.pairs, row.partial):
                assert (estimate.value, estimate.low, estimate.high) == pytest.approx((1, 1, 1))
            assert row.slope == pytest.approx(0.5) and row.slope_error == pytest.approx(0, abs=1e-7)
            assert (row.regret.value, row.relative_regret, row.n) == (0, 0, 20)
            assert row.beats_baselines == 1.0 and math.isnan(row.ceiling)

    def test_scopes_are_weighted_means(self) -> None:
        weights = scopes(simple())
        assert weights[TARGET].tolist() == pytest.approx([1 / 3] * 3)
        assert weights[MACRO_OUT_OF_POOL].tolist() == [0, 0.5, 0.5]
        assert weights["e0"].tolist() == [1, 0, 0]

    def test_number_of_parts_is_seen_through(self) -> None:
        rng = np.random.default_rng(0)
        shares = equal_subsets(rng, [2] * 8 + [4] * 8 + [6] * 8, 8)
        parts = np.log(1 / np.square(shares).sum(axis=1))[:, None]
        truth = 3 - parts + 0.05 * rng.normal(size=(24, 2))
        proxy = 3 - parts + 0.05 * rng.normal(size=(24, 2))
        baselines = single_unit_baselines(rng.normal(size=(8, 2)), shares)
        report = honesty_report(evidence(shares, truth, {"merge": proxy}, baselines), 0, DRAWS)
        everywhere, inside = report.row("merge"), report.row("merge", TARGET, WITHIN_SIZE)
        assert everywhere.pearson.value > 0.98
        assert abs(everywhere.partial.value) < 0.5 and abs(inside.pearson.value) < 0.5
        assert inside.groups == (8, 8, 8) and inside.n == 24
        assert everywhere.beats_baselines < 0.5
        blind = report.row(NEGATIVE_LOG_PARTS, TARGET, WITHIN_SIZE)
        assert math.isnan(blind.pearson.value) and blind.relative_regret == pytest.approx(1.0)
        assert blind.pairs.value == 0.5

    def test_membership_is_seen_through(self) -> None:
        rng = np.random.default_rng(1)
        shares = rng.dirichlet(np.ones(4), 40)
        noise = rng.normal(size=(2, 40, 1))
        truth, proxy = (3 - 5 * shares[:, :1] + 0.1 * part for part in noise)
        row = honesty_report(evidence(shares, truth, {"merge": proxy}), 0, DRAWS).row("merge", "e0")
        assert row.pearson.value > 0.95 and abs(row.partial.value) < 0.4

    def test_within_size_needs_groups(self) -> None:
        rng = np.random.default_rng(0)
        assert len(subsets(rng.dirichlet(np.ones(4), 30))) == 1
        few = subsets(equal_subsets(rng, [2] * 6 + [3] * 5, 8))
        assert few[1].sizes == (6,)

    def test_noise_and_ceiling(self) -> None:
        rng = np.random.default_rng(0)
        n, noise = 400, 0.5
        clean = rng.normal(size=(n, 1))
        truth = clean + noise * rng.normal(size=(n, 1))
        replicates = tuple((row, clean[row] + noise * rng.normal(size=(3, 1))) for row in range(100))
        truth[:100] = np.stack([losses.mean(axis=0) for _, losses in replicates])
        known = evidence(rng.dirichlet(np.ones(3), n), truth, {"perfect": clean}, replicates=replicates)
        measured = replicate_noise(known, np.ones(1))
        assert measured.deviation == pytest.approx(noise, rel=0.15)
        assert (measured.freedom, measured.mixtures) == (200, 100)
        row = honesty_report(known, 0, 50).row("perfect")
        assert row.ceiling == pytest.approx(row.pearson.value, abs=0.03)

    def test_degenerate_references_give_nan_not_errors(self) -> None:
        for n in (1, 3, 5):
            shares = np.full((n, 2), 0.5)
            flat = evidence(shares, np.full((n, 2), 0.1), {"merge": np.full((n, 2), 0.3)})
            row = honesty_report(flat, 0, DRAWS).row("merge")
            assert math.isnan(row.pearson.value) and math.isnan(row.slope) and math.isnan(row.pearson.low)
            json.dumps(row.to_json(), allow_nan=False)

    def test_same_seed_same_bytes_and_order_of_references_is_free(self) -> None:
        base = simple()
        report = honesty_report(base, 3, DRAWS)
        assert json.dumps(report.to_json()) == json.dumps(honesty_report(base, 3, DRAWS).to_json())
        order = np.random.default_rng(0).permutation(base.references)
        turned = honesty_report(
            evidence(
                base.shares[order],
                base.truth[order],
                {k: v[order] for k, v in base.proxies.items()},
                {k: v[order] for k, v in base.baselines.items()},
            ),
            3,
            DRAWS,
        )
        for left, right in zip(report.rows, turned.rows, strict=True):
            assert left.pearson.value == pytest.approx(right.pearson.value, nan_ok=True)
            assert left.partial.value == pytest.approx(right.partial.value, nan_ok=True, abs=1e-9)
            assert left.regret.value == pytest.approx(right.regret.value, nan_ok=True)

    def test_unknown_rows_are_named(self) -> None:
        with pytest.raises(KeyError, match="fisher"):
            honesty_report(simple(), 0, DRAWS).row("fisher")
