"""Fits against figures that were printed or measured elsewhere; skipped where the tables are not at hand."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import spearmanr

from cuvee.errors import ConfigError
from cuvee.laws.data_mixing_laws import DataMixingLaw
from cuvee.laws.ddo import AutoScale, PowerLaw, optimal_amounts
from cuvee.laws.formula import Standardised
from cuvee.laws.interface import LawData, Scale, own_sources
from cuvee.laws.registry import law_named
from cuvee.types import BoolArray, FloatArray
from tests.published import shared

STEP = 1_048_576
"""Tokens of a step in the tables of Data Mixing Laws."""
GROUPS = {
    "academic": ("ArXiv", "PubMed_Abstracts", "PhilPapers", "NIH_ExPorter", "FreeLaw", "USPTO_Backgrounds",
                 "PubMed_Central"),
    "dialogue": ("Ubuntu_IRC", "OpenSubtitles", "EuroParl", "Enron_Emails", "HackerNews",
                 "YoutubeSubtitles"),
}  # fmt: skip
DDO_SOURCES = ("common_crawl", "github", "books", "wiki", "c4", "stackexchange", "arxiv")


def columns(name: str) -> dict[str, FloatArray]:
    table = pq.read_table(shared(f"runs/{name}/runs.parquet"))
    return {key: table[key].to_numpy() for key in table.column_names}


def law_data(
    table: dict[str, FloatArray], rows: BoolArray, metrics: list[str], costs: FloatArray | None = None
) -> LawData:
    sources = [key for key in table if key.startswith("w:")]
    shares = np.stack([table[key][rows] for key in sources], axis=1)
    if costs is None:
        costs = np.stack([table[f"m:{name}"][rows] for name in metrics], axis=1)
    unknown = Scale(*(np.full(len(shares), np.nan) for _ in range(2)))
    names = tuple(key[2:] for key in sources)
    return LawData(names, tuple(metrics), shares, costs, unknown, own_sources(metrics, names))


def errors(name: str, data: LawData, limit: float) -> FloatArray:
    """Mean absolute errors [E] on the runs that were fitted, with Huber's function at a limit in nats."""
    return np.abs(fitted_at(name, data, limit, data.shares) - data.costs).mean(axis=0)


def fitted_at(name: str, data: LawData, limit: float, shares: FloatArray) -> FloatArray:
    """Predictions [M, E] of a law as published: without a ridge, and with a limit in nats. Here it is a part
    of a metric's spread, so that each metric is fitted for itself."""
    law, columns = law_named(name), []
    assert isinstance(law, DataMixingLaw)
    for place, metric in enumerate(data.metrics):
        one = replace(data, metrics=(metric,), costs=data.costs[:, [place]], own=data.own[[place]])
        spread = Standardised.of(one).spread[0]
        columns.append(replace(law, huber=limit / spread, ridge=0.0).fit(one).predict(shares)[:, 0])
    return np.stack(columns, axis=1)


def pile_cc(part: str) -> LawData:
    table = columns("regmix_1m")
    return law_data(table, table["split"] == part, ["pile_cc"])


def three_sources() -> LawData:
    table = columns("dml_3mix")
    last = (table["params"] == table["params"].max()) & (table["tokens"] == table["tokens"].max())
    return law_data(table, last, ["Github", "Books3", "Pile-CC"])


def test_log_linear_ends_below_the_nearest_peer_in_a_fraction_of_its_time() -> None:
    data, seconds = pile_cc("train"), []
    for _ in range(3):
        begin = time.process_time()
        fitted = law_named("log_linear").fit(data)
        seconds.append(time.process_time() - begin)
    miss = np.abs(fitted.costs(data.shares) - data.costs)
    objective = float(np.where(miss <= 0.02, miss**2 / 2, 0.02 * (miss - 0.01)).sum())
    assert objective <= 0.6426
    assert min(seconds) <= 0.3


@pytest.mark.parametrize("seed", [1, 2])
def test_log_linear_is_no_better_from_two_hundred_random_starts(seed: int) -> None:
    """Six starts suffice: shown on subsets of the runs that no bar was set on."""
    rng = np.random.default_rng(seed)
    everything = pile_cc("train")
    data = everything.select(rng.permutation(len(everything))[:96])
    law = law_named("log_linear")
    assert isinstance(law, DataMixingLaw)
    fitted = law.fit(data)
    random = np.concatenate(
        [-np.exp(rng.uniform(-4, 2, (1, 200, 1))), rng.normal(0.5, 1.0, (1, 200, len(data.sources)))], axis=2
    )
    best = law.fit_from(data, random)
    assert fitted.objective[0] <= best.objective[0] * (1 + 1e-4)


