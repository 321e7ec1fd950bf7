"""The ablation flow (floor 7): seed, pool, merges and ensembles, references, honesty, decision.

One model is trained for each unit of data. Every mixture is then simulated by averaging parameters and
by averaging probabilities, and a few mixtures are really trained to see how far that can be believed
(Na et al. 2024, arXiv 2410.15661, with equal budgets and references added).
"""

from collections.abc import Sequence

import numpy as np

from cuvee.evaluation.averaging_bonus import averaging_bonus, noise_penalty
from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.learning_curves import LearningCurves
from cuvee.execution.interface import Executor
from cuvee.honesty.evidence import Evidence, single_unit_baselines
from cuvee.merging.pool import FlatPool
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.models.checkpoint import Checkpoint
from cuvee.progress import Progress
from cuvee.runs.store import RunStore
from cuvee.study.conclude import conclude
from cuvee.study.config import StudyConfig
from cuvee.study.decision import Decision
from cuvee.study.findings import Findings, Scored
from cuvee.study.folder import StudyFolder
from cuvee.study.laboratory import Laboratory, Planned
from cuvee.study.mixtures import candidates, leave_two_out, references, region_of
from cuvee.study.opening import available_tokens, opened
from cuvee.study.plan import Plan
from cuvee.study.status import StageStatus, StudyStatus
from cuvee.types import FloatArray, IntArray

MERGE = "merge"
ENSEMBLE = "ensemble"


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
    names = plan.config.pool_sources
    branches = [
        Planned(branch, "branch", Mixture.vertex(names, member.source))
        for replica in range(plan.config.branch_training.seeds)
        for member, branch in plan.branches(replica).items()
    ]
    trained = [Planned(plan.reference(mixture), "reference", mixture) for mixture in chosen]
    replicates = [
        Planned(plan.reference(mixture, 1), "replicate", mixture)
        for mixture in chosen[: plan.config.references.replicates]
    ]
    return branches, trained, replicates


def _simulate(
    lab: Laboratory, region: Region, available: dict[str, int], chosen: Sequence[Mixture]
) -> Findings:
    """Score references and candidates by both proxies, and gather the evidence."""
    config = lab.plan.config
    names = config.pool_sources
    pool = lab.pool(config.branch_training.seeds)
    ensemble = lab.ensemble(pool)
    scorer = _Scorer(lab, pool, ensemble)
    target = ensemble.documents.target(config.target_weights)
    optimum = ensemble.optimum(region, target).mixture
    looked_at = [*candidates(config, region, available), optimum]
    pairs = leave_two_out(names) if config.estimand == "equal_budget" else []
    mixtures = list({one.key: one for one in [*chosen, *looked_at, *pairs]}.values())
    reference_keys = {one.key for one in chosen}
    roles = ["reference" if one.key in reference_keys else "candidate" for one in mixtures]
    scored = scorer.score(mixtures, roles)
    return Findings(
        region=region,
        available=available,
        scored=scored,
        candidates=tuple(region.contains(one, 1e-6) for one in mixtures),
        evidence=_evidence(lab, scored, chosen, scorer.unit_losses(), target),
        pool=pool,
        ensemble=ensemble,
        optimum=optimum,
        score=scorer.score,
    )


