"""The output ensemble: mixing the members' probabilities instead of their parameters.

    loss(w) = - mean over tokens of log sum_k w_k p_k(token)

K forward passes once; then every mixture is a matrix-vector product, convex in w, with a free gradient.
The linear opinion pool (Stone 1961). As a stand-in for training it must be measured like the merge is.

log p_k are kept as float32 [K, tokens]. Per token the largest is taken out before exp, once for all
mixtures; what lies 80 nats below it counts as 80 nats below. A mixture is then ``w @ P`` and a logarithm, in
blocks that stay in cache: 10,000 mixtures of 8 members on 12,000 tokens take about a second on one core,
most of it logarithms. In numpy: its OpenBLAS and torch's MKL were equally fast here. A mixture's scores do
not depend on which others are scored with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cuvee.errors import CheckpointError, MixtureError
from cuvee.evaluation.likelihood import Evaluator
from cuvee.evaluation.scores import Documents, Scores
from cuvee.files import atomic_folder
from cuvee.hashing import digest
from cuvee.merging.pool import FlatPool
from cuvee.merging.roster import Roster
from cuvee.mixture.mirror_descent import Optimum, mirror_descent, over_sources
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.progress import Progress, Silent
from cuvee.seal import FILES, damage, digests_of, read_sealed, write_sealed
from cuvee.types import Float32Array, FloatArray, IntArray

_LOG_PROBS = "log_probs.npy"
FLOOR_NATS = 80.0
_BLOCK_TOKENS = 1024
_BLOCK_NUMBERS = 1 << 18


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Log-probabilities of the tokens of all evaluations under every member of a pool.

    Raises:
        MixtureError: shapes that do not fit.
    """

    roster: Roster
    documents: Documents
    log_probs: Float32Array
    """[K, tokens], document by document, as ``Evaluator.token_log_probs`` gives them."""

    def __post_init__(self) -> None:
        shape = len(self.roster.members), int(self.documents.tokens.sum())
        if self.log_probs.shape != shape:
            raise MixtureError(f"ensemble: log-probabilities {self.log_probs.shape}, expected {shape}")

    @classmethod
    def of(cls, evaluator: Evaluator, pool: FlatPool, progress: Progress | None = None) -> "Ensemble":
        """Score the members: K forward passes."""
        listener = progress or Silent()
        listener.stage("scoring members", len(pool.roster.members), "members")
        rows = np.empty((len(pool.roster.members), evaluator.tokens), dtype=np.float32)
        for row, name in enumerate(pool.roster.names):
            rows[row] = evaluator.token_log_probs(pool.branch(name))
            listener.advance(1, name)
        return cls(pool.roster, evaluator.documents, rows)

    @cached_property
    def _peak(self) -> Float32Array:
        """Largest log-probability of every token [tokens]."""
        return np.asarray(self.log_probs.max(axis=0))

    @cached_property
    def _relative(self) -> Float32Array:
        """Probabilities over the largest [K, tokens]."""
        relative = np.maximum(self.log_probs - self._peak, np.float32(-FLOOR_NATS))
        return np.asarray(np.exp(relative))

    @cached_property
    def _used(self) -> IntArray:
        """Documents with tokens."""
        return np.flatnonzero(self.documents.tokens)

    @cached_property
    def _starts(self) -> IntArray:
        """First token of every document with tokens, and the end."""
        return np.concatenate(([0], np.cumsum(self.documents.tokens[self._used]))).astype(np.int64)

    def members(self) -> Scores:
        """Scores of the members themselves [K, D]."""
        return Scores(self.documents, self._document_sums(-self.log_probs.astype(np.float64)))

    def score(self, weights: FloatArray) -> Scores:
        """Nats of every document under mixtures of the members.

        Args:
            weights: [M, K] or [K], on the simplex.

        Returns:
            Scores of shape [M, D] or [D].
        """
        weights = self._checked(weights)
        table = np.atleast_2d(weights).astype(np.float32)
        nats = np.zeros((len(table), len(self.documents.tokens)))
        peak_nats = self._document_sums(self._peak.astype(np.float64))
        for first, last in self._document_blocks():
            tokens = slice(int(self._starts[first]), int(self._starts[last]))
            starts = self._starts[first:last] - tokens.start
            relative = np.ascontiguousarray(self._relative[:, tokens])
            block = max(1, _BLOCK_NUMBERS // max(1, tokens.stop - tokens.start))
            for row in range(0, len(table), block):
                mixed = np.empty((len(table[row : row + block]), tokens.stop - tokens.start), np.float32)
                # One product a mixture costs 0.1 s more than one for all, and its bits know no neighbours.
                for weights_row, out in zip(table[row : row + block], mixed, strict=True):
                    np.dot(weights_row, relative, out=out)
                np.log(mixed, out=mixed)
                nats[row : row + block, self._used[first:last]] = np.add.reduceat(
                    mixed, starts, axis=1, dtype=np.float64
                )
        nats = -(nats + peak_nats)
        return Scores(self.documents, nats.reshape(*weights.shape[:-1], -1))

    def value_and_gradient(self, weights: FloatArray, target: FloatArray) -> tuple[float, FloatArray]:
        """Weighted loss and its derivatives in the weights; in float64, one pass.

        Args:
            weights: [K] on the simplex.
            target: weight of each evaluation's nats per token [E], not negative.
        """
        weights = self._checked(weights)
        coefficient = np.asarray(target) / self.documents.evaluation_tokens
        per_token = np.repeat(coefficient[self.documents.evaluation], self.documents.tokens)
        value, gradient = -float(per_token @ self._peak), np.zeros(len(weights))
        for start in range(0, len(per_token), _BLOCK_NUMBERS // len(weights) + 1):
            tokens = slice(start, start + _BLOCK_NUMBERS // len(weights) + 1)
            relative = self._relative[:, tokens].astype(np.float64)
            mixed = weights @ relative
            value -= float(per_token[tokens] @ np.log(mixed))
            gradient -= relative @ (per_token[tokens] / mixed)
        return value, gradient

    def optimum(
        self, region: Region, target: FloatArray, start: Mixture | None = None, tolerance: float = 1e-5
    ) -> Optimum:
        """The mixture of sources with the lowest weighted loss in a region.

        The problem is convex: ``Optimum.gap`` certifies how far from the best it can be at most.

        Args:
            region: over sources of the pool.
            target: weight of each evaluation's nats per token [E], not negative.
            start: default uniform.
            tolerance: of the gap, in nats per token times the sum of the target.
        """
        spread = self.roster.spread(region.names)
        objective = over_sources(lambda weights: self.value_and_gradient(weights, target), spread)
        return mirror_descent(objective, region, start, tolerance=tolerance, max_evaluations=2000)

    def select(self, evaluator: Evaluator, windows: IntArray) -> "Ensemble":
        """The same members on the tokens of some windows of ``evaluator``, which scored all."""
        chosen = np.isin(evaluator.scored // evaluator.inputs.shape[1], windows)
        return Ensemble(self.roster, evaluator.select(windows).documents, self.log_probs[:, chosen])

    @property
    def key(self) -> str:
        """Hash of the pool and of what was scored; ensembles on disk are kept under this name."""
        return digest([self.roster.as_json(), self.documents.as_json()])

    def save(self, folder: Path) -> Path:
        """Write to ``folder / key``, unless it is there; returns that path. 4 K tokens bytes."""
        path = folder / self.key
        if not path.exists():
            with atomic_folder(path) as temporary:
                np.save(temporary / _LOG_PROBS, self.log_probs)
                meta = {"roster": self.roster.as_json(), "documents": self.documents.as_json()}
                digests = digests_of(temporary, (_LOG_PROBS,))
                write_sealed(temporary / "ensemble.json", meta | {FILES: digests})
        return path

    @classmethod
    def open(cls, path: Path) -> "Ensemble":
        """Open what ``save`` wrote; the log-probabilities are memory-mapped, and compared with their digest
        once a process.

        Raises:
            CheckpointError: a file is missing or damaged.
        """
        try:
            meta = read_sealed(path / "ensemble.json")
            if wrong := damage(path, meta.get(FILES, {}), (_LOG_PROBS,)):
                raise ValueError(wrong)
            log_probs = np.load(path / _LOG_PROBS, mmap_mode="r")
            found = cls(Roster.from_json(meta["roster"]), Documents.from_json(meta["documents"]), log_probs)
        except Exception as error:  # NumPy's reader of headers raises whatever its parser does
            raise CheckpointError(
                f"ensemble {path}: cannot be read ({error}); delete the folder and score again"
            ) from error
        if path.name != found.key:
            raise CheckpointError(
                f"ensemble {path}: holds ensemble {found.key}; delete the folder and score again"
            )
        return found

    def _checked(self, weights: FloatArray) -> FloatArray:
        weights = np.asarray(weights, dtype=np.float64)
        if weights.shape[-1:] != (len(self.roster.members),):
            raise MixtureError(f"ensemble: weights {weights.shape} for {len(self.roster.members)} members")
        if not (weights >= 0).all() or not np.allclose(weights.sum(axis=-1), 1.0, atol=1e-6):
            raise MixtureError(
                "ensemble: weights must be on the simplex; probabilities have no other average"
            )
        return weights

    def _document_blocks(self) -> Iterator[tuple[int, int]]:
        """Runs of whole documents (those with tokens) of some thousand tokens."""
        first, count = 0, len(self._used)
        while first < count:
            end = self._starts[first] + _BLOCK_TOKENS
            last = max(first + 1, int(np.searchsorted(self._starts, end, side="right")) - 1)
            yield first, min(last, count)
            first = min(last, count)

    def _document_sums(self, values: FloatArray) -> FloatArray:
        """Sums over the tokens of every document: [..., tokens] to [..., D]."""
        sums = np.zeros((*values.shape[:-1], len(self.documents.tokens)))
        sums[..., self._used] = np.add.reduceat(values, self._starts[:-1], axis=-1)
        return sums
