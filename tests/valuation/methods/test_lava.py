"""LAVA finds labels that were flipped, and is GOT-D without classes."""

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.progress import Silent
from cuvee.sources.tokenizer import Tokenizer, train_tokenizer
from cuvee.types import BoolArray, FloatArray, IntArray
from cuvee.valuation.methods.gotd import GotD
from cuvee.valuation.methods.lava import Lava
from cuvee.valuation.substrates import Substrates
from tests.valuation.given_vectors import tables

pytest.importorskip("ot")


@pytest.fixture(scope="module")
def digits_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_tokenizer(["0123456789"], 300, tmp_path_factory.mktemp("tokenizer") / "t")


def auc(score: FloatArray, positive: BoolArray) -> float:
    """The probability that a positive has a higher score than a negative."""
    rank = np.argsort(np.argsort(score)) + 1.0
    most = positive.sum() * (~positive).sum()
    return float((rank[positive].sum() - positive.sum() * (positive.sum() + 1) / 2) / most)


def flipped_digits(seed: int) -> tuple[FloatArray, IntArray, BoolArray, FloatArray, IntArray]:
    """1000 digits of which a fifth has another label, which these are; and 40 of each with their own."""
    datasets = pytest.importorskip("sklearn.datasets")
    images, labels = datasets.load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    target = np.concatenate([order[labels[order] == digit][:40] for digit in range(10)])
    pool = np.setdiff1d(order, target, assume_unique=True)[:1000]
    flipped = np.zeros(1000, dtype=bool)
    flipped[rng.permutation(1000)[:200]] = True
    given = np.where(flipped, (labels[pool] + rng.integers(1, 10, 1000)) % 10, labels[pool])
    return images[pool], given, flipped, images[target], labels[target]


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4])
def test_flipped_labels_are_worth_less(digits_tokenizer: Tokenizer, seed: int) -> None:
    """Acceptance: AUC at least .90; features alone know nothing, .44 to .56."""
    images, given, flipped, wanted, labels = flipped_digits(seed)
    pool, target, substrates = tables(
        digits_tokenizer, images, wanted, labels=(given.tolist(), labels.tolist())
    )
    assert auc(-Lava().value(pool, target, substrates, seed), flipped) >= 0.90
    assert 0.44 <= auc(-GotD().value(pool, target, substrates, seed), flipped) <= 0.56


def test_labels_that_count_too_much_are_found_worse(digits_tokenizer: Tokenizer) -> None:
    images, given, flipped, wanted, labels = flipped_digits(0)
    both = (given.tolist(), labels.tolist())
    pool, target, substrates = tables(digits_tokenizer, images, wanted, labels=both)
    found = [auc(-Lava(weight).value(pool, target, substrates, 0), flipped) for weight in (1.0, 10.0)]
    assert found[0] > found[1] + 0.05


class Heard(Silent):
    """Messages of a valuation."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


def small(seed: int = 0) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((40, 5)) + 1.0, rng.standard_normal((20, 5)) + 1.5


def test_without_classes_it_is_gotd_and_says_so(digits_tokenizer: Tokenizer) -> None:
    pool, target, given = tables(digits_tokenizer, *small(), sources=(["web"] * 40, ["law"] * 20))
    heard = Heard()
    values = Lava().value(pool, target, Substrates(encoder=given.encoder, progress=heard), 0)
    assert values.tobytes() == GotD().value(pool, target, given, 0).tobytes()
    assert heard.messages == ["lava: no labels and no source on both sides; values are those of gotd"]


def test_sources_on_both_sides_are_classes(digits_tokenizer: Tokenizer) -> None:
    """The same as labels that name them; labels win where both sides have them."""
    mine, theirs = ["web", "law"] * 20, ["law", "web"] * 10
    numbers = {"web": 4, "law": 7}
    by_source = tables(digits_tokenizer, *small(), sources=(mine, theirs))
    labels = [numbers[one] for one in mine], [numbers[one] for one in theirs]
    by_label = tables(digits_tokenizer, *small(), labels=labels)
    values = [Lava().value(*one, seed=0) for one in (by_source, by_label)]
    assert values[0] == pytest.approx(values[1], abs=1e-9)
    assert values[0] != pytest.approx(GotD().value(*by_source, seed=0), abs=1e-3)


def test_a_label_of_one_side_alone_is_a_class_of_its_own(digits_tokenizer: Tokenizer) -> None:
    """What it is far from decides, so a target may lack it."""
    labels = [0, 1] * 19 + [9, 9], [0, 1] * 10
    values = Lava().value(*tables(digits_tokenizer, *small(), labels=labels), seed=0)
    assert np.isfinite(values).all()


def test_labels_of_one_side_are_said_to_be_of_no_use(digits_tokenizer: Tokenizer) -> None:
    sources = ["web", "law"] * 20, ["law", "web"] * 10
    plain = tables(digits_tokenizer, *small(), sources=sources)
    pool, target, given = tables(digits_tokenizer, *small(), sources=sources, labels=([0, 1] * 20, None))
    heard = Heard()
    values = Lava().value(pool, target, Substrates(encoder=given.encoder, progress=heard), 0)
    assert values.tobytes() == Lava().value(*plain, seed=0).tobytes()
    assert heard.messages == ["lava: only the pool has labels; they are not used"]


def test_a_negative_label_is_refused(digits_tokenizer: Tokenizer) -> None:
    labels = [0] * 39 + [-1], [0] * 20
    with pytest.raises(ConfigError, match="document 39 of the pool has label -1"):
        Lava().value(*tables(digits_tokenizer, *small(), labels=labels), seed=0)