class _Scorer:
    """Both proxies of any mixture of sources."""

    def __init__(self, lab: Laboratory, pool: FlatPool, ensemble: Ensemble) -> None:
        self._lab, self._pool, self._ensemble = lab, pool, ensemble
        self._spread = pool.roster.spread(lab.plan.config.pool_sources)
        self._curves = _curves(lab)

    def score(self, mixtures: Sequence[Mixture], roles: Sequence[str]) -> Scored:
        """Proxy losses [M, E] of mixtures over the sources of the pool."""
        weights = np.stack([mixture.shares for mixture in mixtures]) @ self._spread
        merged = self._lab.score_merges(MERGE, self._pool, weights, mixtures, roles)
        cost = self._noise_cost()
        if cost is not None:
            merged = merged - noise_penalty(weights, cost)
        ensembled = self._lab.score_ensembles(self._ensemble, weights, mixtures, roles)
        proxies = {MERGE: merged, ENSEMBLE: ensembled}
        if self._curves is not None:
            shares = np.stack([mixture.shares for mixture in mixtures])
            proxies |= {
                f"{name}, own curve": self._curves.substituted(shares, losses)
                for name, losses in list(proxies.items())
            }
        return Scored(tuple(mixtures), proxies)

    def unit_losses(self) -> FloatArray:
        """Losses of one-source models [S, E], the mean over their units and replicas."""
        members = self._ensemble.members().nats_per_token
        return np.asarray((self._spread / self._spread.sum(axis=1, keepdims=True)) @ members)

    def _noise_cost(self) -> FloatArray | None:
        """What the training noise of one branch costs a merge [E], from replicas; None without them."""
        config = self._lab.plan.config
        replicas = config.branch_training.seeds
        if replicas < 2 or not config.averaging_bonus:
            return None
        members = self._ensemble.members().nats_per_token  # (replica x unit, E)
        units = len(members) // replicas
        averages = np.tile(np.eye(units), replicas) / replicas  # (unit, replica x unit)
        names = [member.source for member in self._pool.roster.members[:units]]
        mixtures = [Mixture.vertex(config.pool_sources, name) for name in names]
        losses = self._lab.score_merges(MERGE, self._pool, averages, mixtures, ["branch"] * units)
        each = members.reshape(replicas, units, -1).swapaxes(0, 1)
        return np.asarray(np.maximum(averaging_bonus(each, losses).mean(axis=0), 0.0))


def _curves(lab: Laboratory) -> LearningCurves | None:
    """How far each source brings its own evaluation; None without snapshots, or where runs are united."""
    plan, config = lab.plan, lab.plan.config
    members = plan.branches()
    recipe = next(iter(members.values())).recipe
    if not recipe.snapshots or config.estimand == "union":
        return None
    names = config.pool_sources
    along = lab.snapshots(members) | {
        recipe.steps: lab.losses([lab.trained_key(r) for r in members.values()])
    }
    steps = sorted(along)
    whole = plan.reference(Mixture.uniform(names)).recipe.tokens
    by_source = [[i for i, member in enumerate(members) if member.source == name] for name in names]
    losses = np.stack([along[step] for step in steps], axis=1)  # (K, P, E)
    evaluator = plan.bench.evaluator()
    seed = Checkpoint.load(plan.start.folder).read_flat(evaluator.model)
    return LearningCurves(
        positions=np.array([step * recipe.batch_tokens / whole for step in steps]),
        start=evaluator.score(seed.to(plan.model.device)).nats_per_token,
        losses=np.stack([losses[rows].mean(axis=0) for rows in by_source]),
        own=_own(config),
    )


def _own(config: StudyConfig) -> IntArray:
    names = config.pool_sources
    return np.array([names.index(s) if s is not None else -1 for s in config.own_sources.values()])


def _evidence(
    lab: Laboratory, scored: Scored, chosen: Sequence[Mixture], unit_losses: FloatArray, target: FloatArray
) -> Evidence | None:
    """What the really trained references say; None where there are none."""
    if not chosen:
        return None
    plan, config = lab.plan, lab.plan.config
    first = lab.losses([lab.trained_key(plan.reference(one)) for one in chosen])
    again = lab.losses(
        [lab.trained_key(plan.reference(one, 1)) for one in chosen[: config.references.replicates]]
    )
    truth = first.copy()
    replicates = []
    for row, losses in enumerate(again):
        both = np.stack([first[row], losses])
        truth[row] = both.mean(axis=0)
        replicates.append((row, both))
    position = {mixture.key: row for row, mixture in enumerate(scored.mixtures)}
    rows = [position[mixture.key] for mixture in chosen]
    shares = np.stack([mixture.shares for mixture in chosen])
    names = config.pool_sources
    return Evidence(
        sources=names,
        evaluations=tuple(config.evaluation_sets),
        shares=shares,
        truth=truth,
        proxies={name: losses[rows] for name, losses in scored.proxies.items()},
        baselines=single_unit_baselines(unit_losses, shares),
        own=_own(config),
        replicates=tuple(replicates),
        target=target,
    )
