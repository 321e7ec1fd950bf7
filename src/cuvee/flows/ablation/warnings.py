"""What the reader of a decision of `cuvee run` should know before relying on it."""

from collections.abc import Iterator

from cuvee.decisions.ablation.headline import FAR
from cuvee.decisions.check import EQUAL
from cuvee.flows.ablation.findings import Findings
from cuvee.flows.ablation.judge import Judge
from cuvee.honesty.evidence import Evidence
from cuvee.merging.geometry import Geometry, barrier, barrier_warnings
from cuvee.mixture.distance import total_variation
from cuvee.quantities import agreeing, counted
from cuvee.sources.contamination import overlap_sentence
from cuvee.study.plan.mixtures import compared_with
from cuvee.study.plan.plan import EPOCHING_OFF, Plan

MANY_EPOCHS = 10.0
"""Readings of one text by a branch, from which on it learns the text by heart rather than the source."""


GENTLE = 50.0
"""How much lower a learning rate of branches is from which on bfloat16 rounds away much of what their merges
differ by. Measured on 100k parameters and ten steps at 3e-3: an error of 2 % of the spread of mixtures, 4 %
at a quarter of that rate, 60 % at 1e-5, and seven times the spread at 1e-6."""


def warnings_of(findings: Findings, judge: Judge, geometry: Geometry, plan: Plan) -> tuple[str, ...]:
    """Sentences, the gravest first within each kind."""
    return tuple(
        dict.fromkeys(
            [
                *geometry.warnings(),
                *_barriers(findings, judge),
                *_far_from_references(judge),
                *_carried(findings, plan),
                *_edges(judge),
                *worse_elsewhere(judge),
                *_overlap(plan),
                *_repetition(plan),
                *_far_from_target(plan),
                *_order_not_seen(findings, plan),
                *_rounded_away(plan),
            ]
        )
    )


def unseen(evidence: Evidence | None) -> list[str]:
    """Sources that no reference contains."""
    if evidence is None:
        return []
    touched = evidence.shares.max(axis=0) > 0
    return [name for name, seen in zip(evidence.sources, touched, strict=True) if not seen]


def _barriers(findings: Findings, judge: Judge) -> list[str]:
    if "merge" not in judge.scored.nats:
        return []
    weights = judge.scored.shares @ findings.pool.roster.spread(judge.pick.names)
    members = findings.ensemble.members().nats_per_token
    return barrier_warnings(list(judge.weights), barrier(judge.scored.losses("merge"), members, weights))


def _far_from_references(judge: Judge) -> Iterator[str]:
    if missing := unseen(judge.evidence):
        yield f"No reference contains {', '.join(missing)}: what is predicted of it rests on proxies alone."
    if judge.evidence is not None:
        nearest = total_variation(judge.evidence.shares, judge.pick.shares).min()
        if nearest > 0.5:
            yield (
                f"The picked mixture is far from every trained reference (at least {nearest:.0%} of the "
                "tokens differ): what is predicted of it is an extrapolation."
            )


def _carried(findings: Findings, plan: Plan) -> Iterator[str]:
    """Parts that the runs of the whole cannot tell apart."""
    references, pool = findings.references, plan.config.pool_sources
    for step in plan.config.descent.steps:
        parts = [name for name in step.after if step.is_split and name in pool]
        if references is None or not parts:
            continue
        rows = [mixture.share(parts[0]) > 0.0 for mixture in references.mixtures]
        if carried := sum(has and old for has, old in zip(rows, references.carried, strict=True)):
            yield (
                f"{carried} of {counted(len(rows), 'reference')} {agreeing(carried, 'was', 'were')} "
                "trained before "
                f"'{step.before[0]}' was split: {agreeing(carried, 'it holds', 'they hold')} "
                f"{', '.join(parts)} in one proportion, and only the others tell these apart."
            )


def _edges(judge: Judge) -> Iterator[str]:
    if names := judge.at_the_edge:
        yield (
            f"Other references and documents would hardly give {', '.join(names)} the share that the pick "
            "gives: it lies at the edge of its interval."
        )


def worse_elsewhere(judge: Judge) -> Iterator[str]:
    """Evaluations that the target does not weigh, and that pay for it; against the equal shares of the
    tables, which the limits allow."""
    equal = compared_with(judge.pick, judge.findings.region, judge.findings.available)[EQUAL]
    pick, uniform = (judge.mean[judge.scored.row(one)] for one in (judge.pick, equal))
    unweighted = [place for place, weight in enumerate(judge.target) if weight == 0]
    worse = [list(judge.weights)[place] for place in unweighted if pick[place] > uniform[place]]
    if worse:
        yield (
            f"{len(worse)} of {counted(len(unweighted), 'evaluation')} without a weight "
            f"{agreeing(len(worse), 'is', 'are')} predicted to get worse than under equal shares "
            f"({', '.join(worse)}); give those that matter a weight in `target.weights`."
        )


def _overlap(plan: Plan) -> Iterator[str]:
    """Evaluations in the target that stand in training text."""
    weights = plan.config.target_weights
    for found in plan.material.corpus.report.contamination:
        if found.harmful and weights[found.evaluation] > 0:
            yield overlap_sentence(found) + "."


def _repetition(plan: Plan) -> Iterator[str]:
    target = plan.config.target_run
    if target.tokens is None:
        yield "`target_run.tokens` is not given: repetition is neither capped nor matched."
    elif not target.simulated_epoching:
        yield EPOCHING_OFF
    for name in plan.config.pool_sources:
        if (epochs := plan.branch_epochs(name)) >= MANY_EPOCHS:
            yield (
                f"The branch of '{name}' reads its text {epochs:.0f} times: merges and ensembles say little "
                "of a source that is known by heart. Give more text of it, or lower `target_run.max_epochs`."
            )


def _far_from_target(plan: Plan) -> Iterator[str]:
    target, trained = plan.config.target_run, plan.config.reference_training.tokens
    larger = (target.parameters or plan.parameters) / plan.parameters
    longer = (target.tokens or trained) / trained
    if max(larger, longer) > FAR:
        factors = {"parameters": larger, "tokens": longer}
        far = " and ".join(f"{factor:.3g} times the {name}" for name, factor in factors.items() if factor > 1)
        yield (
            f"The target run has {far} of the trainings here, and nothing was trained in between: the best "
            "mixture may be another there. `cuvee scale` shows how it moves."
        )


def _order_not_seen(findings: Findings, plan: Plan) -> Iterator[str]:
    """Conditions that were asked for, and that nothing was trained under."""
    asked = plan.config.order
    if asked.mixtures and findings.order is None:
        yield "Too few mixtures can be trained to see whether their order survives other conditions."
    elif asked.mixtures and asked.parameters != 1.0 and plan.config.model.folder is not None:
        yield (
            "Whether the order of mixtures survives another size was not examined: the model is a given "
            "checkpoint, which has one."
        )


def _rounded_away(plan: Plan) -> Iterator[str]:
    """Branches that hardly move from their seed, scored in too few digits."""
    config, rate = plan.config, plan.config.branch_training.learning_rate
    usual = [config.reference_training.learning_rate]
    usual += [config.seed_training.learning_rate] if config.seed_training.tokens else []
    if plan.model.dtype != "float32" and max(usual) >= GENTLE * rate:
        yield (
            f"Branches were trained at a learning rate of {rate:g}, and losses are computed in "
            f"{plan.model.dtype}: it rounds away much of what merges differ by. For such rates say "
            f'"float32" in `{plan.folder.numerics.name}` of the study; everything is then trained again.'
        )
