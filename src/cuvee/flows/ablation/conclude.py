"""From findings to a decision: every part of it, filled from what the judge says."""

from dataclasses import replace

import numpy as np

from cuvee.decisions.ablation import result as d
from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.ablation.order import MixtureOrder
from cuvee.decisions.baselines import BaselineMixture
from cuvee.decisions.check import EQUAL, PROPORTIONAL, TrainingCheck
from cuvee.decisions.shares import SourceShare, parts_in_words
from cuvee.files import write_json
from cuvee.flows.ablation.findings import Findings
from cuvee.flows.ablation.judge import CONFIDENCE, UNCHECKED, Judge
from cuvee.flows.ablation.order import order_of
from cuvee.flows.ablation.tasks import task_rows
from cuvee.flows.ablation.unlearnt import unlearnt
from cuvee.flows.ablation.warnings import unseen, warnings_of
from cuvee.honesty.agreement import HonestyReport, honesty_report
from cuvee.honesty.evidence import Evidence
from cuvee.honesty.proxy_choice import FEWEST_REFERENCES, ProxyChoice, choose_proxy
from cuvee.merging.geometry import Geometry
from cuvee.mixture.distance import total_variation
from cuvee.mixture.mixture import Mixture
from cuvee.quantities import agreeing, counted
from cuvee.runs.roles import CANDIDATE, PICK
from cuvee.study.checking import Checking, replicated
from cuvee.study.evaluation_rows import evaluation_rows
from cuvee.study.ledger import ledger, proxy_over_direct
from cuvee.study.plan.mixtures import compared_with
from cuvee.study.plan.seed_words import seed_in_words
from cuvee.study.provenance import provenance
from cuvee.study.proxies import ENSEMBLE, MERGE
from cuvee.study.runner import Runner
from cuvee.types import FloatArray

DOCUMENT_DRAWS = 100
"""Resamples of the documents behind the intervals of agreement."""
TIED_SHOWN = 8
ADDED = 0.1
"""Share that the ablation 'add' gives to a source, taken from all others in proportion."""


def conclude(findings: Findings, runner: Runner) -> Decision:
    """Choose a proxy on the references, pick a mixture, train it afresh, and say how sure each number is."""
    judge, report = judged(findings, runner)
    names = judge.pick.names
    added = [judge.pick.blend(Mixture.vertex(names, name), ADDED) for name in names]
    whole = np.arange(1 + len(added)) == 0
    further = findings.score([judge.pick, *added], [PICK] + [CANDIDATE] * len(added), whole)
    return _decision(findings, runner, judge.with_more(further), report)


def judged(findings: Findings, runner: Runner) -> tuple[Judge, HonestyReport | None]:
    """The proxy to go by, the mixture to take, and how far the proxies agree with the references."""
    seed, references = runner.plan.config.seed, findings.references
    evidence = references.evidence() if references is not None else None
    choice = None
    if evidence is not None and evidence.references >= FEWEST_REFERENCES:
        choice = choose_proxy(evidence, seed)
        write_json(runner.plan.folder.fit("calibration"), choice.to_json())
    config = runner.plan.config
    averaged = config.estimand == "equal_budget"
    judge = Judge(findings, evidence, choice, config.target_weights, seed, averaged=averaged)
    if evidence is None or evidence.references < 2:
        return judge, None
    assert references is not None  # the evidence comes from them
    draws = references.scored.documents.bootstrap(DOCUMENT_DRAWS, np.random.default_rng(seed))
    resampled = [_beside_raw(references.evidence(counts), choice) for counts in draws]
    return judge, honesty_report(_beside_raw(evidence, choice), seed, resampled=resampled)


def _beside_raw(evidence: Evidence, choice: ProxyChoice | None) -> Evidence:
    """With the calibrated proxy among the raw ones, each reference predicted without itself."""
    if choice is None:
        return evidence
    return replace(evidence, proxies={**evidence.proxies, choice.name: choice.left_out})


