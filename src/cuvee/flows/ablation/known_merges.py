"""Which merges in the store are of the pool and the evaluations that a study has now."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cuvee.merging.registry import LINEAR
from cuvee.runs.run import Run
from cuvee.study.file.settings import MergingSettings
from cuvee.study.plan.plan import Plan
from cuvee.study.pooling import trained_roster
from cuvee.study.producers.merged import KIND
from cuvee.study.producers.weighted import weighted_key
from cuvee.study.runner import Runner


def known_merges(runner: Runner, method: str) -> list[Run]:
    """Those by a method whose key is that of their mixture now; none where the pool is not trained.

    Those of other text, tokens, evaluations or sources are of no use any more.
    """
    plan = _merging_by(runner.plan, method)
    names = plan.config.pool_sources
    rows = by_method(runner.store.runs(kind=KIND), method)
    rows = [run for run in rows if set(run.mixture.names) == set(names)]
    roster = trained_roster(plan) if rows else None
    if roster is None:
        return []
    shares = np.stack([run.mixture.reindexed(names).shares for run in rows])
    weights = shares @ roster.spread(names)
    return [
        run
        for run, own in zip(rows, weights, strict=True)
        if run.key in {weighted_key(KIND, plan, roster, own, partly) for partly in (False, True)}
    ]


def by_method(rows: Sequence[Run], method: str) -> list[Run]:
    """Those of one method of merging."""
    return [run for run in rows if MergingSettings.method_of(run.details) == method]


def _merging_by(plan: Plan, method: str) -> Plan:
    """The plan; linear merges stand beside those of another method."""
    if method != LINEAR or plan.config.merging.method == LINEAR:
        return plan
    return replace(plan, config=plan.config.model_copy(update={"merging": MergingSettings()}))
