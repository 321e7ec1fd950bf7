"""projektor: values of sources, losses of mixtures by OT, and its extrapolation, which fails."""

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.sources.tokenizer import Tokenizer, train_tokenizer
from cuvee.types import FloatArray
from cuvee.valuation.ground_cost import SquaredDistances
from cuvee.valuation.methods.projektor import (
    Projektor,
    fit_projektor,
    log_linear_loss,
    mixture_distance,
    source_gradients,
)
from cuvee.valuation.substrates import NotAtHand
from cuvee.valuation.transport import Transport
from tests.valuation.given_vectors import tables

pytest.importorskip("ot")


@pytest.fixture(scope="module")
def digits_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_tokenizer(["0123456789"], 300, tmp_path_factory.mktemp("tokenizer") / "t")


def three_sources() -> tuple[FloatArray, list[str], FloatArray]:
    """Sources around three centres; the target lies around the second and, less, the first."""
    rng = np.random.default_rng(0)
    kind = np.repeat([0, 1, 2], [60, 30, 30])
    pool = 2.0 * np.eye(6)[kind] + 0.3 * rng.standard_normal((120, 6))
    target = 2.0 * np.eye(6)[np.repeat([0, 1], [10, 30])] + 0.3 * rng.standard_normal((40, 6))
    return pool, [("web", "law", "ads")[one] for one in kind], target


def test_documents_have_the_value_of_their_source(digits_tokenizer: Tokenizer) -> None:
    vectors, sources, wanted = three_sources()
    pool, target, substrates = tables(digits_tokenizer, vectors, wanted, sources=(sources, None))
    values = Projektor().value(pool, target, substrates, 0)
    web, law, ads = (set(values[pool.source == place].tolist()) for place in range(3))
    assert (len(web), len(law), len(ads)) == (1, 1, 1)
    assert max(law) > 0 > max(*web, *ads)


def test_the_gradient_is_that_of_the_distance_in_shares() -> None:
    """Central differences: a source gains share, all other documents lose evenly."""
    pool, sources, target = three_sources()
    names = ("web", "law", "ads")
    source = np.array([names.index(one) for one in sources])
    costs, how, shares = SquaredDistances(pool, target), Transport(0.1), np.array([0.5, 0.25, 0.25])
    found = source_gradients(how.duals(costs, 0).f, source, 3)
    for place, gradient in enumerate(found):
        others = np.delete(shares, place) / (1.0 - shares[place])
        move = np.insert(-others, place, 1.0) * 1e-5
        ahead, behind = (mixture_distance(costs, source, shares + way * move, how, 0) for way in (1, -1))
        assert (ahead - behind) / 2e-5 == pytest.approx(gradient, abs=1e-6)


def test_a_mixture_without_a_source_is_that_of_the_others() -> None:
    pool, sources, target = three_sources()
    source = np.array([("web", "law", "ads").index(one) for one in sources])
    only = source == 1
    whole = mixture_distance(
        SquaredDistances(pool, target), source, np.array([0.0, 1.0, 0.0]), Transport(), 0
    )
    assert whole == Transport().duals(SquaredDistances(pool[only], target), 0).cost
    with pytest.raises(ConfigError, match="source number 3 has a share and no document"):
        mixture_distance(SquaredDistances(pool, target), source, np.full(4, 0.25), Transport(), 0)


def test_one_source_cannot_be_compared(digits_tokenizer: Tokenizer) -> None:
    vectors, _, wanted = three_sources()
    with pytest.raises(NotAtHand, match="the pool has one; give a second"):
        Projektor().value(*tables(digits_tokenizer, vectors, wanted), seed=0)


@pytest.mark.parametrize("sources", [2, 3, 5])
def test_the_first_stage_predicts_losses_of_its_own_form(sources: int) -> None:
    rng = np.random.default_rng(sources)
    shares, distances = rng.dirichlet(np.ones(sources), 60), rng.uniform(0.2, 1.0, 60)
    quadratic = np.concatenate([shares**2, shares], axis=1)
    truth = (quadratic @ rng.uniform(0, 1, 2 * sources)) * distances + quadratic @ rng.uniform(
        0, 1, 2 * sources
    )
    fit = fit_projektor(shares[:40], distances[:40], truth[:40])
    assert fit.predict(shares[40:], distances[40:]) == pytest.approx(truth[40:], abs=1e-9)


def test_the_first_stage_refuses_what_it_cannot_be_fitted_to() -> None:
    shares, distances = np.full((11, 3), 1 / 3), np.ones(11)
    with pytest.raises(ConfigError, match="12 coefficients need as many mixtures of 3 sources; there are 11"):
        fit_projektor(shares, distances, np.ones(11))
    losses = np.full(12, np.nan)
    with pytest.raises(ConfigError, match="must be finite"):
        fit_projektor(np.full((12, 3), 1 / 3), np.ones(12), losses)


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
