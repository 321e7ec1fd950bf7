"""The ablation flow (floor 7): seed, pool, merges and ensembles, references, honesty, decision.

One model is trained for each unit of data. Every mixture is then simulated by averaging parameters and
by averaging probabilities, and a few mixtures are really trained to see how far that can be believed
(Na et al. 2024, arXiv 2410.15661, with equal budgets and references added).
"""

from collections.abc import Sequence

import numpy as np

from cuvee.execution.interface import Executor
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.progress import Progress
from cuvee.runs.store import RunStore
from cuvee.study.conclude import conclude
from cuvee.study.config import StudyConfig
from cuvee.study.decision import Decision
from cuvee.study.findings import Findings, References
from cuvee.study.folder import StudyFolder
from cuvee.study.laboratory import Laboratory, Planned
from cuvee.study.mixtures import baselines, candidates, leave_two_out, references, region_of
from cuvee.study.opening import available_tokens, opened
from cuvee.study.plan import Plan
from cuvee.study.proxies import Proxies, planned_branches
from cuvee.study.status import StageStatus, StudyStatus
from cuvee.types import FloatArray


def run(
    config: StudyConfig,
    folder: StudyFolder,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> Decision:
    """Answer the study, or go on where it stopped.

    Args:
        config: what the user wrote.
        folder: where everything is kept.
        progress: told all the way.
        executor: where jobs run; by default ``config.workers`` processes on this machine.

    Raises:
        CuveeError: anything that cannot go on; what is done so far is kept.
    """
    with opened(config, folder, progress, executor) as lab:
        return conclude(investigate(lab), lab)


def investigate(lab: Laboratory) -> Findings:
    """Train what is missing, score every mixture by both proxies, and gather the evidence."""
    plan, config = lab.plan, lab.plan.config
    available = available_tokens(config, plan.material)
    region = region_of(config, available)
    if plan.seed is not None:
        lab.train([Planned(plan.seed, "seed", plan.seed.mixture)], "training the seed model")
    chosen = references(config, plan.folder, region)
    branches, trained, replicates = _runs(plan, chosen)
    lab.train([*branches, *trained, *replicates], "training branches and references")
    return _simulate(lab, region, available, chosen)


def status(config: StudyConfig, folder: StudyFolder) -> StudyStatus:
    """What is done and what is left; reads the store only, trains and reads no text."""
    units = sum(config.sources[name].units for name in config.pool_sources)
    wanted = {
        "seed": 1 if config.seed_training.tokens else 0,
        "branch": units * config.branch_training.seeds,
        "reference": config.references.count,
        "replicate": config.references.replicates,
    }
    titles = {
        "seed": "seed model",
        "branch": "pool of branches",
        "reference": "reference runs",
        "replicate": "replicates of references",
    }
    runs = []
    if folder.store.exists():
        with RunStore(folder.store) as store:
            runs = store.runs()
    # By model, not by row: a new evaluation has all models measured again.
    trained = [one for one in runs if one.kind == "trained"]
    made = {role: len({one.details["run"] for one in trained if one.role == role}) for role in wanted}
    merged = sum(1 for one in runs if one.kind == "merged")
    stages = [
        StageStatus(titles[role], min(made[role], count), count, "models")
        for role, count in wanted.items()
        if count
    ]
    mixtures = config.candidates.count + config.references.count
    decided = folder.decision.exists()
    stages.append(StageStatus("merges", mixtures if decided else min(merged, mixtures), mixtures, "mixtures"))
    stages.append(StageStatus("decision", float(decided), 1, ""))
    return StudyStatus(tuple(stages), sum(one.flops or 0.0 for one in runs))


def _runs(plan: Plan, chosen: Sequence[Mixture]) -> tuple[list[Planned], list[Planned], list[Planned]]:
    trained = [Planned(plan.reference(mixture), "reference", mixture) for mixture in chosen]
    replicates = [
        Planned(plan.reference(mixture, 1), "replicate", mixture)
        for mixture in chosen[: plan.config.references.replicates]
    ]
    return planned_branches(plan), trained, replicates


def _simulate(
    lab: Laboratory, region: Region, available: dict[str, int], chosen: Sequence[Mixture]
) -> Findings:
    """Score references and candidates by both proxies, and gather the evidence."""
    config = lab.plan.config
    names = config.pool_sources
    proxies = Proxies.of(lab)
    target = lab.documents.target(config.target_weights)
    optimum = proxies.ensemble.optimum(region, target).mixture
    looked_at = [*candidates(config, region, available), optimum]
    pairs = leave_two_out(names) if config.estimand == "equal_budget" else []
    mixtures = list({one.key: one for one in [*chosen, *looked_at, *pairs]}.values())
    reference_keys = {one.key for one in chosen}
    roles = ["reference" if one.key in reference_keys else "candidate" for one in mixtures]
    compared = {one.key for one in baselines(names, available)}
    whole = np.array([one.key in reference_keys | compared for one in mixtures])
    scored = proxies.race(mixtures, roles, whole, target)
    return Findings(
        region=region,
        available=available,
        scored=scored,
        candidates=tuple(region.contains(one, 1e-6) for one in mixtures),
        references=_references(lab, proxies, chosen, target) if chosen else None,
        pool=proxies.pool,
        ensemble=proxies.ensemble,
        optimum=optimum,
        score=proxies.score,
    )


def _references(
    lab: Laboratory, proxies: Proxies, chosen: Sequence[Mixture], target: FloatArray
) -> References:
    """What the really trained references say."""
    plan, config = lab.plan, lab.plan.config
    first = [lab.trained_key(plan.reference(one)) for one in chosen]
    again = [lab.trained_key(plan.reference(one, 1)) for one in chosen[: config.references.replicates]]
    return References(
        mixtures=tuple(chosen),
        scored=proxies.score(chosen, ["reference"] * len(chosen)),
        nats=lab.scores(first).nats,
        again=lab.scores(again).nats,
        units=proxies.unit_nats(),
        own=config.own_columns,
        target=target,
    )
