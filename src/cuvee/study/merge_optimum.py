"""Where the merge has its own optimum: descents in the weights of the pool.

The loss of a merge is not convex in its weights, so there are three descents: from equal shares, from the
ensemble's optimum, and from the best candidate that is another mixture. The last two are moved a little
inwards, since mirror descent leaves no share at zero. They run on the windows on which merges are raced. What
they end at is scored on all windows, and so is every candidate that looks lower: no mixture that was scored
on all has a lower merge loss.

A descent stops when its gap is below ``TOLERANCE``, or after ``MOST_EVALUATIONS`` passes forward and backward
over one of ``PART`` windows: the price of 15 forward passes over all of them.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cuvee.evaluation.descent import MergeLoss
from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.race import PART
from cuvee.evaluation.scores import Scores
from cuvee.execution.interface import Report
from cuvee.merging.pool import FlatPool
from cuvee.merging.registry import MERGERS
from cuvee.mixture.mirror_descent import Optimum
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.runs.key import RunKey
from cuvee.runs.roles import DESCENT, OPTIMUM
from cuvee.runs.run import Run
from cuvee.study.findings import MergeOptimum, Scored
from cuvee.study.job import Bench
from cuvee.study.plan import Plan
from cuvee.study.producers.rows import documents_of, metrics_of
from cuvee.study.proxies import MERGE, Proxies
from cuvee.types import FloatArray, Json

STAGE = "optimum of merges"
"""As ledger and plan call it."""
STARTS = 3
MOST_EVALUATIONS = 40
TOLERANCE = 1e-3
"""Of the gap, nats per token: less than one training varies by, more than bfloat16 blurs."""
_INWARDS = 0.1
"""Part of a start that is equal shares."""
_APART = 0.01
"""Total variation from which on two starts are two."""
_PASSES = 3.0
"""FLOPs of a forward and a backward pass over those of a forward pass."""


@dataclass(frozen=True, eq=False)
class DescentTask:
    """Descend from one start."""

    pool: Path
    ensemble: Path
    bench: Bench
    method: str
    """Of merging."""
    region: Region
    target: FloatArray
    """[E]"""
    noise_cost: float
    start: Mixture

    @property
    def label(self) -> str:
        """As it is called in errors."""
        return f"descending in the weights of {self.pool}"

    @property
    def inputs(self) -> Json:
        """All that determines the result, but pool, evaluations and method."""
        region = {
            "lower": self.region.lower.tolist(),
            "upper": self.region.upper.tolist(),
            "ratios": [dict(ratio) for ratio in self.region.ratios],
        }
        return {
            "start": self.start.as_dict(),
            "region": region,
            "target": self.target.tolist(),
            "noise_cost": self.noise_cost,
            "tolerance": TOLERANCE,
            "evaluations": MOST_EVALUATIONS,
        }

    @property
    def loss(self) -> MergeLoss:
        """What is lowered; not compiled, as forward and backward passes would be compiled anew for it."""
        bench = replace(self.bench, model=replace(self.bench.model, compiled=False))
        device = bench.model.device
        return MergeLoss(
            bench.evaluator(),
            FlatPool.open(self.pool).to(device),
            MERGERS[self.method],
            Ensemble.open(self.ensemble),
            self.target,
            self.noise_cost,
        )


@dataclass(frozen=True, eq=False)
class Descended:
    """Where a descent ended, with the scores there [D], and processor seconds."""

    optimum: Optimum
    scores: Scores
    seconds: float


def descend(task: DescentTask, report: Report) -> Descended:
    """Job: reports one descent."""
    began, loss = time.process_time(), task.loss
    optimum = loss.optimum(task.region, task.start, tolerance=TOLERANCE, max_evaluations=MOST_EVALUATIONS)
    report(1, f"loss {optimum.value:.4f}")
    weights = optimum.mixture.shares @ loss.pool.roster.spread(task.region.names)
    return Descended(optimum, loss.estimated(weights), time.process_time() - began)


def merge_optimum(
    proxies: Proxies, region: Region, scored: Scored, ensemble: Mixture, target: FloatArray
) -> MergeOptimum:
    """Find it, or read what was found from the store.

    Args:
        proxies: of the study.
        region: the mixtures that are allowed.
        scored: the candidates, with what the proxies say of them.
        ensemble: the ensemble's optimum in the region.
        target: weight of each evaluation [E].
    """
    names = region.names
    allowed = [row for row, one in enumerate(scored.mixtures) if region.contains(one, 1e-6)]
    candidates = [scored.mixtures[row] for row in allowed]
    losses = scored.losses(MERGE)[allowed] @ target
    near = [ensemble, *(candidates[row] for row in np.argsort(losses, kind="stable"))]
    runs = _descents(proxies, [_task(proxies, region, one, target) for one in _starts(region, near)])
    ends = [run.mixture.reindexed(names) for run in runs]
    ended = proxies.whole_merges(ends, OPTIMUM) @ target
    rivals = [one for one, loss in zip(candidates, losses, strict=True) if loss < ended.min()]
    mixtures = [*ends, *rivals]
    found = proxies.whole_merges(mixtures, OPTIMUM) @ target
    lowest = int(np.argmin(found))
    gap = float(runs[lowest].details["gap"]) if lowest < len(runs) else float("nan")
    return MergeOptimum(mixtures[lowest], float(found[lowest]), gap, tuple(ended.tolist()))


def _starts(region: Region, near: Sequence[Mixture]) -> list[Mixture]:
    """Equal shares, as far as they are allowed, and mixtures near the first of others that lie apart."""
    even = region.kl_project(np.full(len(region.names), 1.0 / len(region.names)))
    found = [even]
    for one in near:
        start = one.reindexed(region.names).blend(even, _INWARDS)
        if len(found) < STARTS and all(start.total_variation(other) > _APART for other in found):
            found.append(start)
    return found


def _task(proxies: Proxies, region: Region, start: Mixture, target: FloatArray) -> DescentTask:
    plan, cost = proxies.lab.plan, proxies.noise_cost
    return DescentTask(
        plan.folder.pool(proxies.pool.roster.key),
        plan.folder.ensembles / proxies.ensemble.key,
        plan.bench,
        plan.config.merging.method,
        region,
        target,
        float(cost @ target) if cost is not None else 0.0,
        start,
    )


def _descents(proxies: Proxies, tasks: Sequence[DescentTask]) -> list[Run]:
    """The runs of descents, made where the store does not have them."""
    lab, keys = proxies.lab, [_key(proxies, task) for task in tasks]
    known = {run.key for run in lab.store.runs(role=DESCENT)}
    todo = [place for place, key in enumerate(keys) if key not in known]
    if todo:
        lab.progress.stage(f"descending to the {STAGE}", len(todo), "descents")
        made = lab.executor.map(
            descend, [tasks[place] for place in todo], lambda _, n, note: lab.progress.advance(n, note)
        )
        for index, found in made:
            key = keys[todo[index]]
            lab.store.add(_run(proxies, key, found))
            lab.store.record_seconds(key, STAGE, found.seconds)
    runs = {run.key: run for run in lab.store.runs(role=DESCENT)}
    return [runs[key] for key in keys]


def _key(proxies: Proxies, task: DescentTask) -> str:
    lab = proxies.lab
    inputs = {
        "pool": proxies.pool.roster.key,
        "evaluations": lab.plan.evaluations,
        "part": PART,
        "descent": task.inputs,
    }
    return RunKey("merged", inputs | lab.plan.config.merging.key).digest


def _run(proxies: Proxies, key: str, found: Descended) -> Run:
    """The end of a descent as a merge that was scored on a part, at the price of the descent."""
    plan, optimum = proxies.lab.plan, found.optimum
    details = {
        "proxy": MERGE,
        "gap": optimum.gap,
        "outcome": optimum.outcome,
        "evaluations": optimum.evaluations,
    }
    return Run(
        key=key,
        kind="merged",
        role=DESCENT,
        estimand=plan.config.estimand,
        mixture=optimum.mixture,
        params=plan.parameters,
        tokens=plan.branch_tokens,
        seed=plan.config.seed,
        metrics=metrics_of(found.scores),
        documents=documents_of(found.scores),
        flops=descent_flops(plan, len(proxies.pool.roster.members), optimum.evaluations),
        details=details,
    )


def descent_flops(plan: Plan, members: int, evaluations: int = MOST_EVALUATIONS) -> float:
    """FLOPs of one descent: at each step both passes over the part, the merge and its derivatives, and the
    ensemble with its own."""
    part, model = plan.bench.part(), plan.model.build()
    forward = model.flops_per_token * part.tokens
    merging = 4.0 * (members + 1) * model.layout.size
    mixing = 4.0 * members * (part.tokens + plan.bench.evaluator().tokens)
    return evaluations * (_PASSES * forward + merging + mixing) + forward
