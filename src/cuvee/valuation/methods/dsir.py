"""DSIR: documents weighed by how much likelier the target's n-grams make them than the pool's.

    value(x) = 1 / T  sum_{g in x} log( p(g) / q(g) )

g are hashed unigrams and bigrams of x, T its tokens, q their frequencies in the pool and p in the target. The
sum is the log importance weight of x under two bags of n-grams.

Xie, Santurkar, Ma, Liang 2023, Data Selection for Language Models via Importance Resampling,
https://arxiv.org/abs/2302.03169. Its resampling by Gumbel noise and top-k is a matter of selection.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.types import FloatArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.hashed_ngrams import bucket_counts, buckets_of, ngram_hashes, same_tokens
from cuvee.valuation.substrates import Substrates


@dataclass(frozen=True)
class Dsir:
    """Importance weights on hashed n-grams."""

    temperature: float = 0.0
    name: str = "dsir"
    paper: str = "https://arxiv.org/abs/2302.03169"
    unit: str = "nats per token"
    needs: str = ""
    cost: str = "two passes over the tokens of the pool; under a minute a 1e9 tokens"
    deviations: str = (
        "N-grams of the study's tokens, not of words. The target's frequencies shrink towards the pool's. "
        "Weights are per token, and a short document is filled up with average tokens, so that none wins by "
        "luck."
    )
    buckets: int = 10_000
    """The paper's."""
    least_tokens: int = 32
    """Shorter documents are filled up to so many tokens: chosen by hand; the mean over 32 tokens varies by
    some tenths of a nat."""

    def value(
        self, pool: DocumentTable, target: DocumentTable, substrates: Substrates, seed: int
    ) -> FloatArray:
        """See ``Valuer.value``; nothing is drawn."""
        same_tokens(self.name, pool, target)
        counts = bucket_counts(pool, self.buckets)
        weights = log_weights(counts, bucket_counts(target, self.buckets))
        average = float(counts @ weights) / pool.size
        result = np.empty(len(pool))
        for rows, flat, begins in pool.blocks():
            places = buckets_of(ngram_hashes(flat, begins, pool.tokenizer.end_of_text), self.buckets)
            sums = np.add.reduceat(weights[places].sum(axis=0), begins[:-1])
            missing = np.maximum(self.least_tokens - pool.length[rows], 0)
            result[rows] = (sums + average * missing) / (pool.length[rows] + missing)
        return result


def log_weights(pool: FloatArray, target: FloatArray) -> FloatArray:
    """log p / q of each bucket, from counts in the pool and in the target [B].

    One count a bucket is added to both: evenly to the pool's, in proportion to the pool's to the target's, so
    that a small target says little and an n-gram that it lacks is no proof against a document.
    """
    buckets = len(pool)
    q = (pool + 1.0) / (pool.sum() + buckets)
    p = (target + buckets * q) / (target.sum() + buckets)
    result: FloatArray = np.log(p / q)
    return result