@pytest.mark.parametrize(("count", "seed"), [(64, 2), (96, 12)])
def test_ten_starts_of_m2_do_about_what_forty_random_ones_do(count: int, seed: int) -> None:
    """With seventeen sources M2 has several valleys: poor starts end three to six times higher here."""
    table, names = columns("regmix_1m"), ["dm_mathematics", "github", "ubuntu_irc", "uspto_backgrounds"]
    every = law_data(table, table["split"] == "train", names)
    data = every.select(np.random.default_rng(seed).permutation(len(every))[:count])
    law = law_named("data_mixing_m2")
    assert isinstance(law, DataMixingLaw)
    fitted = law.fit(data)
    rng, sources = np.random.default_rng(0), len(data.sources)
    random = rng.normal(0.0, 1.0, (len(names), 40, len(fitted.formula.names(sources))))
    random[:, :, 0] = -np.exp(rng.uniform(-4, 2, (len(names), 40)))
    random[:, :, -sources:] *= np.exp(rng.uniform(-1, 2.5, (len(names), 40, 1)))
    best = law.fit_from(data, random)
    assert (fitted.objective <= 1.3 * best.objective).all()


def test_linear_on_the_runs_of_regmix() -> None:
    """90.21 was measured with an intercept on shares that sum to 0.996 to 1.003; here they sum to one."""
    train, test = (replace(part, shares=part.shares / part.shares.sum(axis=1, keepdims=True)) for part in
                   (pile_cc("train"), pile_cc("test")))  # fmt: skip
    predicted = law_named("linear").fit(train).predict(test.shares)[:, 0]
    assert 100 * spearmanr(predicted, test.costs[:, 0]).statistic == pytest.approx(90.18, abs=0.005)


def test_the_authors_law_on_their_five_sources() -> None:
    table = columns("dml_5mix")
    subsets = [key for key in table if key.startswith("m:") and key != "m:pile_valid"]
    losses = np.stack([table[key] for key in subsets], axis=1)
    whole = np.isfinite(losses).all(axis=1) & np.isfinite(table["m:pile_valid"])
    # The total is a fixed weighted sum of the subsets; its weights are read off the table.
    weights = np.linalg.lstsq(losses[whole], table["m:pile_valid"][whole], rcond=None)[0]
    assert weights.sum() == pytest.approx(1.0, abs=1e-9)
    rows = (table["params"] == table["params"].min()) & (table["tokens"] == 30_000 * STEP)
    places = {key[2:]: place for place, key in enumerate(subsets)}
    costs = np.stack(
        [
            np.average(losses[rows][:, at], axis=1, weights=weights[at])
            for at in ([places[name] for name in names] for names in GROUPS.values())
        ],
        axis=1,
    )
    data = law_data(table, rows, list(GROUPS), costs)
    assert len(data) == 26
    assert errors("data_mixing_m4", data, 0.05) == pytest.approx([0.0282, 0.0261], abs=5e-5)


def test_the_authors_law_on_their_three_sources() -> None:
    data = three_sources()
    assert len(data) == 32
    assert errors("log_linear", data, 0.02) == pytest.approx([0.0711, 0.0179, 0.0092], abs=5e-5)
    assert errors("data_mixing_m4", data, 0.05) == pytest.approx([0.0711, 0.0179, 0.0092], abs=5e-4)
    some = data.select(data.shares[:, data.sources.index("Github")] > 0)
    assert len(some) == 26
    assert errors("log_linear", some, 0.02) == pytest.approx([0.0039, 0.0153, 0.0053], abs=5e-5)


BARS = {
    "linear": (0.283, 0.048, 0.0211),
    "data_mixing_m1": (0.056, 0.0106, 0.0065),
    "data_mixing_m4": (0.100, 0.0220, 0.0100),
}


def held_out(data: LawData, predict: Callable[[LawData, FloatArray], FloatArray]) -> FloatArray:
    """Mean absolute errors [E] on eight of 32 runs, over five splits."""
    found = []
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(data))
        rest = data.select(order[24:])
        found.append(np.abs(predict(data.select(order[:24]), rest.shares) - rest.costs).mean(axis=0))
    return np.asarray(np.mean(found, axis=0))


@pytest.mark.parametrize(
    ("name", "slack"),
    # Huber's limit is a part of the spread here, so that the law is the same in every unit: that costs M4.
    [("linear", 1.01), ("data_mixing_m1", 1.01), ("data_mixing_m4", 1.03)],
)
def test_held_out_runs_of_three_sources(name: str, slack: float) -> None:
    missed = held_out(three_sources(), lambda data, shares: law_named(name).fit(data).predict(shares))
    assert (missed <= np.array(BARS[name]) * slack).all()


