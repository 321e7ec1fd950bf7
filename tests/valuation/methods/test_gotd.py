"""GOT-D fills the gap between pool and target."""

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.sources.tokenizer import Tokenizer, train_tokenizer
from cuvee.types import FloatArray, IntArray
from cuvee.valuation.methods.gotd import GotD
from cuvee.valuation.transport import Transport
from tests.valuation.given_vectors import tables

pytest.importorskip("ot")


@pytest.fixture(scope="module")
def digits_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_tokenizer(["0123456789"], 300, tmp_path_factory.mktemp("tokenizer") / "t")


def gap(seed: int) -> tuple[FloatArray, FloatArray, IntArray]:
    """Of 3000, 90 % lie near a first centre, 8 % near a second, 2 % far off; the target is half and half."""
    rng = np.random.default_rng(seed)
    kind = np.repeat([0, 1, 2], [2700, 240, 60])
    centres = np.eye(32)[:3] * np.array([[2.0], [2.0], [4.0]])
    pool = centres[kind] + 0.3 * rng.standard_normal((3000, 32))
    target = centres[np.repeat([0, 1], 200)] + 0.3 * rng.standard_normal((400, 32))
    return pool, target, kind


def shares(kind: IntArray, order: IntArray) -> list[float]:
    return (np.bincount(kind[order], minlength=3) / len(order)).tolist()


@pytest.mark.parametrize("batch", [4096, 700])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_gap_is_filled_and_junk_is_left(digits_tokenizer: Tokenizer, seed: int, batch: int) -> None:
    """Acceptance: of 200 chosen 95 % from the gap, none of the junk."""
    vectors, wanted, kind = gap(seed)
    pool, target, substrates = tables(digits_tokenizer, vectors, wanted)
    values = GotD(Transport(batch=batch)).value(pool, target, substrates, seed)
    first, second, junk = shares(kind, np.argsort(-values)[:200])
    assert (second >= 0.95, junk, first <= 0.05) == (True, 0.0, True)
    assert set(kind[np.argsort(values)[:60]]) <= {0, 2}


def test_the_same_seed_gives_the_same_bytes(digits_tokenizer: Tokenizer) -> None:
    vectors, wanted, _ = gap(0)
    pool, target, substrates = tables(digits_tokenizer, vectors[::10], wanted[::10])
    method = GotD(Transport(batch=100))
    first, again, other = (method.value(pool, target, substrates, seed).tobytes() for seed in (0, 0, 1))
    assert first == again != other


def test_values_go_with_documents_in_any_order(digits_tokenizer: Tokenizer) -> None:
    vectors, wanted, _ = gap(0)
    pool, target, substrates = tables(digits_tokenizer, vectors[::30], wanted[::20])
    order = np.random.default_rng(0).permutation(len(pool))
    values = GotD().value(pool, target, substrates, 0)
    assert GotD().value(pool.select(order), target, substrates, 0) == pytest.approx(values[order], abs=1e-7)
    assert values.mean() == pytest.approx(0.0, abs=1e-12)


def test_copies_have_equal_values(digits_tokenizer: Tokenizer) -> None:
    vectors, wanted, _ = gap(0)
    pool, target, substrates = tables(digits_tokenizer, np.repeat(vectors[::60], 2, axis=0), wanted[::20])
    values = GotD().value(pool, target, substrates, 0).reshape(-1, 2)
    assert values[:, 0] == pytest.approx(values[:, 1], abs=1e-12)


def test_one_document_on_each_side_is_worth_nothing_in_particular(digits_tokenizer: Tokenizer) -> None:
    pool, target, substrates = tables(digits_tokenizer, np.eye(2)[:1], np.eye(2)[1:])
    assert GotD().value(pool, target, substrates, 0).tolist() == [0.0]


def test_an_embedding_that_is_not_finite_is_refused(digits_tokenizer: Tokenizer) -> None:
    vectors = np.eye(4)
    vectors[2, 1] = np.nan
    pool, target, substrates = tables(digits_tokenizer, vectors, np.eye(4)[:1])
    with pytest.raises(ConfigError, match="its embedding is not finite"):
        GotD().value(pool, target, substrates, 0)
