"""What a valuation will take, before anything is trained.

Passes that only read the pool (embeddings, losses, derivatives) cost less than an epoch of training and are
left out; so is what a judge takes.
"""

from cuvee.execution.interface import Executor
from cuvee.execution.tariff import HOUR
from cuvee.flows.value.question import ValueQuestion
from cuvee.flows.value.retraining import SELECTION_SEEDS
from cuvee.mixture.mixture import Mixture
from cuvee.progress import Progress
from cuvee.runs.roles import SELECTED
from cuvee.study.document_tables import check_target, pool_documents, target_documents
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from cuvee.study.outlook import Outlook, OutlookRow, Stage, Stopwatch
from cuvee.study.plan.planned import Planned
from cuvee.study.pooling import planned_branches, planned_seed
from cuvee.study.runner import Runner
from cuvee.study.seed_moments import check_valuers
from cuvee.valuation.methods.in_run_shapley import IN_RUN

WATCHED = 1.9
"""A watched training over a plain one, as measured on a CPU core (``in_run.py``); it runs in one process."""


def outlook(
    config: StudyConfig,
    folder: StudyFolder,
    progress: Progress | None = None,
    executor: Executor | None = None,
    *,
    question: ValueQuestion,
) -> Outlook:
    """Trainings that the question would take, with FLOPs and time; steps are timed, nothing is trained.

    Raises:
        ConfigError: an unknown evaluation or method.
    """
    check_target(config, question.target)
    check_valuers(config, question.all_methods)
    with opened(config, folder, progress, executor, looking=True) as runner:
        target_documents(runner.plan.material, question.target)
        tokens, watch = pool_documents(runner.plan).size, Stopwatch(runner)
        rows = [watch.row(stage) for stage in _stages(runner, question, tokens)]
        watched = [one.name for one in IN_RUN if one.name in question.all_methods]
        if watched:
            rows.append(_watched(runner, watch, tokens, len(watched)))
        return Outlook(tuple(rows), tariff=watch.tariff)


def _stages(runner: Runner, question: ValueQuestion, tokens: int) -> list[Stage]:
    plan, found = runner.plan, []
    if seed := planned_seed(plan):
        found.append(Stage("the seed model", seed[0].run.recipe.tokens, seed))
    if question.sources:
        branches = planned_branches(plan)
        found.append(Stage("the pool", branches[0].run.recipe.tokens, branches))
    if question.retrain:
        kept = round(question.retrain * tokens)
        arms = len(question.all_methods) + 1  # and all documents
        one = _planned(runner, kept)
        found.append(Stage("selections", kept, [one], arms * question.seeds - 1))
    return found


def _planned(runner: Runner, tokens: int) -> Planned:
    plan = runner.plan
    even = Mixture.uniform(plan.config.pool_sources)
    return Planned(plan.alone(even, plan.model, tokens, tokens, SELECTION_SEEDS), SELECTED, even)


def _watched(runner: Runner, watch: Stopwatch, tokens: int, count: int) -> OutlookRow:
    """Trainings whose values are read. What is kept of earlier ones is not looked up."""
    run = _planned(runner, tokens).run
    flops = WATCHED * run.flops * count
    hours = flops / watch.flops_a_second(run) / HOUR
    return OutlookRow(
        "in-run values",
        run.model.build().layout.size,
        tokens,
        count,
        count,
        flops,
        flops,
        WATCHED * watch.step_seconds(run),
        hours,
        hours,
    )