def _decision(findings: Findings, runner: Runner, judge: Judge, report: HonestyReport | None) -> Decision:
    plan, config, choice = runner.plan, runner.plan.config, judge.choice
    scored, pick = judge.scored, judge.pick
    row, factors = scored.row(pick), scored.documents.bits_per_byte_factor
    even = Mixture.uniform(pick.names)
    compared = compared_with(pick, findings.region, findings.available)
    uniform, proportional = compared[EQUAL], compared[PROPORTIONAL]
    reference_row, reference_predicted, reference_name = _best_reference(judge)
    proxy = choice.name if choice else UNCHECKED
    target_tokens = config.target_run.tokens or config.reference_training.tokens
    geometry = Geometry.of(findings.pool)
    trained = findings.references.trained if findings.references else ()
    checking = Checking(runner, pick, compared, plan.reference, replicated(runner, trained), CONFIDENCE)
    checked = checking.check(config.check.seeds)
    tasks = task_rows(runner, findings, checking.fresh(config.check.seeds))
    decision = Decision(
        study=config.name,
        created_from=provenance(
            runner, plan.reference(Mixture.uniform(config.pool_sources)).recipe.hash, "cuvee run study.yaml"
        ),
        estimand=config.estimand,
        headline=(),
        believed_proxy=proxy,
        believed=choice is not None and choice.believed,
        why=_why(choice, judge.evidence),
        target_scale=d.RunScale(config.target_run.parameters or plan.parameters, target_tokens),
        proxy_scale=d.RunScale(plan.parameters, config.reference_training.tokens),
        mixture=_mixture(findings, judge, target_tokens, config.target_run.tokens is not None, runner),
        target=config.target_weights,
        predictions=_predictions(
            findings, judge, row, uniform, proportional, (reference_row, reference_predicted), factors
        ),
        check=checked,
        gains=_gains(judge, row, compared),
        optimism=judge.optimism,
        baselines=tuple(BaselineMixture(name, _tuple(one)) for name, one in compared.items()),
        evaluations=evaluation_rows(plan.material, config.target_weights),
        best_reference=reference_name,
        tied=_tied(judge, row),
        honesty=_honesty(report),
        calibrators=tuple(
            d.CalibratorRow(one.name, one.target, one.target_spearman, one.name == proxy)
            for one in (choice.errors if choice else ())
        ),
        ablation=_ablation(judge, even),
        best_subset=_best_subset(judge),
        best_weights=_tuple(findings.optimum.mixture),
        optima=_optima(findings, judge),
        merging=config.merging.method,
        interactions=_interactions(judge, even),
        geometry=d.PoolGeometry(
            geometry.names,
            tuple(float(norm) for norm in geometry.norms),
            tuple(tuple(float(value) for value in line) for line in geometry.cosines),
            tuple(geometry.warnings()),
        ),
        next_runs=_next_runs(judge, checked),
        references=_references(judge),
        order=_order(findings, runner),
        tasks=tasks,
        ledger=ledger(runner.store),
        proxy_over_direct=proxy_over_direct(runner.store, plan),
        doubts=unlearnt(findings, runner),
        warnings=warnings_of(findings, judge, geometry, plan),
        confidence=CONFIDENCE,
        seed_model=seed_in_words(plan),
    )
    return decision.judged()


def _gains(judge: Judge, row: int, compared: dict[str, Mixture]) -> tuple[d.Gain, ...]:
    found = []
    for name, mixture in compared.items():
        base = judge.scored.row(mixture)
        if mixture.key == judge.pick.key:
            continue
        value, error = judge.difference(row, base)
        mean, half = value[-1] + judge.optimism, judge.reach * error[-1]
        found.append(d.Gain(name, float(mean), float(mean - half), float(mean + half)))
    return tuple(found)


def _why(choice: ProxyChoice | None, evidence: Evidence | None) -> str:
    if choice is None:
        count = evidence.references if evidence is not None else 0
        return (
            f"{counted(count, 'reference mixture')} {agreeing(count, 'was', 'were')} trained and "
            f"{FEWEST_REFERENCES} are the least "
            "from which a proxy can be judged."
        )
    part = f"in {choice.probability:.0%} of resamples of the references"
    if choice.believed:
        return (
            f"Left-out references are predicted with smaller errors than by what needs no proxy, {part} "
            f"(the best of that: '{choice.best_baseline}')."
        )
    return (
        f"Left-out references are predicted with smaller errors than by what needs no proxy only {part} "
        f"(the best of that: '{choice.best_baseline}'). More references help: raise `references.count` "
        "and run again."
    )


def _mixture(
    findings: Findings, judge: Judge, target_tokens: int, capped: bool, runner: Runner
) -> tuple[SourceShare, ...]:
    low, high = judge.share_bounds()
    return tuple(
        SourceShare.of(
            name,
            judge.pick.share(name),
            (float(low[place]), float(high[place])),
            unique_tokens=findings.available[name],
            target_tokens=target_tokens,
            epoch_cap=runner.plan.config.target_run.max_epochs if capped else float("nan"),
            largest=findings.region.upper[place],
        )
        for place, name in enumerate(judge.pick.names)
    )