def test_held_out_runs_of_three_sources_by_the_authors_law_as_published() -> None:
    missed = held_out(three_sources(), lambda data, shares: fitted_at("data_mixing_m4", data, 0.05, shares))
    assert (missed <= np.array(BARS["data_mixing_m4"]) * 1.01).all()


def perturbed(cut: float) -> dict[str, PowerLaw]:
    table = columns("autoscale_ddo")
    losses, base = table["m:ppl_mean"], int(np.flatnonzero(table["kind"] == "base")[0])
    laws = {}
    for name in DDO_SOURCES:
        rows = sorted(
            np.flatnonzero(table["perturbed"] == name).tolist(), key=lambda i: table[f"n:{name}"][i]
        )
        relative = losses[[rows[0], base, rows[1]]] / losses[base]
        laws[name] = PowerLaw.fit([cut, 1.0, 3.0], relative.tolist())
    return laws


@pytest.mark.parametrize(
    ("cut", "optimum"),
    [
        (1 / 5, (1.62475, 0.2, 1.27415, 1.17980, 1.85190, 0.63716, 0.23224)),
        (1 / 3, (1.50096, 0.2, 1.24667, 1.17676, 1.66602, 0.75753, 0.45207)),
    ],
)
def test_optimal_amounts_to_the_last_printed_digit(cut: float, optimum: tuple[float, ...]) -> None:
    laws = perturbed(cut)
    found = optimal_amounts(laws, 7.0, 0.2)
    assert list(found.values()) == pytest.approx(optimum, abs=5.1e-6)
    gains = [law.b * (found[name] + law.a) ** (-law.b - 1) for name, law in laws.items()]
    free = [gain for gain, amount in zip(gains, found.values(), strict=True) if amount > 0.2]
    assert np.ptp(free) < 1e-12
    assert max(gains) <= max(free) + 1e-12


def test_parameters_to_the_last_printed_digit() -> None:
    laws = perturbed(1 / 5).values()
    printed = {
        "a": (2.6659, 6.6162, 2.6736, 2.4631, 2.5184, 2.8900, 3.3192),
        "b": (1.2492, 1.4360, 1.5363, 1.8287, 1.1859, 1.9536, 1.9267),
        "c": (0.8027, 0.9458, 0.8645, 0.8969, 0.7750, 0.9296, 0.9403),
    }
    for part, values in printed.items():
        assert [getattr(law, part) for law in laws] == pytest.approx(values, abs=5.1e-5), part


def test_autoscale_between_the_two_optima() -> None:
    table = columns("autoscale_optima")
    order = np.argsort(table["tokens"])
    shares = np.stack([table[f"w:{name}"] for name in DDO_SOURCES], axis=1)[order]
    tokens = table["tokens"][order]
    small, between, large = (
        dict(zip(DDO_SOURCES, (row * size).tolist(), strict=True))
        for row, size in zip(shares, tokens, strict=True)
    )
    half = AutoScale(small, large).at(0.5)
    assert sum(half.values()) / 1e9 == pytest.approx(0.5961, abs=5e-5)
    foretold, optimal = (np.array(list(part.values())) / sum(part.values()) for part in (half, between))
    assert foretold == pytest.approx([0.2292, 0.0288, 0.1770, 0.1890, 0.2380, 0.0935, 0.0444], abs=5.1e-5)
    assert np.abs(foretold - optimal).sum() == pytest.approx(0.053, abs=5e-4)


FALLING = {name: PowerLaw(1.0 + i, 1.0, 0.0, np.full((3, 3), np.inf)) for i, name in enumerate("abc")}


@pytest.mark.parametrize("losses", [[0.9, 1.0, 1.1], [1.1, float("nan"), 0.9]])
def test_losses_that_no_power_law_meets_are_refused(losses: list[float]) -> None:
    with pytest.raises(ConfigError, match="power law"):
        PowerLaw.fit([0.2, 1.0, 3.0], losses)


def test_floors_that_take_all_of_the_total() -> None:
    assert optimal_amounts(FALLING, 0.3, 0.1) == dict.fromkeys("abc", 0.1)
    assert optimal_amounts(FALLING, 0.30001, 0.1) == pytest.approx(dict.fromkeys("abc", 0.1), abs=2e-5)


@pytest.mark.parametrize("total", [0.0, -1.0, float("nan"), float("inf")])
def test_totals_that_are_none_are_refused(total: float) -> None:
    with pytest.raises(ConfigError, match="total"):
        optimal_amounts(FALLING, total)
    with pytest.raises(ConfigError, match="positive number"):
        AutoScale({"a": 1.0, "b": 1.0}, {"a": 2.0, "b": 8.0}).for_tokens(total)
    with pytest.raises(ConfigError, match="0 sources"):
        optimal_amounts({}, 1.0)
