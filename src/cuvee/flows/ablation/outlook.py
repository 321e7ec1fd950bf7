"""What the ablation flow will take, stage by stage."""

import math
from collections.abc import Sequence

from cuvee.decisions.check import STAGE
from cuvee.evaluation.race import PART, SURVIVORS
from cuvee.execution.tariff import HOUR
from cuvee.flows.ablation.known_merges import by_method, known_merges
from cuvee.flows.ablation.merge_optimum import STARTS
from cuvee.merging.price import extra_flops, statistics_flops
from cuvee.merging.registry import LINEAR
from cuvee.mixture.mixture import Mixture
from cuvee.runs.roles import DESCENT, DOWNSTREAM, ORDER
from cuvee.study.checking import CHECK_SEEDS, TITLE
from cuvee.study.outlook import Outlook, OutlookRow, Stage, Stopwatch
from cuvee.study.plan.agenda import Agenda
from cuvee.study.plan.planned import Planned
from cuvee.study.pooling import planned_branches, planned_seed
from cuvee.study.producers.descended import STAGE as OPTIMUM
from cuvee.study.producers.descended import descent_flops
from cuvee.study.producers.member_statistics import STAGE as STATISTICS
from cuvee.study.producers.member_statistics import branch_statistics
from cuvee.study.runner import Runner
from cuvee.study.survey import ARMS, TITLES
from cuvee.training.run import TrainingRun


def ablation_outlook(
    runner: Runner,
    trained: Sequence[Planned],
    replicates: Sequence[Planned],
    order: Sequence[Sequence[Planned]] = (),
) -> Outlook:
    """Seed model, branches, references, replicates, and the mixtures that only proxies score.

    Args:
        runner: of the study.
        trained: the references.
        replicates: those that are trained again.
        order: those that are trained again under other conditions, stage by stage.
    """
    plan, watch = runner.plan, Stopwatch(runner)
    stages = {
        "seed model": planned_seed(plan),
        "branches": planned_branches(plan),
        "references": trained,
        "replicates": replicates,
    }
    rows = [_trained(watch, title, planned) for title, planned in stages.items() if planned]
    others = [one for stage in order for one in stage]
    under = {role: [one for one in others if one.role == role] for role in ORDER}
    again = [_trained(watch, TITLES[role], planned) for role, planned in under.items() if planned]
    scoring = *_statistics(runner, watch), *_scoring(runner, watch), _optimum(runner, watch)
    # Other conditions change no pick.
    check = _check(runner, watch, any(row.left for row in rows))
    asked = len(trained) + len(replicates) + sum(row.runs for row in check)
    tasks = _tasks(runner, watch, asked) if trained else []
    return Outlook((*rows, *again, *scoring, *check, *tasks), tariff=watch.tariff)


def _trained(watch: Stopwatch, title: str, planned: Sequence[Planned]) -> OutlookRow:
    return watch.row(Stage(title, planned[0].run.recipe.tokens, planned))


def _check(runner: Runner, watch: Stopwatch, changing: bool) -> list[OutlookRow]:
    """What a check at these seeds set out to train; before one, as much as if all mixtures were different.

    Where more is going to be trained the pick will be another one (``changing``), and is trained anew.
    """
    plan, seeds = runner.plan, runner.plan.config.check.seeds
    if not seeds:
        return []
    even = Mixture.uniform(plan.config.pool_sources)
    runs = [plan.reference(even, CHECK_SEEDS + seed) for seed in range(seeds)]
    set_out = {one.key: one.done(plan.folder) for one in Agenda.read(plan.folder).stages.get(STAGE, ())}
    known = all(run.key in set_out for run in runs)
    parts = list(set_out.values()) if known else [0.0] * (ARMS * seeds)
    if changing:
        parts = sorted(parts, reverse=True)[: len(parts) - seeds] + [0.0] * seeds
    left = [1.0 - part for part in parts if part < 1.0]
    return [_fresh(watch, runs[0], len(parts), left)]


