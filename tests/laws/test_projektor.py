"""projektor: losses of mixtures by OT, and its extrapolation, which fails."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.laws.interface import LawData
from cuvee.laws.projektor import ProjektorLaw, log_linear_loss, terms
from cuvee.laws.transport_planes import TransportPlanes
from tests.laws.samples import METRICS, PLANES, SOURCES, mixtures, runs


def of_its_form(count: int, seed: int) -> LawData:
    """Runs whose metrics are of the form of the law."""
    data, rng = runs(count, seed), np.random.default_rng(7)
    planes = PLANES.over(SOURCES)
    coefficients = rng.uniform(0.0, 1.0, (4 * len(SOURCES), len(METRICS)))
    return replace(data, costs=1.0 + terms(data.shares, planes) @ coefficients)


def test_it_predicts_losses_of_its_own_form() -> None:
    data, asked = of_its_form(60, 0), of_its_form(40, 1)
    law = ProjektorLaw().fit(data)
    assert np.abs(law.predict(asked.shares) - asked.costs).max() < 1e-4 * np.ptp(asked.costs)


def test_with_fewer_runs_than_coefficients_it_is_better_than_the_mean() -> None:
    data, asked = of_its_form(12, 0), of_its_form(50, 3)
    law = ProjektorLaw().fit(data)
    errors = np.square(law.predict(asked.shares) - asked.costs).mean(axis=0)
    assert (errors < 0.5 * np.square(data.costs.mean(axis=0) - asked.costs).mean(axis=0)).all()
    assert (law.deviation(asked.shares) > 0).all()


def test_distances_are_needed_and_must_know_every_source() -> None:
    data = of_its_form(12, 0)
    with pytest.raises(ConfigError, match="give it with --transport"):
        ProjektorLaw().fit(replace(data, transport=None))
    others = replace(PLANES, sources=("ads", *PLANES.sources[1:]))
    with pytest.raises(
        ConfigError, match="nothing is known of source 'web'; known are ads, law, code, books"
    ):
        ProjektorLaw().fit(replace(data, transport=others))


def test_sources_are_taken_by_name() -> None:
    shares = mixtures(9, 0)
    there = PLANES.over(SOURCES)
    np.testing.assert_allclose(there.distances(shares), PLANES.distances(shares[:, ::-1]), rtol=1e-14)
    np.testing.assert_array_equal(there.gradients(shares), PLANES.gradients(shares[:, ::-1])[:, ::-1])


def test_a_file_of_distances_is_read_back_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "transport.json"
    PLANES.write(path)
    assert TransportPlanes.read(path) == PLANES
    path.write_text(path.read_text().replace("0.9", "0.8", 1))
    with pytest.raises(ConfigError, match=r"transport\.json: it is not as it was written"):
        TransportPlanes.read(path)
    for text in ("{}", "[1]", '{"schema": 1}', "no JSON"):
        path.write_text(text)
        with pytest.raises(ConfigError, match="writes transport"):
            TransportPlanes.read(path)
    with pytest.raises(ConfigError, match="writes transport"):
        TransportPlanes.read(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    "wrong",
    [{"slopes": ()}, {"heights": (0.0,)}, {"slopes": ((1.0,) * 4, (1.0,) * 3, (1.0,) * 4)},
     {"heights": (0.0, float("nan"), 0.0)}],
)  # fmt: skip
def test_planes_that_are_none_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="transport: "):
        replace(PLANES, **wrong)  # type: ignore[arg-type]


def test_the_second_stage_fails_beyond_three_times() -> None:
    """L = 1.7 + 406 N^-0.34, seen at 1e6 and 1.5e6."""

    def law(size: float) -> float:
        return 1.7 + 406.0 * size**-0.34

    def predicted(size: float) -> float:
        return log_linear_loss(law(1e6), law(1.5e6), (1e6, 1.5e6), size)

    assert (predicted(1e6), predicted(1.5e6)) == pytest.approx((law(1e6), law(1.5e6)))
    assert law(2e6) - predicted(2e6) < 0.05
    assert [round(law(size), 2) for size in (1e7, 1e8)] == [3.39, 2.47]
    assert [predicted(size) for size in (1e7, 1e8)] == pytest.approx([2.70, -0.02], abs=0.01)
    assert law(3e6) - predicted(3e6) > 0.1
