"""Token likelihood of a model on evaluation sets.

Every token of every document is scored exactly once: windows overlap in nothing, the first token of
a document is predicted from an end-of-text token, padding counts for nothing. All evaluation sets are
scored in one sequence of batches of one shape, so that a compiled model compiles once and small sets cost no
small batches. All that is sent lies on the device of the parameters, and document sums in float64 come back
(``batched``). Cost: one forward pass over the windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from cuvee.errors import ConfigError, EmptySource, NonFiniteLoss
from cuvee.evaluation.batch_size import batch_tokens
from cuvee.evaluation.batched import BatchedWindows, ComputesIn
from cuvee.evaluation.scores import Documents, Scores
from cuvee.models.interface import CausalModel
from cuvee.sources.evaluation_set import EvaluationSet
from cuvee.types import BoolArray, Float32Array, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Evaluator:
    """A model's architecture with all that is to be scored; parameters are the argument.

    Runs on the device of the parameters.
    """

    model: CausalModel
    documents: Documents
    inputs: Tensor
    """[W, T] int64"""
    targets: Tensor
    """[W, T] int64"""
    document: IntArray
    """Index into ``documents`` of every target [W, T]; -1 is not scored."""
    batch_windows: int | None
    """Windows a forward pass, at most; None: what suits the device (``batch_size``)."""
    _batched: dict[tuple[torch.device, int], BatchedWindows] = field(default_factory=dict, init=False)

    @classmethod
    def of(
        cls, model: CausalModel, sets: Sequence[EvaluationSet], batch_windows: int | None = None
    ) -> "Evaluator":
        """Put evaluation sets one behind the other.

        Args:
            model: an architecture.
            sets: with one window length.
            batch_windows: windows a forward pass, at most; lowered so that all batches are nearly full. By
                default what suits the device.

        Raises:
            ConfigError: no sets, a name twice, different tokenizers, window lengths that differ or exceed
                the model's context.
            EmptySource: a set in which nothing is scored.
        """
        names, keys = tuple(one.name for one in sets), tuple(one.key for one in sets)
        lengths = {one.inputs.shape[1] for one in sets}
        if not names or len(set(names)) < len(names):
            raise ConfigError(
                f"evaluations: need one set or more with unique names, got {', '.join(names) or 'none'}"
            )
        if len(lengths) > 1 or max(lengths) > model.context_length:
            raise ConfigError(
                f"evaluations: windows of {sorted(lengths)} tokens; need one length up to the model's "
                f"context of {model.context_length}"
            )
        if len({one.tokenizer_hash for one in sets}) > 1:
            raise ConfigError(
                f"evaluations: {', '.join(names)} were made with different tokenizers; make them anew"
            )
        offset, owners, bytes_, evaluation = 0, [], [], []
        for position, one in enumerate(sets):
            owner = np.asarray(one.document, dtype=np.int64)
            if not (owner >= 0).any():
                raise EmptySource(f"evaluation {one.name!r}: no token is scored; add documents to it")
            owners.append(np.where(owner >= 0, owner + offset, -1))
            bytes_.append(np.asarray(one.document_bytes, dtype=np.float64))
            evaluation.append(np.full(len(one.document_bytes), position, dtype=np.int64))
            offset += len(one.document_bytes)
        document = np.concatenate(owners)
        tokens = np.bincount(document[document >= 0], minlength=offset).astype(np.int64)
        return cls(
            model,
            Documents(names, keys, np.concatenate(evaluation), tokens, np.concatenate(bytes_)),
            torch.from_numpy(np.concatenate([np.asarray(one.inputs, dtype=np.int64) for one in sets])),
            torch.from_numpy(np.concatenate([np.asarray(one.targets, dtype=np.int64) for one in sets])),
            document,
            batch_windows,
        )

    @property
    def read(self) -> int:
        """Tokens of all windows, scored or not."""
        return self.inputs.numel()

    @property
    def tokens(self) -> int:
        """Tokens that are scored."""
        return len(self.scored)

    @cached_property
    def scored(self) -> IntArray:
        """Positions of all scored tokens in the flattened windows, document by document [tokens]."""
        flat = self.document.ravel()
        positions = np.flatnonzero(flat >= 0)
        return positions[np.argsort(flat[positions], kind="stable")]

    @cached_property
    def token_document(self) -> IntArray:
        """Index into ``documents`` of every scored token [tokens], ascending."""
        return self.document.ravel()[self.scored]

    @cached_property
    def window_evaluation(self) -> IntArray:
        """Index of the evaluation of every window [W]; -1 if nothing in it is scored."""
        first = self.document.max(axis=1)
        return np.where(first >= 0, self.documents.evaluation[first], -1)

    def select(self, windows: IntArray) -> "Evaluator":
        """The same documents, scored only in some windows. Sums over disjoint choices add up."""
        document = self.document[windows]
        tokens = np.bincount(document[document >= 0], minlength=len(self.documents.tokens)).astype(np.int64)
        share = tokens / np.maximum(self.documents.tokens, 1)
        documents = Documents(
            self.documents.evaluations,
            self.documents.keys,
            self.documents.evaluation,
            tokens,
            self.documents.bytes * share,
        )
        index = torch.from_numpy(windows)
        return Evaluator(
            self.model, documents, self.inputs[index], self.targets[index], document, self.batch_windows
        )

    def batched(self, device: torch.device, backward: bool = False) -> BatchedWindows:
        """The windows in batches, on a device; sent once.

        Args:
            device: where they are scored.
            backward: a backward pass follows each.
        """
        low = isinstance(self.model, ComputesIn) and self.model.dtype == torch.bfloat16
        tokens = batch_tokens(device, low, self.model.vocabulary_size, backward)
        most = self.batch_windows or max(1, tokens // self.inputs.shape[1])
        if (device, most) not in self._batched:
            self._batched[device, most] = BatchedWindows.of(
                self.model, self.inputs, self.targets, self.scored, self.documents.tokens, most, device
            )
        return self._batched[device, most]

    def token_log_probs(self, flat: Tensor) -> Float32Array:
        """log p of every scored token, document by document: float32 [tokens], in the order of ``scored``.

        Args:
            flat: parameters [N] on the device to run on.

        Raises:
            NonFiniteLoss: the model gives a token no probability, or no number.
        """
        found: Float32Array = self.batched(flat.device).log_probs(flat).cpu().numpy()
        self._check(np.isfinite(found), self.token_document)
        return found

    def score(self, flat: Tensor) -> Scores:
        """Losses of the model with parameters ``flat`` [N]."""
        return self.scores(self.batched(flat.device).nats(flat).cpu().numpy())

    def scores(self, nats: FloatArray) -> Scores:
        """Scores of the nats of every document [..., D].

        Raises:
            NonFiniteLoss: one is no number.
        """
        finite = np.isfinite(nats).reshape(-1, nats.shape[-1]).all(axis=0)
        self._check(np.asarray(finite), np.arange(nats.shape[-1]))
        return Scores(self.documents, nats)

    def scores_of(self, log_probs: Float32Array) -> Scores:
        """Losses from the log-probabilities of the scored tokens [tokens]."""
        nats = np.bincount(
            self.token_document, weights=-log_probs.astype(np.float64), minlength=len(self.documents.tokens)
        )
        return Scores(self.documents, np.asarray(nats, dtype=np.float64))

    def _check(self, finite: BoolArray, document: IntArray) -> None:
        if not finite.all():
            first = self.documents.evaluations[self.documents.evaluation[document[~finite][0]]]
            raise NonFiniteLoss(
                f"evaluation {first!r}: the loss is not finite; the model's parameters are broken"
            )

    def token_weights(self, target: FloatArray) -> Tensor:
        """Weight of every token in the weighted sum of mean losses, target_e / tokens_e: float32 [W, T]."""
        coefficient = np.asarray(target, dtype=np.float64) / np.maximum(self.documents.evaluation_tokens, 1)
        table = np.append(coefficient[self.documents.evaluation], 0.0)  # -1 finds the last entry
        return torch.from_numpy(table[self.document].astype(np.float32))
