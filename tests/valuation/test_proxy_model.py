"""Means over the tokens of documents."""

import numpy as np
import pytest

from cuvee.valuation.proxy_model import LEAST_TOKENS, ProxyModel, per_token
from tests.valuation.conftest import Tables


def test_short_documents_are_filled_up_with_the_mean_of_all() -> None:
    sums, tokens = np.array([10.0, 300.0]), np.array([2, 100])
    mean = 310.0 / 102.0
    first, second = per_token(sums, tokens)
    assert first == pytest.approx((10.0 + (LEAST_TOKENS - 2) * mean) / LEAST_TOKENS)
    assert second == pytest.approx(3.0)


def test_losses_are_those_of_each_document_alone(tables: Tables, proxy: ProxyModel) -> None:
    few = tables.pool.select(np.array([3, 21, 30]))
    losses = proxy.losses(few)
    alone = [proxy.mean_loss(few.select(np.array([row]))) for row in range(3)]
    np.testing.assert_allclose(losses, alone, rtol=1e-5)
    weights = few.length / few.length.sum()
    assert proxy.mean_loss(few) == pytest.approx(float(losses @ weights), rel=0.05)
