"""The evaluator against a scorer that goes document by document."""

import numpy as np
import pytest
import torch

from cuvee.errors import ConfigError, EmptySource, NonFiniteLoss
from cuvee.evaluation.likelihood import Evaluator
from cuvee.evaluation.scores import Documents
from tests.evaluation.tiny_language import SOURCES, Bigram, documents, evaluation_set, evaluator, pool


def naive_nats(flat: torch.Tensor, text: np.ndarray) -> float:
    """-log p of a document, token by token, after an end-of-text token."""
    table = (torch.tanh(Bigram.layout.views(flat)["embedding"]) @ Bigram.layout.views(flat)["head"]).double()
    total, before = 0.0, 0
    for token in text:
        total -= float(table[before].log_softmax(0)[token])
        before = int(token)
    return total


def test_scores_agree_with_one_document_at_a_time() -> None:
    texts = [documents(i, 5 + i, seed=3) for i in range(3)]
    sets = [evaluation_set(name, part) for name, part in zip(SOURCES, texts, strict=True)]
    flat = pool().branch("code/0")
    scores = Evaluator.of(Bigram(), sets, batch_windows=4).score(flat)
    nats = [[naive_nats(flat, text) for text in part] for part in texts]
    tokens = [sum(len(text) for text in part) for part in texts]
    np.testing.assert_allclose(scores.nats, np.concatenate(nats), atol=1e-4)
    expected = np.array([sum(part) / count for part, count in zip(nats, tokens, strict=True)])
    np.testing.assert_allclose(scores.nats_per_token, expected, atol=1e-5)
    np.testing.assert_allclose(scores.bits_per_byte, expected / 3 / np.log(2), rtol=1e-5)


@pytest.mark.parametrize("batch_windows", [1, 2, 5, 1000])
def test_batches_change_nothing_and_have_one_shape(batch_windows: int) -> None:
    one = evaluator(batch_windows=batch_windows)
    expected = evaluator(batch_windows=3).score(pool().seed).nats
    np.testing.assert_allclose(one.score(pool().seed).nats, expected, rtol=1e-6)
    model = one.model
    assert isinstance(model, Bigram)
    assert len(model.shapes) == 1


def test_token_log_probs_are_in_document_order_and_add_up() -> None:
    one = evaluator()
    log_probs = one.token_log_probs(pool().seed)
    assert log_probs.shape == (one.tokens,) == one.token_document.shape
    assert (np.diff(one.token_document) >= 0).all()
    np.testing.assert_array_equal(one.scores_of(log_probs).nats, one.score(pool().seed).nats)


def test_parts_of_the_windows_add_up() -> None:
    one = evaluator()
    order = np.random.default_rng(0).permutation(len(one.inputs))
    parts = [one.select(order[:5]), one.select(order[5:])]
    np.testing.assert_array_equal(sum(part.documents.tokens for part in parts), one.documents.tokens)
    np.testing.assert_allclose(sum(part.documents.bytes for part in parts), one.documents.bytes)
    np.testing.assert_allclose(
        sum(part.score(pool().seed).nats for part in parts), one.score(pool().seed).nats, rtol=1e-6
    )


def test_targets_are_coefficients_of_the_losses() -> None:
    scores = evaluator().score(pool().seed)
    target = scores.documents.target({"web": 2.0, "books": 1.0})
    assert scores.nats_per_token @ target == pytest.approx(scores.nats_per_token @ [2, 0, 1])
    np.testing.assert_allclose(
        scores.nats_per_token * scores.documents.bits_per_byte_factor, scores.bits_per_byte
    )
    with pytest.raises(ConfigError, match="no evaluation 'poems'"):
        scores.documents.target({"poems": 1.0})


def test_documents_survive_json() -> None:
    found = evaluator().documents
    again = Documents.from_json(found.as_json())
    assert again.as_json() == found.as_json()


def test_broken_parameters_are_told_by_evaluation() -> None:
    with pytest.raises(NonFiniteLoss, match="'web'"):
        evaluator().score(torch.full_like(pool().seed, torch.nan))


def test_sets_that_do_not_fit_are_refused() -> None:
    model, texts = Bigram(), documents(0, 3, seed=0)
    good = evaluation_set("web", texts)
    with pytest.raises(ConfigError, match="unique"):
        Evaluator.of(model, [good, good])
    with pytest.raises(ConfigError, match="none"):
        Evaluator.of(model, [])
    with pytest.raises(ConfigError, match=r"\[8, 16\]"):
        Evaluator.of(model, [good, evaluation_set("short", texts, context=8)])
    with pytest.raises(ConfigError, match="context of 16"):
        Evaluator.of(model, [evaluation_set("long", texts, context=32)])
    unscored = evaluation_set("empty", texts)
    object.__setattr__(unscored, "document", np.full_like(unscored.document, -1))
    with pytest.raises(EmptySource, match="'empty'"):
        Evaluator.of(model, [good, unscored])
