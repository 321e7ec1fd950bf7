"""RHO: what a document has left to teach that the target also asks for.

    value_i = l_i(theta) - l_i(theta_t)

theta is the proxy and theta_t the proxy trained on the target: a document with a high loss that falls with
the target's is worth learning, noise stays as hard as it was. Mindermann et al. 2022 (ICML), "Prioritized
Training on Points that are Learnable, Worth Learning, and Not Yet Learnt", https://arxiv.org/abs/2206.07137,
equation 3; Deng, Cui & Zhu 2023 (NeurIPS), "Towards Accelerated Model Training via Bayesian Data Selection",
https://arxiv.org/abs/2308.10544, replace theta_t by a posterior.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.types import FloatArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.substrates import NotAtHand, Substrates

LEAST_DOCUMENTS = 4


@dataclass(frozen=True)
class Rho:
    """The method."""

    epochs: int = 8
    """Over half of the target, at most: the other half ends it where its loss no longer falls."""
    temperature: float = 0.0
    name: str = "rho"
    paper: str = "https://arxiv.org/abs/2206.07137"
    unit: str = "nats per token"
    needs: str = "the study's proxy and a training of it"
    cost: str = "two forward passes over the pool, and some epochs over the target"
    deviations: str = (
        "One selection before the training instead of one a step; the holdout model is the proxy trained on "
        "half of the target, which the other half ends."
    )

    def value(
        self, pool: DocumentTable, target: DocumentTable, substrates: Substrates, seed: int
    ) -> FloatArray:
        """See ``Valuer.value``."""
        proxy = substrates.needed_proxy(self.name)
        training = substrates.needed_training(self.name)
        if len(target) < LEAST_DOCUMENTS:
            raise NotAtHand(
                f"{self.name}: a target of {len(target)} documents gives no model of it; at least "
                f"{LEAST_DOCUMENTS} are needed"
            )
        half = np.arange(len(target)) % 2 == 0
        learning, judging = target.select(half), target.select(~half)
        if (there := learning.size + len(learning)) < training.recipe.batch_tokens:
            raise NotAtHand(
                f"{self.name}: half of the target has {there:,} tokens, less than one batch of "
                f"{training.recipe.batch_tokens:,}; give the target more text, or lower "
                "reference_training.batch_tokens"
            )
        best, lowest = proxy, proxy.mean_loss(judging)
        for epochs in range(1, self.epochs + 1):
            rows = np.tile(np.arange(len(learning)), epochs)
            moved = proxy.moved(training.trained_on(learning.select(rows), seed, substrates.progress))
            loss = moved.mean_loss(judging)
            if loss >= lowest:
                break
            best, lowest = moved, loss
        if best is proxy:
            raise NotAtHand(
                f"{self.name}: training on half of the target did not lower the loss of the other half; give "
                "the target more documents"
            )
        result: FloatArray = proxy.losses(pool) - best.losses(pool)
        return result
