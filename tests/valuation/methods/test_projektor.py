"""projektor: values of sources."""

import numpy as np
import pytest

from cuvee.sources.tokenizer import Tokenizer, train_tokenizer
from cuvee.types import FloatArray
from cuvee.valuation.ground_cost import SquaredDistances
from cuvee.valuation.methods.projektor import Projektor, source_gradients
from cuvee.valuation.substrates import NotAtHand
from cuvee.valuation.transport import Transport
from tests.valuation.given_vectors import tables

pytest.importorskip("ot")
NAMES = ("web", "law", "ads")


@pytest.fixture(scope="module")
def digits_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_tokenizer(["0123456789"], 300, tmp_path_factory.mktemp("tokenizer") / "t")


def three_sources() -> tuple[FloatArray, list[str], FloatArray]:
    """Sources around three centres; the target lies around the second and, less, the first."""
    rng = np.random.default_rng(0)
    kind = np.repeat([0, 1, 2], [60, 30, 30])
    pool = 2.0 * np.eye(6)[kind] + 0.3 * rng.standard_normal((120, 6))
    target = 2.0 * np.eye(6)[np.repeat([0, 1], [10, 30])] + 0.3 * rng.standard_normal((40, 6))
    return pool, [NAMES[one] for one in kind], target


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
    source = np.array([NAMES.index(one) for one in sources])
    costs, how, shares = SquaredDistances(pool, target), Transport(0.1), np.array([0.5, 0.25, 0.25])

    def distance(shares: FloatArray) -> float:
        return how.duals(costs, 0, (shares / np.bincount(source))[source]).cost

    found = source_gradients(how.duals(costs, 0).f, source, 3)
    for place, gradient in enumerate(found):
        others = np.delete(shares, place) / (1.0 - shares[place])
        move = np.insert(-others, place, 1.0) * 1e-5
        ahead, behind = (distance(shares + way * move) for way in (1, -1))
        assert (ahead - behind) / 2e-5 == pytest.approx(gradient, abs=1e-6)


def test_one_source_cannot_be_compared(digits_tokenizer: Tokenizer) -> None:
    vectors, _, wanted = three_sources()
    with pytest.raises(NotAtHand, match="the pool has one; give a second"):
        Projektor().value(*tables(digits_tokenizer, vectors, wanted), seed=0)
