"""The smallest flow: a few mixtures trained from scratch at a few seeds, the lowest target loss wins."""

import math

from cuvee.decisions.shares import SourceShare
from cuvee.decisions.verdict import UNJUDGED
from cuvee.execution.interface import Executor
from cuvee.mixture.mixture import Mixture
from cuvee.progress import Progress
from cuvee.runs.metric_names import NATS
from cuvee.runs.mixture_names import PROPORTIONAL, UNIFORM
from cuvee.runs.roles import REFERENCE
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import available_tokens, opened
from cuvee.study.plan.planned import Planned
from cuvee.study.producers.trained import Trainings
from cuvee.study.provenance import provenance
from cuvee.study.runner import Runner
from tests.house.smallest_flow.decision import Trial, TrialDecision
from tests.house.smallest_flow.view import REPORTS

SEEDS = 2


def run(
    config: StudyConfig,
    folder: StudyFolder,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> TrialDecision:
    """Train what is missing, and conclude."""
    with opened(config, folder, progress, executor) as runner:
        available = available_tokens(config, runner.plan.material)
        named = {
            UNIFORM: Mixture.uniform(config.pool_sources),
            PROPORTIONAL: Mixture.normalised(available),
        }
        planned = [_planned(runner, one, seed) for one in named.values() for seed in range(SEEDS)]
        observed = runner.observe(Trainings(runner.plan, "training the trials"), planned)
        losses = observed.values_of(NATS) @ runner.documents.target(config.target_weights)
        rows = zip(named.items(), losses.reshape(len(named), SEEDS).tolist(), strict=True)
        trials = [Trial(name, tuple(one.shares.tolist()), tuple(row)) for (name, one), row in rows]
        trials.sort(key=lambda one: one.loss)
        decision = TrialDecision(
            study=config.name,
            created_from=provenance(runner, planned[0].run.recipe.hash, "trial study.yaml"),
            headline=(),
            verdict=UNJUDGED,
            tokens=planned[0].tokens,
            mixture=tuple(
                SourceShare.of(
                    name,
                    share,
                    (math.nan, math.nan),
                    unique_tokens=available[name],
                    target_tokens=planned[0].tokens,
                    epoch_cap=math.nan,
                    largest=1.0,
                )
                for name, share in zip(config.pool_sources, trials[0].shares, strict=True)
            ),
            trials=tuple(trials),
        ).judged()
    REPORTS.write(decision, folder.root)
    return decision


def _planned(runner: Runner, mixture: Mixture, seed: int) -> Planned:
    plan = runner.plan
    tokens = plan.config.reference_training.batch_tokens * 40
    return Planned(plan.alone(mixture, plan.model, tokens, tokens, seed), REFERENCE, mixture)
