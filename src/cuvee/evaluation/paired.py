"""Differences between models on the same documents, with standard errors.

Documents are resampled with replacement inside each evaluation, the same ones for all models, and the
ratio of sums (nats over tokens) is taken anew each time: the spread is that of the loss as it is
reported, long documents included (Efron & Tibshirani 1993, ch. 10, on ratios). One matrix product an
evaluation. The error is that of the choice of documents; noise of training is not in it.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.evaluation.scores import Documents, Scores
from cuvee.types import FloatArray, IntArray

RESAMPLES = 400


@dataclass(frozen=True, eq=False)
class Paired:
    """Differences in nats per token, and their standard errors (infinite if one document is all there is)."""

    difference: FloatArray
    """[..., E]"""
    standard_error: FloatArray
    """[..., E]"""
    documents: Documents
    """What was measured."""

    def weighted(self, target: FloatArray) -> "tuple[FloatArray, FloatArray]":
        """Difference and standard error of a weighted sum of evaluations, ``target`` [E]."""
        error, _ = self._parts(target)
        return self.difference @ target, np.sqrt(np.square(error).sum(axis=-1))

    def freedom(self, target: FloatArray) -> FloatArray:
        """Degrees of freedom of that standard error [...]: those of few documents where they weigh most.

        Welch (1947) and Satterthwaite (1946). Without any error all documents count.
        """
        error, counts = self._parts(target)
        square = np.square(error)
        below = (np.square(square) / np.maximum(counts - 1, 1)).sum(axis=-1)
        known = np.isfinite(below) & (below > 0)
        found = np.square(square.sum(axis=-1, where=known[..., None])) / np.where(known, below, 1.0)
        return np.asarray(np.where(known, found, (counts - 1).sum()))

    def _parts(self, target: FloatArray) -> "tuple[FloatArray, IntArray]":
        """Errors of the sum by the choice of documents [..., K], and how many documents each rests on [K].

        Different texts share no documents, so their errors are independent. Evaluations of the same text have
        one error.
        """
        keys = self.documents.keys
        used = [int(position) for position in np.flatnonzero(target)]
        weight: dict[str, float] = {}
        for position in used:
            weight[keys[position]] = weight.get(keys[position], 0.0) + float(target[position])
        first = [keys.index(key) for key in weight]
        return self.standard_error[..., first] * np.array(list(weight.values())), self.documents.counts[first]


def compare(scores: Scores, baseline: Scores, resamples: int = RESAMPLES, seed: int = 0) -> Paired:
    """Losses of models minus the loss of a baseline.

    Args:
        scores: of the models [..., D].
        baseline: of one model [D], or one for each [..., D], on the same documents.
        resamples: bootstrap samples; the standard error itself is known to 1 / sqrt(2 resamples).
        seed: of the resampling.
    """
    difference = Scores(scores.documents, scores.nats - baseline.nats)
    return Paired(difference.nats_per_token, standard_errors(difference, resamples, seed), scores.documents)


def standard_errors(scores: Scores, resamples: int = RESAMPLES, seed: int = 0) -> FloatArray:
    """Document-bootstrap standard errors of the nats per token [..., E].

    The bootstrap's own shrinkage, (n - 1) / n of the variance for n documents, is taken out.
    """
    rng = np.random.default_rng(seed)
    documents = scores.documents
    errors = np.full((*scores.nats.shape[:-1], len(documents.evaluations)), np.inf)
    for position in range(len(documents.evaluations)):
        chosen = np.flatnonzero((documents.evaluation == position) & (documents.tokens > 0))
        if len(chosen) < 2:
            continue
        counts = rng.multinomial(len(chosen), np.full(len(chosen), 1 / len(chosen)), size=resamples).astype(
            np.float64
        )
        draws = (scores.nats[..., chosen] @ counts.T) / (counts @ documents.tokens[chosen])
        errors[..., position] = draws.std(axis=-1, ddof=1) * np.sqrt(len(chosen) / (len(chosen) - 1))
    return errors
