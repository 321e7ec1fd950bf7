"""Documents chosen inside each source, by their values: the inner step of DUET.

A mixture says how many tokens of each source the target run reads. Where a source has more than that, the
documents of the highest values are read instead of any: they are drawn with odds exp(value), values in units
of their spread, so that choices follow values and no two seeds read the same. Chen et al. 2025 (DUET),
https://arxiv.org/abs/2502.00270, take influence functions; here any row of ``VALUERS`` serves.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cuvee.files import atomic_path
from cuvee.sources.shards import TokenShard
from cuvee.study.at_hand import at_hand
from cuvee.study.document_tables import target_documents, training_documents
from cuvee.study.runner import Runner
from cuvee.study.seed_moments import default_valuer
from cuvee.training.run import TrainingRun
from cuvee.types import FloatArray, IntArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.methods.registry import valuer_named
from cuvee.valuation.selection import select

_LEAST_WINDOWS = 4


def chosen_documents(runner: Runner) -> "ChosenDocuments | None":
    """The choice that the search of a study makes; None where it takes any documents.

    Raises:
        ConfigError: ``search.document_values`` is no method of valuation.
    """
    settings = runner.plan.config.search
    duet = settings.method == "duet"
    method = settings.document_values or (default_valuer(runner.plan.config) if duet else "")
    return ChosenDocuments.of(runner, method) if method else None


@dataclass(frozen=True, eq=False)
class ChosenDocuments:
    """All text of a study that may be trained on, with the values of its documents for the study's target."""

    runner: Runner
    method: str
    """A row of ``VALUERS``."""
    pool: DocumentTable = field(repr=False)

    @classmethod
    def of(cls, runner: Runner, method: str) -> "ChosenDocuments":
        """By a method.

        Raises:
            ConfigError: there is none of that name.
        """
        valuer_named(method)
        return cls(runner, method, training_documents(runner.plan))

    @cached_property
    def values(self) -> FloatArray:
        """Of each document, the mean over evaluations by the weights of the target, each in its spread [n].

        Raises:
            NotAtHand: the method needs something that is missing.
        """
        config, total = self.runner.plan.config, np.zeros(len(self.pool))
        substrates = at_hand(self.runner, self.pool)
        for name, weight in config.target_weights.items():
            if weight > 0:
                target = target_documents(self.runner.plan.material, name)
                values = valuer_named(self.method).value(self.pool, target, substrates, config.seed)
                total += weight * values / _spread(values)
        return total

    def applied(self, run: TrainingRun) -> TrainingRun:
        """A training of a mixture on chosen documents; the same run where it takes all of every source."""
        shards, content = dict(run.shards), dict(run.content)
        for name in run.mixture.support:
            part = self._part(run, name)
            if part < 1.0:
                shard = self._shard(name, self._rows(name, part, run.recipe.seed))
                shards[name], content[name] = (shard.folder,), (shard.content_hash,)
        return replace(run, shards=shards, content=content)

    def write(self, path: Path, run: TrainingRun) -> None:
        """Write which documents a run of a mixture reads: id, source and tokens of each."""
        rows = np.concatenate(
            [self._rows(name, self._part(run, name), run.recipe.seed) for name in run.mixture.support]
        )
        table = pa.table(
            {
                "id": [self.pool.id_of(int(row)) for row in rows],
                "source": [self.pool.sources[int(one)] for one in self.pool.source[rows]],
                "tokens": self.pool.length[rows],
            }
        )
        with atomic_path(path) as temporary:
            pq.write_table(table, temporary)

    def _part(self, run: TrainingRun, name: str) -> float:
        """Of a source, how much of it the target run reads; 1 where it reads all of it, or more than once.

        A shorter run reads a part of the chosen documents, as it reads a part of the source otherwise: its
        ``fractions`` are those of the source.
        """
        plan = self.runner.plan
        tokens = plan.config.target_run.tokens or run.recipe.tokens
        available = plan.config.sources[name].tokens or plan.material.tokens(name)
        return min(1.0, run.mixture.share(name) * tokens / available)

    def _rows(self, name: str, part: float, seed: int) -> IntArray:
        """Rows of the pool that make up a part of a source."""
        mine = np.flatnonzero(self.pool.source == self.pool.sources.index(name))
        least = _LEAST_WINDOWS * self.runner.plan.config.model.context_length
        budget = max(least, round(part * int(self.pool.length[mine].sum())))
        if part >= 1.0 or budget >= int(self.pool.length[mine].sum()):
            return mine
        values = self.values[mine] / _spread(self.values[mine])
        kept = select(values, self.pool.select(mine), budget, temperature=1.0, seed=seed)
        return mine[np.sort(kept.rows)]

    def _shard(self, name: str, rows: IntArray) -> TokenShard:
        return self.pool.copied(self.runner.plan.folder.valuation / "shards", rows, name)


def _spread(values: FloatArray) -> float:
    return float(np.nanstd(values)) or 1.0
