"""What the ablation flow will take, stage by stage (floor 7)."""

import math
from collections.abc import Sequence

from cuvee.study.laboratory import Laboratory, Planned
from cuvee.study.outlook import HOUR, Outlook, OutlookRow, Stage, Stopwatch
from cuvee.study.proxies import planned_branches


def ablation_outlook(lab: Laboratory, trained: Sequence[Planned], replicates: Sequence[Planned]) -> Outlook:
    """Seed model, branches, references, replicates, and the mixtures that only proxies score.

    Args:
        lab: of the study.
        trained: the references.
        replicates: those that are trained again.
    """
    plan, watch = lab.plan, Stopwatch(lab)
    seed = [] if plan.seed is None else [Planned(plan.seed, "seed", plan.seed.mixture)]
    stages = {
        "seed model": seed,
        "branches": planned_branches(plan),
        "references": trained,
        "replicates": replicates,
    }
    rows = [
        watch.row(Stage(title, planned[0].run.recipe.tokens, planned))
        for title, planned in stages.items()
        if planned
    ]
    return Outlook((*rows, _scoring(lab, watch)))


def _scoring(lab: Laboratory, watch: Stopwatch) -> OutlookRow:
    """Merges of all mixtures: for each a forward pass and the average of all branches."""
    plan, config = lab.plan, lab.plan.config
    branches, model, tokens = planned_branches(plan), plan.model.build(), plan.bench.evaluator().tokens
    each = model.flops_per_token * tokens + 2.0 * len(branches) * model.layout.size
    mixtures = config.candidates.count + config.references.count
    decided = plan.folder.decision.exists()
    left = 0 if decided else max(mixtures - len(lab.store.runs(kind="merged")), 0)
    rate = config.workers * watch.flops_a_second(branches[0].run) if left else math.inf
    return OutlookRow(
        "scoring mixtures",
        model.layout.size,
        tokens,
        mixtures,
        left,
        each * mixtures,
        each * left,
        math.nan,
        each * left / rate / HOUR,
        trained=False,
    )
