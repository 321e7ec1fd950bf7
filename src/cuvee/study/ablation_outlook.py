"""What the ablation flow will take, stage by stage (floor 7)."""

import math
from collections.abc import Sequence

from cuvee.evaluation.race import PART, SURVIVORS
from cuvee.mixture.mixture import Mixture
from cuvee.study.checking import CHECK_SEEDS, MEASURED_ALONG, ROLE
from cuvee.study.laboratory import Laboratory, Planned
from cuvee.study.outlook import HOUR, Outlook, OutlookRow, Stage, Stopwatch
from cuvee.study.proxies import planned_branches
from cuvee.study.survey import ARMS


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
    return Outlook((*rows, _scoring(lab, watch), *_check(lab, watch)))


def _check(lab: Laboratory, watch: Stopwatch) -> list[OutlookRow]:
    """The pick is not known yet, but costs what equal shares do."""
    plan, seeds = lab.plan, lab.plan.config.check.seeds
    if not seeds:
        return []
    even = Mixture.uniform(plan.config.pool_sources)
    planned = [
        Planned(plan.reference(even, CHECK_SEEDS + seed), ROLE, even, MEASURED_ALONG) for seed in range(seeds)
    ]
    left = 0 if plan.folder.decision.exists() else (ARMS - 1) * seeds
    return [watch.row(Stage("fresh trainings", planned[0].run.recipe.tokens, planned, left))]


def _scoring(lab: Laboratory, watch: Stopwatch) -> OutlookRow:
    """Merges of all mixtures: for each a forward pass and the average of all branches."""
    plan, config = lab.plan, lab.plan.config
    branches, model, tokens = planned_branches(plan), plan.model.build(), plan.bench.evaluator().tokens
    mixtures = config.candidates.count + config.references.count
    # References and the best candidates are scored on all tokens, the others on a part.
    whole = (config.references.count + SURVIVORS * config.candidates.count) / mixtures
    scored = tokens * (whole + (1.0 - whole) / PART)
    each = model.flops_per_token * scored + 2.0 * len(branches) * model.layout.size
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