def _predictions(
    findings: Findings,
    judge: Judge,
    row: int,
    uniform: Mixture,
    proportional: Mixture,
    best: tuple[FloatArray | None, FloatArray | None],
    factors: FloatArray,
) -> tuple[d.PredictedLosses, ...]:
    names = [*judge.weights, d.TARGET]
    picks = judge.loss(row, factors)
    even = judge.loss(judge.scored.row(uniform), factors)
    given = judge.loss(judge.scored.row(proportional), factors)
    measured = [d.Loss()] * len(names)
    reference, predicted = best
    alike = [float("nan")] * len(names) if predicted is None else [*predicted, predicted @ judge.target]
    if reference is not None:
        values = np.append(reference, reference @ judge.target)
        bits = np.append(reference * factors, (reference * factors) @ judge.target)
        measured = [d.Loss(mean=float(v), bits_per_byte=float(b)) for v, b in zip(values, bits, strict=True)]
    own = judge.evidence.own if judge.evidence is not None else np.full(len(names) - 1, -1)
    return tuple(
        d.PredictedLosses(
            name,
            picks[i],
            even[i],
            given[i],
            measured[i],
            float(alike[i]),
            bool(i < len(own) and own[i] >= 0),
        )
        for i, name in enumerate(names)
    )


def _best_reference(judge: Judge) -> tuple[FloatArray | None, FloatArray | None, str]:
    """The lowest of them: its losses [E], measured and predicted as far as they are known, and its name."""
    evidence, predicted = judge.evidence, judge.of_references
    if evidence is None:
        return None, None, ""
    row = int(np.argmin(evidence.truth @ evidence.target))
    label = _label(Mixture(evidence.sources, evidence.shares[row]))
    return evidence.truth[row], predicted[row] if len(predicted) else None, label


def _tied(judge: Judge, pick: int) -> tuple[d.TiedMixture, ...]:
    found = []
    for row in judge.order:
        value, error = judge.difference(row, pick)
        low, high = value[-1] - judge.reach * error[-1], value[-1] + judge.reach * error[-1]
        if not low <= 0:  # also where nothing is known of the error
            break
        mixture = judge.scored.mixtures[row]
        found.append(
            d.TiedMixture(_label(mixture), _tuple(mixture), float(value[-1]), float(low), float(high))
        )
        if len(found) == TIED_SHOWN:
            break
    return tuple(found)


def _honesty(report: HonestyReport | None) -> tuple[d.HonestyRow, ...]:
    return tuple(
        d.HonestyRow(
            proxy=one.proxy,
            is_baseline=one.is_baseline,
            scope=one.scope,
            subset=one.subset,
            n=one.n,
            pearson=one.pearson.value,
            pearson_low=one.pearson.low,
            pearson_high=one.pearson.high,
            spearman=one.spearman.value,
            pairwise=one.pairs.value,
            partial=one.partial.value,
            slope=one.slope,
            slope_error=one.slope_error,
            regret=one.regret.value,
            relative_regret=one.relative_regret,
            beats_baselines=one.beats_baselines,
            ceiling=one.ceiling,
            ceiling_low=one.ceiling_low,
            ceiling_high=one.ceiling_high,
            noise=one.noise.deviation,
        )
        for one in (report.rows if report else ())
    )


def _ablation(judge: Judge, uniform: Mixture) -> tuple[d.AblationEffect, ...]:
    """Drop and double from equal shares; add a tenth to the picked mixture."""
    names = uniform.names
    if len(names) < 2:
        return ()
    pick = judge.pick
    changes: list[tuple[str, d.Action, Mixture, Mixture]] = []
    for name in names:
        changes.append((name, "add", pick.blend(Mixture.vertex(names, name), ADDED), pick))
        changes.append((name, "drop", uniform.scaled(name, 0.0), uniform))
        changes.append((name, "double", uniform.scaled(name, 2.0), uniform))
    known = {mixture.key: row for row, mixture in enumerate(judge.scored.mixtures)}
    effects = []
    for name, action, mixture, base in changes:
        if mixture.key not in known or base.key not in known:
            continue
        value, error = judge.difference(known[mixture.key], known[base.key])
        low, high = value - judge.reach * error, value + judge.reach * error
        for evaluation, *ends in zip([*judge.weights, d.TARGET], value, low, high, strict=True):
            effects.append(d.AblationEffect(name, action, evaluation, *map(float, ends)))
    return tuple(effects)


def _best_subset(judge: Judge) -> tuple[str, ...]:
    for row in judge.order:
        shares = judge.scored.mixtures[row].shares
        positive = shares[shares > 0]
        if np.allclose(positive, positive[0]):
            return judge.scored.mixtures[row].support
    return ()