def _fresh(watch: Stopwatch, run: TrainingRun, count: int, left: Sequence[float]) -> OutlookRow:
    """A row of trainings that cost what one of them does, by what is left of each that is not done."""
    each = run.flops + watch.measuring(run)
    work = each * math.fsum(left)
    together = max(work / watch.lanes, each * max(left, default=0.0))
    rate = watch.flops_a_second(run) if left else math.inf
    return OutlookRow(
        TITLE,
        run.model.parameters,
        run.recipe.tokens,
        count,
        len(left),
        each * count,
        work,
        watch.step_seconds(run) if left else math.nan,
        together / rate / HOUR,
        work / rate / HOUR,
    )


def _statistics(runner: Runner, watch: Stopwatch) -> list[OutlookRow]:
    """What the method of merging measures of the branches first."""
    plan = runner.plan
    tasks, method = branch_statistics(plan), plan.config.merging.method
    if not tasks:
        return []
    each = statistics_flops(method, plan.model.build(), tasks[0].tokens)
    left = sum(not task.path.exists() for task in tasks)
    return [_scored(STATISTICS, watch, tasks[0].tokens, len(tasks), left, each)]


def _scoring(runner: Runner, watch: Stopwatch) -> list[OutlookRow]:
    """Merges by the study's method, and linear ones beside those of another."""
    method = runner.plan.config.merging.method
    rows = [_merges("scoring mixtures", method, runner, watch)]
    return rows if method == LINEAR else [*rows, _merges("scoring linear merges", LINEAR, runner, watch)]


def _merges(title: str, method: str, runner: Runner, watch: Stopwatch) -> OutlookRow:
    """Merges of all mixtures: for each a forward pass and the average of all branches."""
    plan, config = runner.plan, runner.plan.config
    branches, model, tokens = planned_branches(plan), plan.model.build(), plan.bench.evaluator().tokens
    mixtures = config.candidates.count + config.references.count
    # References and the best candidates are scored on all tokens, the others on a part.
    whole = (config.references.count + SURVIVORS * config.candidates.count) / mixtures
    scored = tokens * (whole + (1.0 - whole) / PART)
    averaged = 2.0 * len(branches) * plan.merge_depth * model.layout.size
    averaged += extra_flops(method, model, len(branches))
    each = model.flops_per_token * scored + averaged
    merged = len({run.mixture.key for run in known_merges(runner, method)})
    decided = merged > 0 and plan.folder.decision.exists()
    left = 0 if decided else max(mixtures - merged, 0)
    return _scored(title, watch, tokens, mixtures, left, each)


def _optimum(runner: Runner, watch: Stopwatch) -> OutlookRow:
    """Descents to the optimum of merges, each as long as it may become."""
    plan = runner.plan
    each = descent_flops(plan, len(planned_branches(plan)))
    # Their keys hold starts, which only merges show; without merges of this pool there are no descents in it.
    method, pool = plan.config.merging.method, set(plan.config.pool_sources)
    rows = by_method(runner.store.runs(role=DESCENT), method) if known_merges(runner, method) else []
    made = sum(set(run.mixture.names) == pool for run in rows)
    left = 0 if made and plan.folder.decision.exists() else max(STARTS - made, 0)
    return _scored(OPTIMUM, watch, plan.bench.part().tokens, STARTS, left, each)


def _tasks(runner: Runner, watch: Stopwatch, models: int) -> list[OutlookRow]:
    """All requests of downstream tasks to all trained mixtures, a forward pass over every window.

    Merges and ensembles answer later, and only tasks of which an accuracy can decide.
    """
    plan, names = runner.plan, runner.plan.config.tasks
    if not names:
        return []
    read = plan.answering(names).bench.evaluator().read
    asked = len(runner.store.runs(kind="trained", role=DOWNSTREAM))
    left = 0 if asked and plan.folder.decision.exists() else max(models - asked, 0)
    return [_scored("downstream tasks", watch, read, models, left, plan.model.flops_per_token * read)]


def _scored(title: str, watch: Stopwatch, tokens: int, count: int, left: int, each: float) -> OutlookRow:
    """A row of work by which nothing is trained, of so many FLOPs each."""
    plan = watch.runner.plan
    run = planned_branches(plan)[0].run
    rate = watch.flops_a_second(run) if left else math.inf
    return OutlookRow(
        title,
        run.model.parameters,
        tokens,
        count,
        left,
        each * count,
        each * left,
        math.nan,
        each * left / watch.lanes / rate / HOUR,
        each * left / rate / HOUR,
        trained=False,
    )
