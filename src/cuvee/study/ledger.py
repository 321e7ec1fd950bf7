"""What a study has cost, and what it would have cost to train every mixture."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from cuvee.decisions.ablation.result import LedgerRow
from cuvee.runs.roles import (
    ASKED,
    BRANCH,
    DOWNSTREAM,
    FRESH,
    ORDER,
    REFERENCE,
    REPLICATE,
    SEED,
)
from cuvee.runs.run import Run
from cuvee.runs.scored_mixtures import SEARCHED, mixtures_of, scorings
from cuvee.runs.store import RunStore
from cuvee.study.plan.plan import Plan
from cuvee.study.producers.descended import STAGE

COMPARED = (16, 500)
"""Numbers of mixtures for which the cost by proxies is set against training them."""

_STAGES = (SEED, BRANCH, REFERENCE, REPLICATE, *ORDER, FRESH)


def ledger(store: RunStore) -> tuple[LedgerRow, ...]:
    """Runs, FLOPs and work time by stage; training includes measuring."""
    runs = store.runs()
    seconds: dict[str, float] = defaultdict(float)
    for (_, stage), value in store.seconds().items():
        seconds[stage] += value
    rows = []
    for stage in _STAGES:
        group = _trained(runs, stage)
        if group:
            flops = sum(run.flops or 0.0 for run in group)
            rows.append(LedgerRow(stage, "trained", len(group), flops, seconds.get(stage, float("nan"))))
    for kind in ("merged", "ensembled"):
        group = scorings(runs, kind)
        if group:
            rows.append(replace(_scoring(group, "scoring mixtures", kind, store), count=mixtures_of(group)))
    group = [run for run in runs if run.role in SEARCHED]
    return (*rows, _scoring(group, STAGE, "merged", store)) if group else tuple(rows)


def _scoring(group: Sequence[Run], stage: str, kind: str, store: RunStore) -> LedgerRow:
    """A row of what was scored, with the time of it where that was taken."""
    keys = {run.key for run in group}
    spent = sum(value for (key, _), value in store.seconds().items() if key in keys)
    return LedgerRow(stage, kind, len(group), sum(run.flops or 0.0 for run in group), spent or float("nan"))


def proxy_over_direct(store: RunStore, plan: Plan) -> dict[str, float]:
    """FLOPs of the pool and of scoring M merges over FLOPs of training M mixtures; the seed left out."""
    runs = store.runs()
    branches = sum(run.flops or 0.0 for run in _trained(runs, BRANCH))
    direct = [run.flops or 0.0 for run in _trained(runs, REFERENCE)]
    merged = [run.flops or 0.0 for run in scorings(runs, "merged")]
    ensembled = [
        run.flops or 0.0 for run in runs if run.kind == "ensembled" and run.role not in (ASKED, DOWNSTREAM)
    ]
    if not direct or not merged:
        return {}
    bench = plan.bench.evaluator()
    members = bench.model.flops_per_token * bench.tokens * len(plan.branches())
    each, merge = sum(direct) / len(direct), sum(merged) / len(merged)
    table = {f"{count} mixtures by merges": (branches + count * merge) / (count * each) for count in COMPARED}
    if ensembled:
        one = sum(ensembled) / len(ensembled)
        table |= {
            f"{count} mixtures by ensembles": (branches + members + count * one) / (count * each)
            for count in COMPARED
        }
    return table


def _trained(runs: Sequence[Run], role: str) -> list[Run]:
    """The models trained for a role, once each: a new evaluation has all of them measured again."""
    group = (run for run in runs if run.kind == "trained" and run.role == role)
    return list({run.details.get("run", run.key): run for run in group}.values())