def _optima(findings: Findings, judge: Judge) -> tuple[d.ProxyOptimum, ...]:
    """Of the proxies as they are, beside what they say of the pick."""
    merge, ensemble = findings.merge_optimum, findings.optimum
    found = {
        MERGE: (merge.mixture, merge.loss, merge.gap, merge.ends),
        ENSEMBLE: (ensemble.mixture, ensemble.value, ensemble.gap, ()),
    }
    row = judge.scored.row(judge.pick)
    picked = {name: float(judge.scored.losses(name)[row] @ judge.target) for name in found}
    return tuple(
        d.ProxyOptimum(
            name, _tuple(mixture), loss, picked[name], mixture.total_variation(judge.pick), gap, ends
        )
        for name, (mixture, loss, gap, ends) in found.items()
    )


def _interactions(judge: Judge, uniform: Mixture) -> tuple[tuple[float, ...], ...]:
    """Effect on the target of dropping two sources, beyond the two single effects [S, S]."""
    names = uniform.names
    known = {mixture.key: row for row, mixture in enumerate(judge.scored.mixtures)}
    losses = judge.mean @ judge.target

    def loss(*dropped: str) -> float:
        mixture = uniform
        for name in dropped:
            mixture = mixture.scaled(name, 0.0)
        return float(losses[known[mixture.key]]) if mixture.key in known else float("nan")

    if len(names) < 3 or np.isnan(loss(names[0], names[1])):
        return ()
    base = loss()
    return tuple(
        tuple(0.0 if a == b else loss(a, b) - loss(a) - loss(b) + base for b in names) for a in names
    )


def _next_runs(judge: Judge, checked: TrainingCheck | None) -> tuple[d.NextRun, ...]:
    runs = [d.NextRun(_label(judge.pick), _tuple(judge.pick), "the pick itself: what it really does")]
    if checked is not None:
        runs = []
    shares = judge.scored.shares
    trained = judge.evidence.shares if judge.evidence is not None else judge.pick.shares[None]
    contenders = np.array(judge.order[: max(2, len(judge.order) // 10)])
    distance = total_variation(shares[contenders][:, None], trained).min(axis=1)
    far = judge.scored.mixtures[int(contenders[np.argmax(distance)])]
    runs.append(
        d.NextRun(
            _label(far), _tuple(far), "among the best candidates the farthest from all trained mixtures"
        )
    )
    disputed = (judge.halves[:, contenders] @ judge.target).std(axis=0)
    if disputed.max() > 0:
        unsure = judge.scored.mixtures[int(contenders[np.argmax(disputed)])]
        runs.append(
            d.NextRun(
                _label(unsure), _tuple(unsure), "among the best candidates the one the references disagree on"
            )
        )
    for name in unseen(judge.evidence):
        alone = judge.pick.blend(Mixture.vertex(judge.pick.names, name), 1 / len(judge.pick.names))
        runs.append(d.NextRun(_label(alone), _tuple(alone), f"no trained mixture contains {name}"))
    return tuple({run.shares: run for run in reversed(runs)}.values())[::-1]


def _references(judge: Judge) -> tuple[d.Reference, ...]:
    evidence, references = judge.evidence, judge.findings.references
    if evidence is None or references is None:
        return ()
    truth = evidence.truth @ evidence.target
    tables = {
        name: losses @ evidence.target for name, losses in {**evidence.proxies, **evidence.baselines}.items()
    }
    if judge.choice is not None:
        tables[judge.choice.name] = judge.choice.left_out @ evidence.target
    return tuple(
        d.Reference(
            _label(mixture := Mixture(evidence.sources, evidence.shares[row]))
            + (
                f" (carried, trained on {_label(references.trained[row])})" if references.carried[row] else ""
            ),
            _tuple(mixture),
            float(truth[row]),
            {name: float(column[row]) for name, column in tables.items()},
        )
        for row in range(evidence.references)
    )


def _order(findings: Findings, runner: Runner) -> MixtureOrder | None:
    return order_of(findings.order, runner, CONFIDENCE) if findings.order is not None else None


def _label(mixture: Mixture) -> str:
    parts = mixture.support
    shares = [mixture.share(name) for name in parts]
    if np.allclose(shares, shares[0]):
        return " + ".join(parts)
    return ", ".join(parts_in_words(zip(parts, shares, strict=True)))


def _tuple(mixture: Mixture) -> tuple[float, ...]:
    return tuple(float(share) for share in mixture.shares)
