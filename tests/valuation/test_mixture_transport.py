"""Distances of mixtures from a target: planes against the transports that they stand for."""

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.sources.tokenizer import Tokenizer, train_tokenizer
from cuvee.types import AnyArray, FloatArray
from cuvee.valuation.ground_cost import SquaredDistances
from cuvee.valuation.mixture_transport import PLANES, transport_planes
from cuvee.valuation.substrates import NotAtHand
from cuvee.valuation.transport import Transport, entropic_duals
from tests.valuation.given_vectors import tables
from tests.valuation.methods.test_projektor import NAMES, three_sources

pytest.importorskip("ot")


@pytest.fixture(scope="module")
def digits_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_tokenizer(["0123456789"], 300, tmp_path_factory.mktemp("tokenizer") / "t")


def unit(vectors: FloatArray) -> AnyArray:
    """As documents are embedded."""
    single = vectors.astype(np.float32)
    return single / np.linalg.norm(single, axis=1, keepdims=True)


def transported(shares: FloatArray) -> float:
    """OT from one mixture, by itself."""
    pool, sources, target = three_sources()
    source = np.array([NAMES.index(one) for one in sources])
    costs = SquaredDistances(unit(pool), unit(target))
    kept = np.flatnonzero(shares[source] > 0)
    masses = (shares / np.bincount(source))[source][kept]
    block = costs.block(kept, np.arange(len(target)))
    columns = np.full(len(target), 1.0 / len(target))
    return entropic_duals(block, masses, columns, 0.1 * costs.mean).cost


def test_planes_touch_ot_at_single_sources_and_lie_hardly_below_it_elsewhere(
    digits_tokenizer: Tokenizer,
) -> None:
    vectors, sources, wanted = three_sources()
    pool, target, substrates = tables(digits_tokenizer, vectors, wanted, sources=(sources, None))
    planes = transport_planes(pool, target, "wanted", substrates, 0).over(NAMES)
    assert (planes.target, len(planes.heights)) == ("wanted", PLANES)
    for shares in np.eye(3):
        assert planes.distances(shares[None]) == pytest.approx(transported(shares), abs=1e-6)
    shares = np.random.default_rng(3).dirichlet(np.ones(3), 40)
    gaps = np.array([transported(one) for one in shares]) - planes.distances(shares)
    spread = planes.distances(shares).std()
    assert gaps.min() > -1e-6 and gaps.mean() < 0.01 * spread and gaps.max() < 0.1 * spread


def test_the_same_seed_gives_the_same_planes(digits_tokenizer: Tokenizer) -> None:
    vectors, sources, wanted = three_sources()
    given = tables(digits_tokenizer, vectors, wanted, sources=(sources, None))
    few = Transport(batch=30)
    one, again, other = (transport_planes(given[0], given[1], "t", given[2], seed, few) for seed in (0, 0, 1))
    assert one == again != other


def test_one_source_or_one_vector_has_no_distances(digits_tokenizer: Tokenizer) -> None:
    vectors, sources, wanted = three_sources()
    pool, target, substrates = tables(digits_tokenizer, vectors, wanted)
    with pytest.raises(NotAtHand, match="the pool has one source"):
        transport_planes(pool, target, "t", substrates, 0)
    same = np.ones_like(vectors), np.ones_like(wanted)
    pool, target, substrates = tables(digits_tokenizer, *same, sources=(sources, None))
    with pytest.raises(ConfigError, match="all documents have the same embedding"):
        transport_planes(pool, target, "t", substrates, 0)
