"""The ablation flow: seed, pool, merges and ensembles, references, honesty, decision.

One model is trained for each unit of data. Every mixture is then simulated by averaging parameters and
by averaging probabilities, and a few mixtures are really trained to see how far that can be believed
(Na et al. 2024, arXiv 2410.15661, with equal budgets and references added).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cuvee.decisions.ablation.decision import Decision
from cuvee.execution.interface import Executor
from cuvee.flows.ablation.conclude import conclude
from cuvee.flows.ablation.findings import Findings, References
from cuvee.flows.ablation.merge_optimum import merge_optimum
from cuvee.flows.ablation.order import OrderFindings, investigated_order, planned_order
from cuvee.flows.ablation.outlook import ablation_outlook
from cuvee.mixture.region import Region
from cuvee.progress import Progress
from cuvee.runs.observations import Observations
from cuvee.runs.roles import CANDIDATE, CARRIED, CARRIED_AGAIN, REFERENCE, REPLICATE
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import available_tokens, opened
from cuvee.study.outlook import Outlook
from cuvee.study.plan.mixtures import (
    ReferenceMixture,
    baselines,
    candidates,
    intended_references,
    leave_two_out,
    references,
    region_of,
)
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.planned import Planned
from cuvee.study.pooling import planned_branches, planned_seed
from cuvee.study.producers.member_statistics import branch_statistics, size_in_words
from cuvee.study.producers.trained import Trainings
from cuvee.study.proxies import Proxies
from cuvee.study.runner import Runner
from cuvee.types import FloatArray

_CARRIED = {REFERENCE: CARRIED, REPLICATE: CARRIED_AGAIN}


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
        progress: where work is reported.
        executor: where jobs run; by default ``config.workers`` processes on this machine.

    Raises:
        CuveeError: anything that cannot go on; what is done so far is kept.
    """
    with opened(config, folder, progress, executor) as runner:
        runner.progress.message(outlook_of(runner).statement)
        return runner.concluded(conclude(investigate(runner), runner))


def outlook(
    config: StudyConfig,
    folder: StudyFolder,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> Outlook:
    """What ``run`` would still take; text is prepared and steps are timed, nothing is trained."""
    with opened(config, folder, progress, executor, looking=True) as runner:
        left = [task for task in branch_statistics(runner.plan) if not task.path.exists()]
        if left:
            runner.progress.message(size_in_words(runner.plan, len(left)))
        return outlook_of(runner)


def outlook_of(runner: Runner) -> Outlook:
    """The same of a study that is open."""
    plan, config = runner.plan, runner.plan.config
    region = region_of(config, available_tokens(config, plan.material))
    chosen = intended_references(config, plan.folder, region, plan.material.unit_tokens)
    _, trained, replicates = _runs(plan, chosen)
    return ablation_outlook(runner, trained, replicates, planned_order(plan, chosen))


def investigate(runner: Runner) -> Findings:
    """Train what is missing, score every mixture by both proxies, and gather the evidence."""
    plan, config = runner.plan, runner.plan.config
    available = available_tokens(config, plan.material)
    region = region_of(config, available)
    runner.make(Trainings(plan, "training the seed model"), planned_seed(plan))
    chosen = references(config, plan.folder, region, plan.material.unit_tokens)
    branches, trained, replicates = _runs(plan, chosen)
    runner.make(_trainings(plan), [*branches, *trained, *replicates])
    found = _simulate(runner, region, available, chosen)
    return replace(found, order=_order(runner, found.references, chosen))


def _order(
    runner: Runner, references: References | None, chosen: Sequence[ReferenceMixture]
) -> OrderFindings | None:
    if references is None:
        return None
    twice = references.nats[list(references.twice)]
    return investigated_order(runner, chosen, np.stack([twice, references.again], axis=1))


def _trainings(plan: Plan) -> Trainings:
    return Trainings(plan, "training branches and references")


def _runs(
    plan: Plan, chosen: Sequence[ReferenceMixture]
) -> tuple[list[Planned], list[Planned], list[Planned]]:
    def planned(one: ReferenceMixture, replica: int, role: str) -> Planned:
        return Planned(
            plan.reference(one.trained, replica), _CARRIED[role] if one.carried else role, one.mixture
        )

    trained = [planned(one, 0, REFERENCE) for one in chosen]
    replicates = [planned(one, 1, REPLICATE) for one in chosen[: plan.config.replicates]]
    return planned_branches(plan), trained, replicates


def _simulate(
    runner: Runner, region: Region, available: dict[str, int], chosen: Sequence[ReferenceMixture]
) -> Findings:
    """Score references and candidates by both proxies, and gather the evidence."""
    config = runner.plan.config
    names = config.pool_sources
    proxies = Proxies.of(runner)
    target = runner.documents.target(config.target_weights)
    optimum = proxies.ensemble.optimum(region, target)
    looked_at = [*candidates(config, region, available), optimum.mixture]
    pairs = leave_two_out(names) if config.estimand == "equal_budget" else []
    trained = [one.mixture for one in chosen]
    mixtures = list({one.key: one for one in [*trained, *looked_at, *pairs]}.values())
    reference_keys = {one.key for one in trained}
    roles = [REFERENCE if one.key in reference_keys else CANDIDATE for one in mixtures]
    compared = {one.key for one in baselines(region, available)}
    whole = np.array([one.key in reference_keys | compared for one in mixtures])
    scored = proxies.race(mixtures, roles, whole, target)
    return Findings(
        region=region,
        available=available,
        scored=scored,
        candidates=tuple(region.contains(one, 1e-6) for one in mixtures),
        references=_references(runner, proxies, chosen, target) if chosen else None,
        pool=proxies.pool,
        ensemble=proxies.ensemble,
        optimum=optimum,
        merge_optimum=merge_optimum(proxies, region, scored, optimum.mixture, target),
        score=proxies.score,
    )


def _references(
    runner: Runner, proxies: Proxies, chosen: Sequence[ReferenceMixture], target: FloatArray
) -> References:
    """What the really trained references say."""
    trainings, (_, trained, replicates) = _trainings(runner.plan), _runs(runner.plan, chosen)
    mixtures = [one.mixture for one in chosen]
    return References(
        mixtures=tuple(mixtures),
        scored=proxies.score(mixtures, [REFERENCE] * len(mixtures)),
        observed=_observed(runner, [*trained, *replicates]),
        nats=runner.scores(trainings, trained).nats,
        again=runner.scores(trainings, replicates).nats,
        twice=tuple(range(len(replicates))),
        units=proxies.unit_nats(),
        own=runner.plan.config.own_columns,
        target=target,
        trained=tuple(one.trained for one in chosen),
    )


def _observed(runner: Runner, planned: Sequence[Planned]) -> Observations:
    """A row for every training, over the sources of the pool.

    The store knows one that was carried over as a run on the sources of its time where the evaluations are
    still the same.
    """
    shares = np.stack([one.mixture.shares for one in planned])
    rows = runner.observe(_trainings(runner.plan), planned)
    return replace(rows, sources=runner.plan.config.pool_sources, shares=shares)
