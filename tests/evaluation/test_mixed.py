"""Ensembles on a device against those of numpy."""

import numpy as np
import torch

from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.mixed import MixedProbabilities
from tests.evaluation.tiny_language import evaluator, pool

CPU = torch.device("cpu")
WEIGHTS = np.concatenate([np.eye(6), np.random.default_rng(5).dirichlet(np.ones(6), 150)])


def test_nats_are_those_of_numpy() -> None:
    ensemble = Ensemble.of(evaluator(), pool())
    found = MixedProbabilities.of(ensemble, CPU).nats(WEIGHTS)
    np.testing.assert_allclose(found, ensemble.score(WEIGHTS).nats, rtol=1e-6)
    np.testing.assert_allclose(found[:6], ensemble.members().nats, rtol=1e-6)


def test_a_mixture_alone_or_in_company_has_the_same_bytes() -> None:
    probabilities = MixedProbabilities.of(Ensemble.of(evaluator(), pool()), CPU)
    together = probabilities.nats(WEIGHTS)
    for row in (0, 63, 64, 155):
        assert probabilities.nats(WEIGHTS[row : row + 1]).tobytes() == together[row].tobytes()
    assert probabilities.nats(WEIGHTS[:0]).shape == (0, together.shape[1])


def test_a_token_that_a_member_hardly_ever_expects_is_no_infinity() -> None:
    ensemble = Ensemble.of(evaluator(), pool())
    far = ensemble.log_probs.copy()
    far[1] -= 500.0
    lost = Ensemble(ensemble.roster, ensemble.documents, far)
    weights = np.array([[0.5, 0.5, 0, 0, 0, 0], [0, 1.0, 0, 0, 0, 0]])
    found = MixedProbabilities.of(lost, CPU).nats(weights)
    np.testing.assert_allclose(found, lost.score(weights).nats, rtol=1e-6)
