"""The endless stream of training batches drawn from a mixture (sources).

``MixedStream.batch(step)`` is a pure function of the step: nothing is remembered, so the position to
resume from is the step number. Sources take turns in the order of ``interleave.py``, whose prefixes
keep to the mixture within a few sequences; each source goes through its windows in a new seeded
order every epoch (``permutation.py``), each window once an epoch. Windows are disjoint spans of T
targets over the concatenated shards of a source (each reads T + 1 tokens, the first only as input).

Simulated epoching (``fractions``): a proxy run that is shorter than the target run by a factor f
repeats its text as often as the target run will, if it sees only the fraction f of each source.
The windows kept are the same for every seed and epoch, and those of a smaller fraction are among
those of a larger one.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cuvee.errors import ConfigError, EmptySource, MissingSource, SourceError
from cuvee.hashing import digest
from cuvee.mixture.mixture import Mixture
from cuvee.sources.interleave import Interleave
from cuvee.sources.mapped_tokens import Tokens
from cuvee.sources.permutation import UInt64Array, permute, subkeys
from cuvee.sources.shards import TokenShard
from cuvee.types import IntArray, Json


class MixedStream:
    """Batches of token windows in the shares of a mixture; endless, with random access.

    Args:
        shards: for each source its token shards, in any number. Sources without a share in the
            mixture may be missing.
        mixture: token shares. Every window has T targets, so shares of windows are token shares.
        context_length: T, tokens predicted by one sequence.
        batch_sequences: B, sequences in one batch.
        seed: decides the order of windows within each source (not the turns of the sources).
        fractions: for simulated epoching, the share in (0, 1] of the windows of a source to use;
            1 where a source is not named.

    Raises:
        MissingSource: a source has a share but no shard.
        EmptySource: a source is shorter than one window.
        SourceError: shards of different tokenizers.
        ConfigError: a size that is not positive or a fraction outside (0, 1].
    """

    def __init__(
        self,
        shards: Mapping[str, Sequence[TokenShard]],
        mixture: Mixture,
        *,
        context_length: int,
        batch_sequences: int,
        seed: int,
        fractions: Mapping[str, float] | None = None,
    ) -> None:
        if context_length < 1 or batch_sequences < 1:
            raise ConfigError(
                "context_length and batch_sequences must be at least 1; "
                f"got {context_length} and {batch_sequences}"
            )
        # Sorted, so that the order in which the mixture names its sources does not matter.
        shares = sorted(
            (name, float(w)) for name, w in zip(mixture.names, mixture.shares, strict=True) if w > 0
        )
        self.sources: tuple[str, ...] = tuple(name for name, _ in shares)
        """The sources that are drawn from, sorted by name; indices in ``draws`` point here."""
        self.context_length = context_length
        self.batch_sequences = batch_sequences
        self.seed = seed
        self._interleave = Interleave(np.array([share for _, share in shares]))
        self._windows = [
            _Windows(name, shards.get(name, ()), context_length, (fractions or {}).get(name, 1.0))
            for name in self.sources
        ]
        hashes = {shard.tokenizer_hash for name in self.sources for shard in shards[name]}
        if len(hashes) > 1:
            raise SourceError(
                f"the shards of {', '.join(self.sources)} were made with {len(hashes)} different tokenizers "
                f"({', '.join(sorted(hashes))}); tokenize all sources with one"
            )

        self._used = np.array([windows.used for windows in self._windows])
        self._total = np.array([windows.total for windows in self._windows])
        self._order_keys = _keys({"order of": name, "seed": seed} for name in self.sources)
        self._subset_keys = _keys({"subset of": name} for name in self.sources)

    @property
    def unique_tokens(self) -> dict[str, int]:
        """Targets in one epoch of each source (after its fraction)."""
        return {windows.name: windows.used * self.context_length for windows in self._windows}

    def batch(self, step: int) -> tuple[IntArray, IntArray]:
        """The batch of one step: inputs and targets, both int64 [B, T]; O(B T + S) time."""
        spans = self.spans(step, 1)[0]
        return np.ascontiguousarray(spans[:, :-1]), np.ascontiguousarray(spans[:, 1:])

    def spans(self, step: int, steps: int) -> IntArray:
        """The batches of several steps from ``step`` on, inputs and the last target, int64 [steps, B, T + 1].

        Many at once take a third of the time that they take one by one.
        """
        rows = steps * self.batch_sequences
        spans = np.empty((rows, self.context_length + 1), dtype=np.int64)
        sources, windows = self._drawn(step, steps)
        for source in np.unique(sources):
            mine = np.flatnonzero(sources == source)
            self._windows[source].read(windows[mine], spans, mine)
        return spans.reshape(steps, self.batch_sequences, -1)

    def draws(self, step: int) -> tuple[IntArray, IntArray]:
        """What the batch of one step is made of, without reading it.

        Returns:
            The source of each sequence (index into ``sources``) and its window there, int64 [B] each.
        """
        return self._drawn(step, 1)

    def _drawn(self, step: int, steps: int) -> tuple[IntArray, IntArray]:
        if step < 0:
            raise ConfigError(f"steps count from 0; got {step}")
        ends = step * self.batch_sequences, (step + steps) * self.batch_sequences
        sources, turns = self._interleave.turns(*ends)
        return sources, self._chosen(sources, turns)

    def realised(self, steps: int) -> dict[str, int]:
        """Tokens drawn from each source by the first ``steps`` steps, in closed form."""
        counts = self._interleave.counts(steps * self.batch_sequences)
        return {name: int(n) * self.context_length for name, n in zip(self.sources, counts, strict=True)}

    def epochs(self, steps: int) -> dict[str, float]:
        """How often the first ``steps`` steps go over the (fraction of the) text of each source."""
        unique = self.unique_tokens
        return {name: tokens / unique[name] for name, tokens in self.realised(steps).items()}

    def _chosen(self, sources: IntArray, turns: IntArray) -> IntArray:
        """The window that each source takes at each of its turns, int64 [n]."""
        used = self._used[sources]
        epochs, positions = np.divmod(turns, used)
        windows = permute(positions, used, subkeys(self._order_keys[sources], epochs))
        part = np.flatnonzero(used < self._total[sources])
        if len(part):
            # A second permutation, the same for ever, decides which windows are used at all.
            total, keys = self._total[sources[part]], self._subset_keys[sources[part]]
            windows[part] = permute(windows[part], total, keys)
        return windows


class _Windows:
    """The windows of one source."""

    def __init__(self, name: str, shards: Sequence[TokenShard], context_length: int, fraction: float) -> None:
        if not shards:
            raise MissingSource(
                f"the mixture has a share of source '{name}' but there is no token shard of it"
            )
        if not 0 < fraction <= 1:
            raise ConfigError(f"the fraction of source '{name}' must be in (0, 1]; got {fraction}")
        self.name = name
        self._length = context_length
        self._arrays: list[Tokens] = [shard.tokens for shard in shards]
        self._starts = np.concatenate(([0], np.cumsum([len(tokens) for tokens in self._arrays])))
        tokens = int(self._starts[-1])
        self.total = (tokens - 1) // context_length
        if self.total < 1:
            raise EmptySource(
                f"source '{name}' has {tokens} tokens, fewer than one window of {context_length + 1}; "
                "give it more text, a smaller context length, or no share in the mixture"
            )
        # The small term keeps 0.07 * 100 = 7.000000000000001 from becoming 8 windows.
        self.used = max(1, ceil(fraction * self.total - 1e-9))

    def read(self, windows: IntArray, spans: IntArray, rows: IntArray) -> None:
        """Copy the T + 1 tokens of each window into a row of ``spans``."""
        only = self._arrays[0]
        if len(self._arrays) == 1 and isinstance(only, np.ndarray):
            spans[rows] = sliding_window_view(only, spans.shape[1])[windows * self._length]
            return
        for window, row in zip(windows.tolist(), rows.tolist(), strict=True):
            self._read_over_shards(window, spans[row])

    def _read_over_shards(self, window: int, out: IntArray) -> None:
        """The same of one window, which may run over several shards."""
        position, filled = window * self._length, 0
        shard = int(np.searchsorted(self._starts, position, side="right")) - 1
        while filled < len(out):
            begin = position + filled - int(self._starts[shard])
            piece = self._arrays[shard][begin : begin + len(out) - filled]
            out[filled : filled + len(piece)] = piece
            filled += len(piece)
            shard += 1


def _keys(things: Iterable[Json]) -> UInt64Array:
    """A 64-bit key for each thing."""
    return np.array([int(digest(thing), 16) for thing in things], dtype=np.uint64)
